"""A canary on a manual clock, and a server's end of one request that behaves as uvicorn's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio.lowlevel
import pytest
import uvicorn

from agent_canary import Assignment

Message = MutableMapping[str, Any]
START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]}


class Wire:
    """One request as a server sees it.

    Like uvicorn it drops what is sent after the client left, and says so only to who receives.
    """

    def __init__(self, path: str, headers: Mapping[str, str], body: list[bytes], scope: Mapping[str, Any]) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("192.0.2.1", 5000),
            "server": ("192.0.2.2", 80),
            **scope,
        }
        self.sent: list[Message] = []
        self.dropped: list[Message] = []
        self.receives = 0
        self._body = deque(body)
        self._has_left = False
        self._is_complete = False
        self._changed = anyio.Event()

    def leave(self) -> None:
        """Let the client go away."""
        self._has_left = True
        self._changed.set()

    async def receive(self) -> Message:
        self.receives += 1
        if not self._has_left and not self._is_complete:
            if self._body:
                body = self._body.popleft()
                return {"type": "http.request", "body": body, "more_body": bool(self._body)}
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        (self.dropped if self._has_left else self.sent).append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_complete = True
            self._changed.set()

    async def run(self, app: Callable[..., Any]) -> None:
        await app(self.scope, self.receive, self.send)

    @property
    def assignment(self) -> Assignment:
        """What the middleware left in the scope's state."""
        found = self.scope["state"]["agent_canary"]
        assert isinstance(found, Assignment)
        return found

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's."""
        return list(self.sent[0]["headers"])


@pytest.fixture
def wire() -> Callable[..., Wire]:
    """Return a maker of requests."""

    def make(
        path: str = "/", headers: Mapping[str, str] | None = None, body: list[bytes] | None = None, **scope: Any
    ) -> Wire:
        return Wire(path, headers or {}, [b""] if body is None else body, scope)

    return make


class LoopbackServer(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@pytest.fixture
def serve() -> Callable[..., AbstractContextManager[tuple[str, int]]]:
    """Return a context manager that serves an app by uvicorn on a free port of the loopback."""

    @contextmanager
    def serving(app: Callable[..., Any], http: str = "h11") -> Iterator[tuple[str, int]]:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, http=http, loop="asyncio", log_level="critical")
        server = LoopbackServer(config)
        listener = config.bind_socket()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert server.listens.wait(timeout=10)
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            listener.close()
            assert not thread.is_alive()

    return serving

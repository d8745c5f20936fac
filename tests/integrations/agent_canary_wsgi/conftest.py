"""A canary on a manual clock, and a server's end of one request, as PEP 3333 has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from agent_canary import Assignment


class Wire:
    """One request as a server sees it: it calls the app, takes the body's chunks and closes the body."""

    def __init__(self, path: str, headers: Mapping[str, str], environ: Mapping[str, Any]) -> None:
        self.environ: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.1", "SCRIPT_NAME": "", "PATH_INFO": path}
        self.environ |= {"QUERY_STRING": "", **environ}
        self.environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        setup_testing_defaults(self.environ)
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.sent: list[bytes] = []
        self.body: Iterable[bytes] = ()
        self.write_error: OSError | None = None

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """The server's: an answer that is on its way cannot be started anew."""
        if exc_info is not None and self.sent:
            raise exc_info[1]
        assert exc_info is not None or not self.status
        self.status, self.headers = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        """The server's: to the client."""
        assert self.status
        if self.write_error is not None:
            raise self.write_error
        self.sent.append(data)

    def call(self, app: Callable[..., Iterable[bytes]]) -> Iterable[bytes]:
        """Call the app only."""
        self.body = app(self.environ, self.start_response)
        return self.body

    def run(self, app: Callable[..., Iterable[bytes]], leave_after: int | None = None) -> None:
        """Serve the request whole; a client that leaves after some chunks gets no more."""
        self.call(app)
        try:
            if leave_after != 0:
                for number, chunk in enumerate(self.body, 1):
                    self.write(chunk)
                    if number == leave_after:
                        break
        finally:
            self.close()

    def close(self) -> None:
        """Close the body, if it can be closed."""
        if hasattr(self.body, "close"):
            self.body.close()

    @property
    def assignment(self) -> Assignment:
        """What the middleware left in the environ."""
        found = self.environ["agent_canary.assignment"]
        assert isinstance(found, Assignment)
        return found


@pytest.fixture
def wire() -> Callable[..., Wire]:
    """Return a maker of requests."""

    def make(path: str = "/", headers: Mapping[str, str] | None = None, **environ: Any) -> Wire:
        return Wire(path, headers or {}, environ)

    return make

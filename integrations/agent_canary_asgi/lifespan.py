"""One server's start-up and shutdown, for several apps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio

from .types import ASGIApp, Message, Receive, Scope, Send


class AppLifespan:
    """The lifespan of one app.

    Args:
        app: The app.
        scope: The server's lifespan scope; the app gets a copy.
        state: Where the app keeps what its requests shall see.
    """

    def __init__(self, app: ASGIApp, scope: Scope, state: dict[str, Any]) -> None:
        self._app = app
        self._scope: Scope = {**scope, "state": state}
        self._is_asked_to_start = False
        self._shutdown = anyio.Event()
        self._started = anyio.Event()
        self._stopped = anyio.Event()
        self.refusal: Exception | None = None
        self.failure: str | None = None

    async def run(self) -> None:
        """Call the app. What it raises before it has started means that it has no lifespan."""
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            if not self._started.is_set():
                self.refusal = error
            elif self.failure is None:
                self.failure = repr(error)
        finally:
            self._started.set()
            self._stopped.set()

    async def started(self) -> None:
        """Wait until the app has started, has failed to, or has refused."""
        await self._started.wait()

    async def stop(self) -> None:
        """Tell the app to shut down and wait until it has."""
        self._shutdown.set()
        await self._stopped.wait()

    async def _receive(self) -> Message:
        if not self._is_asked_to_start:
            self._is_asked_to_start = True
            return {"type": "lifespan.startup"}
        await self._shutdown.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind.endswith(".failed"):
            self.failure = message.get("message", "")
        if kind.startswith("lifespan.startup."):
            self._started.set()
        elif kind.startswith("lifespan.shutdown."):
            self._stopped.set()


async def run_lifespans(
    apps: Iterable[tuple[ASGIApp, dict[str, Any]]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer one lifespan connection with those of several apps.

    They start and stop at the same time, each in a task of its own. If one fails to start, those that have started are
    stopped and the server is told. Apps that refuse lifespans (they raise, as the specification allows) are left alone.

    Args:
        apps: Each app with the state that its lifespan fills.
        scope: The server's lifespan scope.
        receive: The server's.
        send: The server's.

    Raises:
        Exception: Every app refused; the first refusal, for the server to judge.
    """
    lifespans = [AppLifespan(app, scope, state) for app, state in apps]
    refusals: list[Exception] = []
    await receive()
    async with anyio.create_task_group() as group:
        for lifespan in lifespans:
            group.start_soon(lifespan.run)
        for lifespan in lifespans:
            await lifespan.started()
        refusals += [lifespan.refusal for lifespan in lifespans if lifespan.refusal is not None]
        if len(refusals) < len(lifespans):
            await _serve(lifespans, receive, send)
    if len(refusals) == len(lifespans):
        raise refusals[0]


async def _serve(lifespans: list[AppLifespan], receive: Receive, send: Send) -> None:
    if failures := _failures(lifespans):
        await _stop(lifespans)
        await send({"type": "lifespan.startup.failed", "message": failures})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _stop(lifespans)
    if failures := _failures(lifespans):
        await send({"type": "lifespan.shutdown.failed", "message": failures})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def _stop(lifespans: list[AppLifespan]) -> None:
    async with anyio.create_task_group() as group:
        for lifespan in lifespans:
            group.start_soon(lifespan.stop)


def _failures(lifespans: list[AppLifespan]) -> str | None:
    failures = [lifespan.failure for lifespan in lifespans if lifespan.failure is not None]
    return "\n".join(failures) if failures else None

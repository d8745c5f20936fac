"""One request on its way through the app: what it sends and receives tells how the assignment ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from .types import ASGIApp, Header, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from agent_canary import AgentCanary, Assignment

LOOK_AFTER = 0.05
"""Seconds after which a client may have lost patience. Before, asking whether it is still there costs too much."""

_LOOP_PASSES = 3
"""Passes of the loop in which a task, started or woken, surely takes a message that is waiting, whatever its turn."""

_MOST_AHEAD = 2
"""How many messages are looked at: the rest of a request that the app did not read may come before a departure."""

_BODIES = ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")


class Responder:
    """Wraps ``receive`` and ``send`` of one request.

    The assignment ends when the last byte was handed to the server, and not after background tasks. It is cancelled
    when the client left before: when ``receive`` says so to whoever asks, or ``send`` raises OSError. Servers that do
    neither drop what is sent (uvicorn), and apps need not ask; so the responder asks by itself before the last
    message of an answer that took :data:`LOOK_AFTER` seconds.

    Args:
        assignment: What to end.
        canary: Counts what goes wrong here.
        receive: The server's.
        send: The server's.
        headers: Added to the answer; None leaves its messages untouched.
    """

    __slots__ = (
        "_assignment",
        "_canary",
        "_has_begun_body",
        "_has_ended_body",
        "_headers",
        "_held_back",
        "_receive",
        "_receiving",
        "_send",
        "_status",
    )

    def __init__(
        self,
        assignment: Assignment,
        canary: AgentCanary,
        receive: Receive,
        send: Send,
        headers: Sequence[Header] | None,
    ) -> None:
        self._assignment = assignment
        self._canary = canary
        self._receive = receive
        self._send = send
        self._headers = headers
        self._held_back: list[Message] = []
        self._receiving = 0
        self._status = 0
        self._has_begun_body = False
        self._has_ended_body = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Call the app; whatever it raises is raised again."""
        try:
            with self._assignment.active():
                await app(scope, self.receive, self.send)
        except BaseException as error:
            self._assignment.end(error)
            raise
        if not self._has_ended_body:
            self._assignment.fail("incomplete answer")

    async def receive(self) -> Message:
        """Receive for the app."""
        if self._held_back:
            return self._held_back.pop(0)
        self._receiving += 1
        try:
            message = await self._receive()
        finally:
            self._receiving -= 1
        if message["type"] == "http.disconnect":
            self._see_disconnect()
        return message

    # One function, not the four that it might be: each further coroutine costs as much as what it does.
    async def send(self, message: Message) -> None:
        """Send for the app."""
        kind = message["type"]
        is_last = False
        if kind == "http.response.start":
            self._status = message["status"]
            if self._headers:
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        elif kind in _BODIES:
            if not self._has_begun_body and (kind != "http.response.body" or message.get("body")):
                self._has_begun_body = True
                self._assignment.first_token()
            is_last = not message.get("more_body", False)
        if is_last:
            if self._canary.monotonic() - self._assignment.started_at >= LOOK_AFTER:
                await self._look_for_disconnect()
            # From here on http.disconnect also means that the answer is complete.
            self._has_ended_body = True
        try:
            await self._send(message)
        except OSError:
            self._assignment.cancel()
            raise
        if is_last:
            if self._status >= 500:
                self._assignment.fail(f"status {self._status}")
            else:
                self._assignment.succeed()

    def _see_disconnect(self) -> None:
        if not self._has_ended_body:
            self._assignment.cancel()

    async def _look_for_disconnect(self) -> None:
        """Let what waits to be received be received, and no more; the app still gets it."""
        if self._receiving:
            # The app listens, but may not have had a turn since: a stream that never has to wait takes them all.
            await _pass_the_loop(_LOOP_PASSES)
            return
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._receive_ahead)
                await _pass_the_loop(_MOST_AHEAD * _LOOP_PASSES)
                group.cancel_scope.cancel()
        except Exception as error:
            self._canary.failsafe.note("disconnect", error)

    async def _receive_ahead(self) -> None:
        for _ in range(_MOST_AHEAD):
            message = await self._receive()
            self._held_back.append(message)
            if message["type"] == "http.disconnect":
                self._see_disconnect()
            if message["type"] != "http.request" or message.get("more_body", False):
                return


async def _pass_the_loop(times: int) -> None:
    for _ in range(times):
        await anyio.lowlevel.checkpoint()

"""Clients that leave unnoticed: the look before the last message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agent_canary import AgentCanary, Outcome
from agent_canary.testing import ManualClock
from agent_canary_asgi import CanaryMiddleware

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": []}
LAST = {"type": "http.response.body", "body": b"answer"}


@pytest.fixture
def wrap(canary: AgentCanary) -> Callable[[Any], CanaryMiddleware]:
    """Wrap an app for alice, who is on v2."""
    return lambda app: CanaryMiddleware(app, canary, key=lambda scope: "alice")


@pytest.mark.parametrize("body", [[b""], [], [b"a", b"b", b"c"]])
async def test_a_client_that_left_a_long_answer_is_seen(
    wrap: Any, wire: Any, clock: ManualClock, body: list[bytes]
) -> None:
    """An app that never receives ends normally, and the answer that nobody got is neither success nor failure."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(2.0)
        request.leave()
        await send(START)
        await send(LAST)

    request = wire(body=body)
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.CANCELLED
    assert request.dropped == [START, LAST]


async def test_a_client_that_left_a_server_with_a_queue_is_seen(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """A departure queued behind the unread request, as other servers keep it, is found there, whoever has its turn."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(2.0)
        await send(START)
        await send(LAST)

    for _ in range(30):
        queued, queue = anyio.create_memory_object_stream[Any](2)
        request = wire()
        with queued, queue:
            queued.send_nowait({"type": "http.request", "body": b"", "more_body": False})
            queued.send_nowait({"type": "http.disconnect"})
            await wrap(app)(request.scope, queue.receive, request.send)
        assert request.assignment.outcome is Outcome.CANCELLED


async def test_a_client_that_left_an_app_that_never_waits_is_seen(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """An app that listens, but streams without letting its listener have a turn, has not answered who left."""

    async def send_at_once(message: Any) -> None: ...

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            await send(START)
            clock.advance(2.0)
            request.leave()
            await send(LAST)

    request = wire(body=[])
    await wrap(app)(request.scope, request.receive, send_at_once)
    assert request.assignment.outcome is Outcome.CANCELLED


async def test_a_client_that_stayed_is_seen(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """A long answer to a client that is still there is a success, and all of it is sent."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(2.0)
        await send(START)
        await send({**LAST, "more_body": True})
        await send(LAST)

    request = wire()
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.SUCCEEDED
    assert len(request.sent) == 3


async def test_a_quick_answer_does_not_look(wrap: Any, wire: Any) -> None:
    """The server's receive is not touched for an answer in less than 50 ms."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(LAST)

    request = wire()
    await request.run(wrap(app))
    assert request.receives == 0


async def test_what_the_look_took_reaches_the_app(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """A request body that the app reads only after its answer is all there, in order."""
    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(2.0)
        await send(START)
        await send(LAST)
        received.extend([await receive(), await receive(), await receive()])

    request = wire(body=[b"a", b"b"])
    await request.run(wrap(app))
    assert received == [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]
    assert request.assignment.outcome is Outcome.SUCCEEDED


async def test_a_request_still_arriving_is_not_read_to_its_end(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """The look takes one part of an unread upload, not all of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(2.0)
        await send(START)
        await send(LAST)

    request = wire(body=[b"part"] * 100)
    await request.run(wrap(app))
    assert request.receives == 1
    assert request.assignment.outcome is Outcome.SUCCEEDED


async def test_an_app_that_listens_is_not_disturbed(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """While the app waits in receive, nobody else does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            clock.advance(2.0)
            await send(START)
            await send(LAST)

    request = wire()
    await request.run(wrap(app))
    assert request.receives == 2
    assert request.assignment.outcome is Outcome.SUCCEEDED


async def test_a_receive_that_raises_does_not_reach_the_app(
    canary: AgentCanary, wrap: Any, wire: Any, clock: ManualClock
) -> None:
    """When looking fails, the answer goes out and succeeds, and the failure is counted."""

    async def receive_nothing() -> Any:
        raise RuntimeError("no receive channel")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(2.0)
        await send(START)
        await send(LAST)

    request = wire()
    await wrap(app)(request.scope, receive_nothing, request.send)
    assert request.assignment.outcome is Outcome.SUCCEEDED
    assert canary.failsafe.counts == {"disconnect": 1}

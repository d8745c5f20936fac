"""How a request's end is told: by hand-driven apps, on asyncio and on trio."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agent_canary import AgentCanary, Outcome
from agent_canary.testing import ManualClock
from agent_canary_asgi import CanaryMiddleware

pytestmark = pytest.mark.anyio


def body(content: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def start(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"x-own", b"1")]}


@pytest.fixture
def wrap(canary: AgentCanary) -> Callable[..., CanaryMiddleware]:
    """Wrap an app for alice, who is on v2."""
    return lambda app, **options: CanaryMiddleware(app, canary, **{"key": lambda scope: "alice", **options})


async def test_a_complete_answer_succeeds(wrap: Any, wire: Any) -> None:
    """An answer below 500 whose last byte was sent is a success of its version."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(404))
        await send(body(b"no such page"))

    request = wire()
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.SUCCEEDED
    assert request.assignment.version == "v2"


@pytest.mark.parametrize("status", [500, 503, 599])
async def test_a_status_of_500_or_more_fails(wrap: Any, wire: Any, status: int) -> None:
    """A completed answer with a server error's status is a failure that names the status."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(status))
        await send(body(b"sorry"))

    request = wire()
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.FAILED
    assert request.assignment.details.failure == f"status {status}"


async def test_messages_pass_untouched_without_cookie_and_header(wrap: Any, wire: Any) -> None:
    """The very message objects of the app reach the server, in order, with nothing added."""
    messages = [
        {"type": "http.response.debug", "info": {}},
        start(),
        {"type": "http.response.push", "path": "/x", "headers": []},
        body(b"a", more=True),
        body(b"", more=True),
        {"type": "http.response.body"},
        {"type": "http.response.trailers", "headers": [], "more_trailers": False},
    ]
    before = [dict(message) for message in messages]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    request = wire()
    await request.run(wrap(app))
    assert all(sent is message for sent, message in zip(request.sent, messages, strict=True))
    assert messages == before


@pytest.mark.parametrize("sent_before", [[], [start()], [start(), body(b"half", more=True)]])
async def test_an_exception_before_the_end_fails_and_passes_unchanged(
    wrap: Any, wire: Any, sent_before: list[Any]
) -> None:
    """The app's exception, before its first byte or after, is a failure and is raised again as it was."""
    error = LookupError("the model is gone")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in sent_before:
            await send(message)
        raise error

    request = wire()
    with pytest.raises(LookupError) as caught:
        await request.run(wrap(app))
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "app"
    assert request.assignment.outcome is Outcome.FAILED
    assert request.assignment.details.failure == "LookupError"


@pytest.mark.parametrize("sent_before", [[], [start()], [start(), body(b"half", more=True)]])
async def test_an_incomplete_answer_fails(wrap: Any, wire: Any, sent_before: list[Any]) -> None:
    """An app that ends without having sent its last byte has failed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in sent_before:
            await send(message)

    request = wire()
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.FAILED
    assert request.assignment.details.failure == "incomplete answer"


async def test_an_exception_after_the_end_changes_nothing(wrap: Any, wire: Any) -> None:
    """A background task that fails after the complete answer leaves it a success, and its exception passes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"done"))
        raise RuntimeError("background")

    request = wire()
    with pytest.raises(RuntimeError, match="background"):
        await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.SUCCEEDED


async def test_the_latency_ends_with_the_last_byte(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """Neither background work nor anything after the last byte is part of the latency; the first byte has its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(1.0)
        await send(start())
        await send(body(b"", more=True))
        clock.advance(2.0)
        await send(body(b"first", more=True))
        clock.advance(4.0)
        await send(body(b"last"))
        clock.advance(8.0)

    request = wire()
    await request.run(wrap(app))
    assignment = request.assignment
    assert assignment.ended_at - assignment.started_at == pytest.approx(7.0)
    assert assignment.details.first_token_at - assignment.started_at == pytest.approx(3.0)


async def test_a_group_fails_if_any_of_it_does(wrap: Any, wire: Any) -> None:
    """Cancellation beside an error is the error's failure."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            await anyio.lowlevel.checkpoint()
            raise ValueError("one of the two")

    request = wire()
    with pytest.raises(ExceptionGroup):
        await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.FAILED


async def test_a_cancelled_request_is_neither(wrap: Any, wire: Any) -> None:
    """Cancellation from above, of asyncio or trio, is no failure of the version."""
    began = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        began.set()
        await anyio.sleep_forever()

    request = wire()
    async with anyio.create_task_group() as group:
        group.start_soon(request.run, wrap(app))
        await began.wait()
        group.cancel_scope.cancel()
    assert request.assignment.outcome is Outcome.CANCELLED


@pytest.mark.parametrize("messages", [[start()], [start(), body(b"a", more=True)], [start(), body(b"last")]])
async def test_a_send_that_finds_nobody_is_neither(wrap: Any, wire: Any, messages: list[Any]) -> None:
    """OSError of the server's send, as ASGI 2.4 has it, means that the client left, and passes."""
    gone = OSError("client left")

    async def send_to_nobody(message: Any) -> None:
        if message is messages[-1]:
            raise gone

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    request = wire()
    with pytest.raises(OSError, match="client left") as caught:
        await wrap(app)(request.scope, request.receive, send_to_nobody)
    assert caught.value is gone
    assert request.assignment.outcome is Outcome.CANCELLED


async def test_an_os_error_of_the_app_fails(wrap: Any, wire: Any) -> None:
    """An OSError that does not come from send is the app's own failure."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise OSError("disk full")

    request = wire()
    with pytest.raises(OSError, match="disk full"):
        await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.FAILED


async def test_a_client_seen_leaving_before_the_first_byte_is_neither(wrap: Any, wire: Any) -> None:
    """An app that hears http.disconnect and gives up has not failed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            request.leave()

    request = wire()
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.CANCELLED


async def test_a_client_seen_leaving_during_the_stream_is_neither(wrap: Any, wire: Any) -> None:
    """An app that streams and watches, as Starlette does, ends normally and has not failed."""

    async def stream(send: Any) -> None:
        await send(start())
        while True:
            await send(body(b"tick", more=True))
            if len(request.sent) > 3:
                request.leave()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(stream, send)
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

    request = wire()
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.CANCELLED


async def test_a_disconnect_after_the_last_byte_changes_nothing(wrap: Any, wire: Any) -> None:
    """The http.disconnect that follows every complete answer is no departure, even when heard while it is sent."""
    heard = anyio.Event()

    async def listen(receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(listen, receive)
            await send(start())
            await send(body(b"all"))

    async def send_and_wait(message: Any) -> None:
        await request.send(message)
        if message["type"] == "http.response.body":
            await heard.wait()

    request = wire()
    await wrap(app)(request.scope, request.receive, send_and_wait)
    assert request.assignment.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    "last",
    [
        {"type": "http.response.pathsend", "path": "/srv/answer"},
        {"type": "http.response.zerocopysend", "file": 3},
        {"type": "http.response.zerocopysend", "file": 3, "more_body": False},
    ],
)
async def test_a_body_sent_by_the_server_ends_the_answer(
    wrap: Any, wire: Any, clock: ManualClock, last: dict[str, Any]
) -> None:
    """A path or a file handed over is first and last byte."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        clock.advance(0.01)
        await send(last)
        clock.advance(5.0)

    request = wire()
    await request.run(wrap(app))
    assignment = request.assignment
    assert request.sent[-1] is last
    assert assignment.outcome is Outcome.SUCCEEDED
    assert assignment.ended_at - assignment.started_at == pytest.approx(0.01)
    assert assignment.details.first_token_at == assignment.ended_at


async def test_a_file_with_more_to_come_does_not_end_the_answer(wrap: Any, wire: Any) -> None:
    """A zero-copy message inside a body is not its end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send({"type": "http.response.zerocopysend", "file": 3, "more_body": True})

    request = wire()
    await request.run(wrap(app))
    assert request.assignment.outcome is Outcome.FAILED


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_connections_pass_untouched(canary: AgentCanary, kind: str) -> None:
    """The app below gets the very scope, receive and send of websockets and lifespans, and nothing is assigned."""
    calls: list[Any] = []

    async def app(*given: Any) -> None:
        calls.append(given)

    async def nothing(*message: Any) -> None: ...

    scope = {"type": kind, "path": "/", "headers": []}
    given = (scope, nothing, nothing)
    await CanaryMiddleware(app, canary, key=lambda scope: "alice", cookie="c", response_header="x")(*given)
    assert all(passed is own for passed, own in zip(calls[0], given, strict=True))
    assert scope == {"type": kind, "path": "/", "headers": []}


async def test_one_request_counts_once(canary: AgentCanary, wrap: Any, wire: Any) -> None:
    """Two middlewares of one canary stacked report one request, of the outer one's version."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"once"))

    request = wire()
    await request.run(wrap(wrap(app, key=lambda scope: "bob"), key=lambda scope: "alice"))
    assert request.assignment.version == "v2"
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (0, 1)


async def test_many_requests_at_once_do_not_mix(wrap: Any, wire: Any) -> None:
    """Interleaved requests of one middleware each have an end of their own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(int(scope["path"][1:])))
        for _ in range(3):
            await send(body(b"x", more=True))
            await anyio.lowlevel.checkpoint()
        await send(body())

    middleware = wrap(app)
    requests = [wire(f"/{200 if number % 2 else 500}") for number in range(20)]
    async with anyio.create_task_group() as group:
        for request in requests:
            group.start_soon(request.run, middleware)
    outcomes = [request.assignment.outcome for request in requests]
    assert outcomes == [Outcome.FAILED, Outcome.SUCCEEDED] * 10

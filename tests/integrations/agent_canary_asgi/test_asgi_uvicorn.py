"""A real uvicorn, real sockets, and Starlette below."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from agent_canary import AgentCanary, Assignment, Outcome, current_assignment
from agent_canary.testing import ManualClock
from agent_canary_asgi import CanaryMiddleware

Address = tuple[str, int]


class Agent:
    """An app that keeps the assignments of its requests by path, and says when each is through."""

    def __init__(self, canary: AgentCanary, clock: ManualClock) -> None:
        self._clock = clock
        self.assignments: dict[str, Assignment] = {}
        self.through = threading.Semaphore(0)
        self.wall = anyio.Event()
        routes = [
            Route("/plain", self.plain),
            Route("/threaded", self.threaded),
            Route("/stream", self.stream),
            Route("/raise", self.fail),
            Route("/late", self.late),
            Route("/long", self.long),
            Route("/release", self.release),
        ]
        options = {"cookie": "who", "response_header": "X-Agent-Version", "exclude": "/release"}
        # By keyword, for Starlette before 0.46 names the app so too.
        middleware = [Middleware(CanaryMiddleware, canary=canary, **options)]
        self._app = Starlette(routes=routes, middleware=middleware)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if "agent_canary" in scope.get("state", {}):
                self.assignments[scope["path"]] = scope["state"]["agent_canary"]
            self.through.release()

    async def plain(self, request: Request) -> PlainTextResponse:
        assert current_assignment() is request.state.agent_canary
        return PlainTextResponse(request.state.agent_canary_version, background=BackgroundTask(self._clock.advance, 9))

    def threaded(self, request: Request) -> PlainTextResponse:
        assert current_assignment() is request.state.agent_canary
        return PlainTextResponse("from a thread")

    async def stream(self, request: Request) -> StreamingResponse:
        async def endless() -> AsyncIterator[bytes]:
            self._clock.advance(1.0)
            # More than any socket holds, so that the server waits until it knows that the client has left.
            for _ in range(200):
                yield b"x" * 2**18

        return StreamingResponse(endless())

    async def fail(self, request: Request) -> PlainTextResponse:
        raise LookupError("the model is gone")

    async def late(self, request: Request) -> StreamingResponse:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise LookupError("halfway")

        return StreamingResponse(half())

    async def long(self, request: Request) -> PlainTextResponse:
        self._clock.advance(1.0)
        with anyio.fail_after(10):
            await self.wall.wait()
        return PlainTextResponse("nobody waits for this")

    async def release(self, request: Request) -> PlainTextResponse:
        self.wall.set()
        return PlainTextResponse("released")


@pytest.fixture
def agent(canary: AgentCanary, clock: ManualClock) -> Agent:
    """Return the app to serve."""
    return Agent(canary, clock)


def ask(address: Address, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request and read the answer whole."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def begin(address: Address, path: str) -> socket.socket:
    """Send a request and leave the answer unread."""
    client = socket.create_connection(address, timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def test_a_complete_answer_succeeds(serve: Any, agent: Agent) -> None:
    """An answer carries version and cookie and ends before its background task."""
    with serve(agent) as address:
        answer, content = ask(address, "/plain")
        assert agent.through.acquire(timeout=10)
    assignment = agent.assignments["/plain"]
    assert answer.headers["X-Agent-Version"] == content.decode() == assignment.version
    assert answer.headers["Set-Cookie"].startswith("who=")
    assert assignment.outcome is Outcome.SUCCEEDED
    assert assignment.ended_at == assignment.started_at


def test_a_threaded_endpoint_sees_its_assignment(serve: Any, agent: Agent) -> None:
    """A plain function, which Starlette runs in a thread, has the current assignment."""
    with serve(agent) as address:
        assert ask(address, "/threaded")[0].status == 200
        assert agent.through.acquire(timeout=10)
    assert agent.assignments["/threaded"].outcome is Outcome.SUCCEEDED


def test_an_exception_fails(serve: Any, agent: Agent) -> None:
    """Starlette answers 500 and raises again; the failure has the exception's name."""
    with serve(agent) as address:
        assert ask(address, "/raise")[0].status == 500
        assert agent.through.acquire(timeout=10)
    assert agent.assignments["/raise"].details.failure == "LookupError"  # type: ignore[union-attr]


def test_a_broken_stream_fails(serve: Any, agent: Agent) -> None:
    """An exception after the first byte breaks the answer, and is a failure."""
    with serve(agent) as address:
        with pytest.raises(http.client.IncompleteRead):
            ask(address, "/late")
        assert agent.through.acquire(timeout=10)
    assert agent.assignments["/late"].outcome is Outcome.FAILED


def test_a_client_that_leaves_a_stream_is_neither(serve: Any, agent: Agent) -> None:
    """A client that goes away in the middle of a stream is no failure of its version."""
    with serve(agent) as address:
        with begin(address, "/stream") as client:
            assert client.recv(20).startswith(b"HTTP/1.1 200")
        assert agent.through.acquire(timeout=10)
    assert agent.assignments["/stream"].outcome is Outcome.CANCELLED


def test_a_client_that_leaves_a_long_answer_is_neither(serve: Any, agent: Agent) -> None:
    """An app that never asks whether the client is there returns normally; the middleware asks."""
    with serve(agent) as address:
        begin(address, "/long").close()
        # The server hears of the departure before it hears of a later request.
        assert ask(address, "/release")[0].status == 200
        assert agent.through.acquire(timeout=10)
        assert agent.through.acquire(timeout=10)
    assert agent.assignments["/long"].outcome is Outcome.CANCELLED


def test_a_client_that_stayed_for_a_long_answer_is_seen(serve: Any, agent: Agent) -> None:
    """Who waits for it gets it, and it is a success."""
    with serve(agent) as address, begin(address, "/long") as client:
        assert ask(address, "/release")[0].status == 200
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.read() == b"nobody waits for this"
        assert agent.through.acquire(timeout=10)
        assert agent.through.acquire(timeout=10)
    assert agent.assignments["/long"].outcome is Outcome.SUCCEEDED


def test_racing_first_requests_get_one_cookie(
    make_canary: Callable[..., AgentCanary], clock: ManualClock, serve: Any
) -> None:
    """Six first requests of one browser at once are given one cookie, and with it the same version again."""
    with serve(Agent(make_canary(secret="s"), clock)) as address:
        with ThreadPoolExecutor(6) as threads:
            answers = [answer for answer, _ in threads.map(lambda _: ask(address, "/threaded"), range(6))]
        cookies = {answer.headers["Set-Cookie"] for answer in answers}
        versions = {answer.headers["X-Agent-Version"] for answer in answers}
        assert len(cookies) == len(versions) == 1
        again, _ = ask(address, "/threaded", Cookie=cookies.pop().partition(";")[0])
    assert "Set-Cookie" not in again.headers
    assert again.headers["X-Agent-Version"] in versions

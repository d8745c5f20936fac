"""The FastAPI dependency, for keys that are known only inside the app."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from agent_canary import AgentCanary, Assignment, MissingExtraError, Outcome, current_assignment
from agent_canary_asgi import CanaryMiddleware, canary_assignment

pytestmark = pytest.mark.anyio


def user_of(request: Request) -> str | None:
    return request.headers.get("x-user")


@pytest.fixture
def ask(canary: AgentCanary) -> Callable[..., Any]:
    """Give an app one endpoint with the dependency and ask it once, as alice; return the answer and the assignment."""

    async def asking(endpoint: Callable[..., Any], key: Any = user_of, above: Any = None) -> tuple[Any, Assignment]:
        found: list[Assignment] = []

        assigned = Depends(canary_assignment(canary, key=key))

        async def noting(assignment: Any = assigned) -> Any:
            found.append(assignment)
            return await endpoint(assignment)

        app = FastAPI()
        app.add_api_route("/", noting, response_model=None)
        transport = httpx.ASGITransport(CanaryMiddleware(app, canary, key=above) if above else app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            try:
                answer: Any = await client.get("/", headers={"X-User": "alice"})
            except BaseException as error:
                answer = error
        return answer, found[0]

    return asking


async def version(assignment: Assignment) -> str:
    assert current_assignment() is assignment
    return assignment.version


async def test_the_key_decides(ask: Any) -> None:
    """The dependency yields the assignment of the request's user, which ends as a success."""
    answer, assignment = await ask(version)
    assert answer.json() == "v2"
    assert assignment.outcome is Outcome.SUCCEEDED
    assert current_assignment() is None


async def test_a_key_may_be_awaited(ask: Any) -> None:
    """A coroutine function can look the user up."""

    async def look_up(request: Request) -> str:
        return "bob"

    answer, _ = await ask(version, key=look_up)
    assert answer.json() == "v1"


async def test_a_key_that_raises_gets_stable(canary: AgentCanary, ask: Any) -> None:
    """An error in the user's key is counted, and the request is answered."""
    answer, assignment = await ask(version, key=lambda request: request.user.id)
    assert (answer.json(), assignment.outcome) == ("v1", Outcome.SUCCEEDED)
    assert canary.failsafe.counts == {"key": 1}


@pytest.mark.parametrize(("status", "outcome"), [(404, Outcome.SUCCEEDED), (503, Outcome.FAILED)])
async def test_an_http_exception_counts_by_its_status(ask: Any, status: int, outcome: Outcome) -> None:
    """Below 500 it is an answer, from 500 on a failure."""

    async def refuse(assignment: Assignment) -> None:
        raise HTTPException(status)

    answer, assignment = await ask(refuse)
    assert (answer.status_code, assignment.outcome) == (status, outcome)
    assert (assignment.details and assignment.details.failure) == ("status 503" if status == 503 else None)


async def test_an_exception_fails_and_passes_unchanged(ask: Any) -> None:
    """The endpoint's exception is a failure, and the very same reaches the server."""
    error = LookupError("the model is gone")

    async def fail(assignment: Assignment) -> None:
        raise error

    caught, assignment = await ask(fail)
    assert caught is error
    assert (assignment.outcome, assignment.details and assignment.details.failure) == (Outcome.FAILED, "LookupError")


async def test_a_client_that_leaves_is_neither(ask: Any) -> None:
    """Starlette's way to say that the request's body ended too early."""

    async def leave(assignment: Assignment) -> None:
        raise ClientDisconnect

    caught, assignment = await ask(leave)
    assert isinstance(caught, ClientDisconnect)
    assert assignment.outcome is Outcome.CANCELLED


async def test_a_request_that_fails_validation_succeeds(canary: AgentCanary) -> None:
    """A 422 is an answer."""
    found: list[Assignment] = []
    app = FastAPI()

    assigned = Depends(canary_assignment(canary, key=user_of))

    async def note(assignment: Any = assigned) -> None:
        found.append(assignment)

    @app.get("/number/{number}", dependencies=[Depends(note)])
    async def number(number: int) -> int:
        return number

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        assert (await client.get("/number/seven")).status_code == 422
    assert [assignment.outcome for assignment in found] == [Outcome.SUCCEEDED]


async def test_below_the_middleware_it_joins(canary: AgentCanary, ask: Any) -> None:
    """The middleware's key decides, and the request counts once."""

    async def version(assignment: Assignment) -> str:
        return assignment.version

    answer, _ = await ask(version, above=lambda scope: "bob")
    assert answer.json() == "v1"
    canary.tick()
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (1, 0)


async def test_a_streamed_answer_is_counted_once(canary: AgentCanary, ask: Any) -> None:
    """A stream, whenever this FastAPI ends its dependencies, is one success."""

    async def stream(assignment: Assignment) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        return StreamingResponse(parts())

    answer, assignment = await ask(stream)
    assert answer.content == b"ab"
    assert assignment.outcome is Outcome.SUCCEEDED
    canary.tick()
    assert canary.metrics("v2").total == 1


async def test_a_returned_response_is_passed_on(ask: Any) -> None:
    """As documented: a response with a status of 500 that was returned, not raised, is no failure here."""

    async def busy(assignment: Assignment) -> PlainTextResponse:
        return PlainTextResponse("busy", 503)

    answer, assignment = await ask(busy)
    assert (answer.status_code, assignment.outcome) == (503, Outcome.SUCCEEDED)


# What is missing


@pytest.mark.parametrize("missing", ["starlette", "anyio"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Without Starlette the import says which extra brings it."""
    for name in [name for name in sys.modules if name.partition(".")[0] in (missing, "agent_canary_asgi")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r'pip install "agent-canary-rollout\[asgi\]"'):
        __import__("agent_canary_asgi")


def test_a_missing_fastapi_is_named(canary: AgentCanary, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dependency alone needs FastAPI, and says so when it is made."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "fastapi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(MissingExtraError, match="pip install fastapi"):
        canary_assignment(canary, key=user_of)

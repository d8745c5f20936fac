"""The demo's app, over ASGI without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("starlette")
pytest.importorskip("httpx")

import httpx

from agent_canary import AgentCanary, Rate, Rollout, Stage
from examples.demo.agents import Agent, AgentError
from examples.demo.app import build_app
from examples.demo.traffic import REQUEST_HEADER, USER_HEADER, VERSION_HEADER

pytestmark = pytest.mark.anyio


class FakeAgent:
    """Answers the number of pixels, or raises."""

    def __init__(self, *, raises: bool = False) -> None:
        self._raises = raises

    def read(self, pixels: list[int], request_id: str) -> int:
        """Answer."""
        if self._raises:
            raise AgentError(f"no answer to {request_id}")
        return len(pixels)


@pytest.fixture
def canary() -> Iterator[AgentCanary]:
    """A canary that half of the users get, and whose score is watched."""
    plan = Rollout([Stage(0.5)], rollback_on=[Rate("wrong", horizon=1.0)])
    with AgentCanary("v1", "v2", plan, secret="a secret", autopilot=False) as made:
        yield made


@asynccontextmanager
async def client(canary: AgentCanary, *, raises: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the app; its canary raises if told."""
    agents = cast("dict[str, Agent]", {"v1": FakeAgent(), "v2": FakeAgent(raises=raises)})
    transport = httpx.ASGITransport(build_app(canary, agents))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as made:
        yield made


def user_of(canary: AgentCanary, version: str) -> str:
    """Return a user who gets *version*."""
    return next(name for name in map(str, range(100)) if canary.route(name) == version)


async def read(http: httpx.AsyncClient, user: str) -> httpx.Response:
    """Let *user* have a scan read."""
    return await http.post("/read", json=[0] * 64, headers={USER_HEADER: user, REQUEST_HEADER: "request 1"})


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_user_gets_the_version_of_their_key(canary: AgentCanary, version: str) -> None:
    """The answer says which, and how to judge it."""
    async with client(canary) as http:
        response = await read(http, user_of(canary, version))
    assert response.status_code == 200
    assert response.headers[VERSION_HEADER] == version
    assert response.json()["digit"] == 64
    assert response.json()["assignment"].startswith("v1.")
    assert canary.metrics(version).successes == 1


async def test_an_agent_that_raises_is_an_error_that_names_its_version(canary: AgentCanary) -> None:
    """The user gets a status of 500 and an apology, the canary a failure."""
    async with client(canary, raises=True) as http:
        response = await read(http, user_of(canary, "v2"))
    assert response.status_code == 500
    assert response.headers[VERSION_HEADER] == "v2"
    assert response.json() == {"error": "no answer to request 1"}
    assert canary.metrics("v2").failures == 1


async def test_feedback_is_booked_to_the_answer_it_judges(canary: AgentCanary) -> None:
    """It comes later, by the id that the answer carried, and is no answer of its own."""
    async with client(canary) as http:
        answer = (await read(http, user_of(canary, "v2"))).json()
        response = await http.post("/feedback", json={"assignment": answer["assignment"], "wrong": 1})
    assert response.status_code == 204
    snapshot = canary.metrics("v2").snapshot()
    assert snapshot["scores"] == {"wrong": {"count": 1, "mean": 1.0}}
    assert snapshot["total"] == 1
    assert canary.metrics("v1").total == 0


async def test_forged_feedback_is_refused(canary: AgentCanary) -> None:
    """An id that the app did not sign books nothing."""
    async with client(canary) as http:
        response = await http.post("/feedback", json={"assignment": "v1.forged.id", "wrong": 1})
    assert response.status_code == 422
    assert canary.metrics("v2").snapshot()["scores"] == {}

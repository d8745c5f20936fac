"""A faster answerer behind a Starlette app: promoted stage by stage, while every visitor stays where they are.

Nobody logs in here: a cookie knows the visitors again. Runs without a network, by httpx against the app in this
process; the clock is moved by hand, so that minutes pass in a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from agent_canary import AgentCanary, Rollout, RolloutStatus, Stage
from agent_canary.testing import ManualClock
from agent_canary_asgi import CanaryMiddleware

clock = ManualClock()
canary = AgentCanary(
    "agent-1.0",
    "agent-1.1",
    Rollout([Stage(0.10, min_samples=20), Stage(0.50, min_samples=20), Stage(1.0, min_samples=20)]),
    name="support-agent",
    secret=os.environ.get("CANARY_SECRET", "signs the cookie"),
    clock=clock,
    autopilot=False,  # only here, where the clock is moved by hand: else a thread ticks every second
)


async def words(version: str) -> AsyncIterator[str]:
    """What the agent answers, word by word."""
    for word in f"{version} says: it is on its way".split():
        clock.advance(0.02 if version == "agent-1.0" else 0.01)
        yield f"{word} "


async def chat(request: Request) -> StreamingResponse:
    """Stream the answer of this visitor's version."""
    return StreamingResponse(words(request.state.agent_canary_version), media_type="text/plain")


async def health(_: Request) -> PlainTextResponse:
    """A health check is no evidence."""
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/chat", chat), Route("/health", health)])
app.add_middleware(
    CanaryMiddleware, canary=canary, cookie="agent", response_header="X-Agent-Version", exclude="/health"
)


async def main() -> None:
    """Let visitors come round after round, until everybody has the new version."""
    visitors = [
        httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(f"192.0.2.{number}", 0)), base_url="http://shop")
        for number in range(200)
    ]
    old, new = canary.versions
    moved_back, have_met_it = 0, set[int]()
    while canary.rollout.status is RolloutStatus.RUNNING:
        for number, visitor in enumerate(visitors):
            answer = await visitor.get("/chat")
            await visitor.get("/health")
            if answer.headers["X-Agent-Version"] == new:
                have_met_it.add(number)
            else:
                moved_back += number in have_met_it
        canary.tick()
        p95_ms = [f"{canary.metrics(version).p95_ms:.0f} ms" for version in (old, new)]
        share = canary.status()["traffic_share"]
        print(f"at {share:4.0%}: {len(have_met_it):3} visitors have met {new}; p95 {p95_ms[0]}, with it {p95_ms[1]}")
        clock.advance(200.0)
        canary.tick()
    for visitor in visitors:
        await visitor.aclose()
    print(f"{moved_back} of them met {old} again afterwards")
    print(canary.rollout.status.value, "because", canary.rollout.history[-1].reason)


asyncio.run(main())

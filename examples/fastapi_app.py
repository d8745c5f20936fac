"""A new agent behind a FastAPI endpoint, for logged-in users: it raises for some of them, so it is rolled back.

The user is known only inside the app, hence a dependency instead of the middleware. Runs without a network, by httpx
against the app in this process; the clock is moved by hand.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request

from agent_canary import AgentCanary, Assignment, Rollout, RolloutStatus
from agent_canary.testing import ManualClock
from agent_canary_asgi import canary_assignment

clock = ManualClock()
canary = AgentCanary(
    "agent-1.0",
    "agent-1.1",
    Rollout.standard(),
    name="orders-agent",
    clock=clock,
    autopilot=False,  # only here, where the clock is moved by hand: else a thread ticks every second
)


async def user_of(request: Request) -> str:
    """The logged-in user, as the app finds them; here from a header."""
    return request.headers["X-User"]


Assigned = Annotated[Assignment, Depends(canary_assignment(canary, key=user_of))]
app = FastAPI()


@app.get("/orders/{order}")
async def answer(order: int, assignment: Assigned) -> dict[str, str]:
    """Ask the agent of this user's version."""
    if assignment.version == "agent-1.1" and order % 3 == 0:
        raise HTTPException(502, "the agent called a tool that is not there")
    return {"answer": f"order {order} is on its way", "version": assignment.version}


async def main() -> None:
    """Let users ask until the rollout has been decided."""
    statuses: Counter[tuple[bool, int]] = Counter()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for number in range(5000):
            user = f"user {number * 7919 % 3000}"
            is_canary = canary.route(user) == "agent-1.1"
            response = await client.get(f"/orders/{number}", headers={"X-User": user})
            statuses[is_canary, response.status_code] += 1
            clock.advance(0.5)
            if number % 10 == 0:
                canary.tick()
            if canary.rollout.status is RolloutStatus.ROLLED_BACK:
                break
    for (is_canary, status), count in sorted(statuses.items()):
        print(f"{count:5} answers with status {status} by {canary.versions[is_canary]}")
    print(canary.rollout.status.value, "because", canary.rollout.history[-1].reason)
    print("failures by cause:", canary.status()["failure_reasons"]["agent-1.1"])


asyncio.run(main())

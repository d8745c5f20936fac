"""A canary that half of the keys get, on a manual clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_canary import AgentCanary, Assignment, Rollout, Stage
from agent_canary.testing import ManualClock
from tests.canary.kit import key_on


@pytest.fixture
def clock() -> ManualClock:
    """Return the canary's time."""
    return ManualClock()


@pytest.fixture
def make_canary(clock: ManualClock) -> Iterator[Callable[..., AgentCanary]]:
    """Return a maker of canaries of v2 over v1 at 50 %."""
    made: list[AgentCanary] = []

    def make(**options: Any) -> AgentCanary:
        options = {"clock": clock, "autopilot": False, **options}
        made.append(AgentCanary("v1", "v2", Rollout([Stage(0.5), Stage(1.0)]), **options))
        return made[-1]

    yield make
    for canary in made:
        canary.close()


@pytest.fixture
def canary(make_canary: Callable[..., AgentCanary]) -> AgentCanary:
    """Return one of them."""
    return make_canary()


@pytest.fixture
def assignment(canary: AgentCanary) -> Assignment:
    """Return an assignment of the canary version."""
    return canary.assign(key_on(canary, "v2"))

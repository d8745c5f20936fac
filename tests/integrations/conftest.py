"""A canary on a manual clock, as the tests of the web adapters want it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_canary import AgentCanary, Rollout, Stage
from agent_canary.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Return the canary's clock."""
    return ManualClock()


@pytest.fixture
def make_canary(clock: ManualClock) -> Iterator[Callable[..., AgentCanary]]:
    """Return a maker of canaries: alice is on v2, bob on v1, everybody else as hashed."""
    made: list[AgentCanary] = []

    def make(**options: Any) -> AgentCanary:
        options = {"clock": clock, "autopilot": False, "overrides": {"alice": "v2", "bob": "v1"}, **options}
        made.append(AgentCanary("v1", "v2", Rollout([Stage(0.5)]), **options))
        return made[-1]

    yield make
    for canary in made:
        canary.close()


@pytest.fixture
def canary(make_canary: Callable[..., AgentCanary]) -> AgentCanary:
    """Return a canary without a secret."""
    return make_canary()

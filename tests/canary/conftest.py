"""A clock, and canaries of v2 over v1 on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_canary import AgentCanary, Rollout
from agent_canary.testing import ManualClock
from tests.canary.kit import CANARY, STABLE, STAGES


@pytest.fixture
def clock() -> ManualClock:
    """Return the time of all canaries of a test."""
    return ManualClock()


@pytest.fixture
def make_canary(clock: ManualClock) -> Iterator[Callable[..., AgentCanary]]:
    """Return a maker of canaries; options are AgentCanary's, ``stages`` and ``plan`` options the rollout's."""
    made: list[AgentCanary] = []

    def make(stable: str = STABLE, canary: str = CANARY, **options: Any) -> AgentCanary:
        of_rollout = {key: options.pop(key) for key in ("rollback_on", "hold_on", "keep_salt") if key in options}
        rollout = Rollout(options.pop("stages", STAGES), **of_rollout)
        options = {"clock": clock, "autopilot": False, **options}
        made.append(AgentCanary(stable, canary, rollout, **options))
        return made[-1]

    yield make
    for canary in made:
        canary.close()


@pytest.fixture
def canary(make_canary: Callable[..., AgentCanary]) -> AgentCanary:
    """Return a canary over quick stages of 5, 25, 50 and 100 %."""
    return make_canary()

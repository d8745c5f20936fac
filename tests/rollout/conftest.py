"""A clock, a history that several rollouts share, and rollouts bound to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent_canary import Event, RevisionConflictError, Rollout, Stage
from agent_canary.testing import ManualClock

STAGES = (Stage(0.05), Stage(0.25), Stage(1.0))


class History:
    """An append-only list of events: the only thing that rollouts of several workers share."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        """Append an event that follows the last one."""
        if event.revision != len(self.events) + 1:
            raise RevisionConflictError(f"revision {event.revision} does not follow {len(self.events)}")
        self.events.append(event)


@pytest.fixture
def clock() -> ManualClock:
    """Return the time of all rollouts of a test."""
    return ManualClock()


@pytest.fixture
def history() -> History:
    """Return an empty history."""
    return History()


@pytest.fixture
def rollout(clock: ManualClock) -> Rollout:
    """Return a rollout by itself, of 5, 25 and 100 %."""
    return Rollout(STAGES, clock=clock)


@pytest.fixture
def bound(clock: ManualClock, history: History) -> Callable[..., Rollout]:
    """Return a maker of rollouts that share the history; versions v1 and v2 unless said."""

    def make(stable: str = "v1", canary: str = "v2", **options: Any) -> Rollout:
        options = {"stages": STAGES, **options}
        bind = {key: options.pop(key) for key in ("promotion_delay", "plan", "name") if key in options}
        rollout = Rollout(**options, clock=clock)
        rollout.bind(
            history.append, stable_version=stable, canary_version=canary, clock=clock, **{"name": "agent", **bind}
        )
        rollout.follow(history.events)
        return rollout

    return make

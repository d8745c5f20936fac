"""Canaries of several workers over one store, and stores that misbehave when told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from agent_canary import AgentCanary, Event, MemoryStore, Rollout, StoreError
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.testing import ManualClock
from tests.canary.kit import STAGES


class ToldStore(MemoryStore):
    """A memory store that does as it is told.

    Attributes:
        gone: Whether it cannot be reached.
        before_append: Called once before the next append.
        loses_analyses: Whether another worker is always faster to save an analysis.
        published: Set at each publication.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gone = False
        self.before_append: Callable[[], object] | None = None
        self.loses_analyses = False
        self.published = threading.Event()

    def events(self, name: str, after: int = 0) -> Sequence[Event]:
        """Return the events, if it can be reached."""
        if self.gone:
            raise StoreError("the store cannot be reached")
        return super().events(name, after)

    def append(self, name: str, event: Event) -> None:
        """Append, after somebody else may have been faster."""
        before, self.before_append = self.before_append, None
        if before is not None:
            before()
        super().append(name, event)

    def publish(self, name: str, worker: str, totals: RunTotals) -> None:
        """Publish, and say so."""
        super().publish(name, worker, totals)
        self.published.set()

    def save_analysis(self, name: str, run: int, version: int, state: Mapping[str, Any]) -> bool:
        """Save, unless another worker is always faster."""
        return not self.loses_analyses and super().save_analysis(name, run, version, state)


class ToldSharedStore(ToldStore):
    """One that other processes write to, so that what was read grows stale."""

    is_shared = True


@pytest.fixture
def clock() -> ManualClock:
    """Return the time of all workers."""
    return ManualClock()


@pytest.fixture
def store() -> ToldStore:
    """Return the workers' store."""
    return ToldStore()


@pytest.fixture
def make_worker(clock: ManualClock, store: ToldStore) -> Iterator[Callable[..., AgentCanary]]:
    """Return a maker of canaries, each a worker of the same rollout."""
    made: list[AgentCanary] = []

    def make(**options: Any) -> AgentCanary:
        rollout = Rollout(options.pop("stages", STAGES), rollback_on=options.pop("rollback_on", None))
        options = {"clock": clock, "store": store, "autopilot": False, "name": "agent", **options}
        made.append(AgentCanary("v1", "v2", rollout, **options))
        return made[-1]

    yield make
    for canary in made:
        canary.close()

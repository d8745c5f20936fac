"""Rounds: every contestant runs once in each, so that one ratio never compares two different minutes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import process_time

Samples = Mapping[str, list[float]]
"""Seconds per operation by contestant, one for each round."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        name: ``full``, ``quick`` or ``smoke``.
        rounds: Rounds of each comparison of times.
        folds: Whether samples are long enough to hold whole folds; not in a smoke test.
        sample_seconds: About how long one sample of one contestant takes.
        records: Most records (and users) whose memory is measured.
        echo_rounds: Rounds of quiet and busy stretches of the echo.
        echo_seconds: Length of such a stretch.
        analyses: How many analyses are timed.
        workers: Workers whose totals an analysis merges.
    """

    name: str
    rounds: int
    folds: bool
    sample_seconds: float
    records: int
    echo_rounds: int
    echo_seconds: float
    analyses: int
    workers: int


FULL = Effort("full", 100, True, 0.010, 1_000_000, 12, 0.8, 25, 100)
QUICK = Effort("quick", 15, True, 0.005, 100_000, 4, 0.4, 7, 100)
SMOKE = Effort("smoke", 5, False, 0.0001, 200, 1, 0.05, 1, 3)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One thing to be timed.

    Attributes:
        loop: Does the operation as often as told. Written out as users would write the call.
        batch: Operations per sample are a multiple of this one, so that work done every so often falls into each
            sample equally.
        after: Called after each sample, off the clock.
    """

    loop: Callable[[int], object]
    batch: int = 1
    after: Callable[[], object] | None = None


def measure(
    contestants: Mapping[str, Contestant], effort: Effort, clock: Callable[[], float] = process_time
) -> Samples:
    """Time all contestants in turn, round by round, in alternating order.

    The clock is by default the processor time of the whole process, which stands still while other processes have the
    processor. Where contestants wait for each other it must be the wall clock.

    The garbage collector is on, at its usual thresholds: what an operation leaves behind is part of its price. What
    existed before is frozen out of its sight, and each sample begins just after a collection.
    """
    gc.collect()
    gc.freeze()
    try:
        counts = {name: _calibrated(contestant, effort, clock) for name, contestant in contestants.items()}
        samples: dict[str, list[float]] = {name: [] for name in contestants}
        order = list(contestants)
        for _ in range(effort.rounds):
            for name in order:
                samples[name].append(_sample(contestants[name], counts[name], clock))
            order.reverse()
    finally:
        gc.unfreeze()
    return samples


def _calibrated(contestant: Contestant, effort: Effort, clock: Callable[[], float]) -> int:
    """Warm up, and return the number of operations that take about one sample's time."""
    count = contestant.batch
    while (seconds := _sample(contestant, count, clock) * count) < effort.sample_seconds / 2:
        count *= 2
    batches = effort.sample_seconds / seconds * count / contestant.batch
    return max(1, round(batches)) * contestant.batch


def _sample(contestant: Contestant, count: int, clock: Callable[[], float]) -> float:
    gc.collect()
    started = clock()
    contestant.loop(count)
    seconds = clock() - started
    if contestant.after is not None:
        contestant.after()
    return seconds / count

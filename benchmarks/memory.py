"""What one rollout keeps in one worker's memory, and whether that grows with traffic."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Iterator

from agent_canary import AgentCanary

from .fleet import CANARY, GUARDRAILS, RATES, STABLE, guarded_rollout
from .ratios import Spread
from .rounds import Effort
from .rows import MIB, Row, Rows

REQUESTS_PER_SECOND = 1000
FAILURE_SHARE = 0.02
BAD_SCORE_SHARE = 0.1
MEASURED_EVERY = 8
"""One request in so many reports tokens: it changes sums, whose size is the same, and takes its time."""
FLAT = 1.05
"""A growth up to this ratio is called flat."""
REASON = (
    "ten tables of at most 4,096 failing units fill up as users fail, eight bytes a unit and as much in the copy that "
    "is published; a dictionary of first outcomes, four histograms and what the last scores were take the rest"
)


class Time:
    """A clock set by hand, also backwards: requests overlap, though one after the other is simulated."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return self.now

    def monotonic(self) -> float:
        """The same number."""
        return self.now


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    peaks = dict(_peaks(effort.records))
    few, half, most = sorted(peaks)
    path = f"memory of one rollout, {GUARDRAILS} guardrails, {most:,} users"
    sizes = "; ".join(f"{peaks[count] / 2**20:.2f} MiB up to {count:,} users" for count in sorted(peaks))
    return [
        Row(path, "the peak, ticks included", Spread.fixed(peaks[most] / 2**20), MIB, 4.0, sizes, REASON),
        _growth(f"growth of that memory from {few:,} to {most:,} users", peaks[few], peaks[most], at_most=FLAT),
        _growth(f"for scale: growth of memory from {half:,} to {most:,} users", peaks[half], peaks[most]),
    ]


def _growth(path: str, before: int, after: int, at_most: float | None = None) -> Row:
    """Return a row that says what may be said of more users than were measured."""
    flat = after <= FLAT * before
    beyond = (
        "flat: 10^8 records should take no more, which is extrapolated" if flat else "not flat: says nothing of more"
    )
    return Row(path, "the peak before", Spread.fixed(after / before), at_most=at_most, absolute=beyond)


def _peaks(records: int) -> Iterator[tuple[int, int]]:
    """Yield numbers of records and the largest memory in bytes up to there since the number before."""
    traffic = _Traffic()
    checkpoints = (records // 100, records // 2, records)
    gc.collect()
    tracemalloc.start()
    try:
        rollout = guarded_rollout([0.05])
        with AgentCanary(STABLE, CANARY, rollout, clock=traffic.time, autopilot=False) as canary:
            done = 0
            for checkpoint in checkpoints:
                tracemalloc.reset_peak()
                traffic.serve(canary, done, checkpoint)
                done = checkpoint
                yield checkpoint, tracemalloc.get_traced_memory()[1]
            booked = canary.metrics(STABLE).total + canary.metrics(CANARY).total
            if booked != records or canary.status()["errors"] or canary.status()["status"] != "running":
                raise RuntimeError(f"{records} requests must have been booked without errors, got {canary.status()}")
    finally:
        tracemalloc.stop()


class _Traffic:
    """One request of each of ever new users, with failures, scores and tokens. All of its own is allocated before."""

    def __init__(self) -> None:
        chance = random.Random(1)
        self.time = Time()
        self._latencies = [chance.lognormvariate(-1.9, 1.0) for _ in range(8191)]
        self._failures = [chance.random() < FAILURE_SHARE for _ in range(8179)]
        self._scores = [float(chance.random() < BAD_SCORE_SHARE) for _ in range(8171)]
        self._names = [*RATES, "judge"]

    def serve(self, canary: AgentCanary, first: int, last: int) -> None:
        """Serve the users from number *first* on, below *last*, with a tick every second."""
        clock = self.time.now
        for number in range(first, last):
            clock += 1.0 / REQUESTS_PER_SECOND
            self.time.now = clock - self._latencies[number % len(self._latencies)]
            assignment = canary.assign(f"user-{number}")
            self.time.now = clock
            if number % MEASURED_EVERY == 0:
                assignment.first_token()
                assignment.usage(input_tokens=100, output_tokens=20, cost_usd=0.001)
            if self._failures[number % len(self._failures)]:
                assignment.fail("TimeoutError")
            else:
                assignment.succeed()
            assignment.score(self._names[number % len(self._names)], self._scores[number % len(self._scores)])
            if number % REQUESTS_PER_SECOND == 0:
                canary.tick()
        canary.tick()

"""What all workers together have seen of one run, united as far as somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .arms import Arms, BinaryCounts, CountsBySlice, SliceKey
from .failing_units import FailingCounts, united_counts
from .histogram import Histogram
from .run_totals import RunTotals
from .totals import Totals
from .units import FirstOutcome, Pause, first_outcomes, no_pause

# What adding the counts of a slice takes, adding a histogram, and looking at a first outcome, in steps of a pause.
_SLICE, _HISTOGRAM, _FIRST = 6, 400, 3


class StageTotals:
    """What was assigned in one stage to one arm and counts.

    Args:
        parts: By worker and slice.
        pause: Called between the steps of long works.
    """

    def __init__(self, parts: Sequence[Totals], pause: Pause = no_pause) -> None:
        self._parts = parts
        self._pause = pause
        self.succeeded = sum(part.succeeded for part in parts)
        self.failed = sum(part.failed for part in parts)

    @property
    def total(self) -> int:
        """Requests that succeeded or failed."""
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float:
        """Share in [0, 1] of succeeded among succeeded and failed requests; 1.0 when there are none."""
        return self.succeeded / self.total if self.total else 1.0

    @property
    def p95_ms(self) -> float:
        """95th percentile of the latency in milliseconds, within 0.54 %; 0.0 when there are no requests."""
        latency = Histogram()
        for part in self._parts:
            latency.merge(part.latency)
            self._pause(_HISTOGRAM)
        return latency.quantile(0.95)


class Evidence:
    """The totals of all workers of one run, read only.

    An analysis asks for counts of nearly everything, and for next to none of the histograms and first outcomes: what is
    not asked for is not united, and of one worker alone nothing is copied.

    Args:
        parts: What each worker has seen; those of another run are left out.
        run: The run, from 1.
        pause: Called between the steps of long works.

    Attributes:
        watermark: Wall seconds before which no worker has an open assignment; plus infinity without workers.
    """

    def __init__(self, parts: Iterable[RunTotals], run: int, pause: Pause = no_pause) -> None:
        self._parts = [part for part in parts if part.run == run]
        self._pause = pause
        self.watermark = min((part.watermark for part in self._parts), default=float("inf"))

    def outcomes(self) -> CountsBySlice:
        """Failures of requests with a key, by stage and share."""
        return self._failures(part.keyed for part in self._parts)

    def unkeyed_outcomes(self) -> CountsBySlice:
        """Failures of requests without a key, by stage and share."""
        return self._failures(part.unkeyed for part in self._parts)

    def scored(self, name: str) -> CountsBySlice:
        """The 0/1 scores of a name whose horizon has passed, by stage and share."""
        total: CountsBySlice = {}
        for part in self._parts:
            for key, counts in part.scored.get(name, {}).items():
                total.setdefault(key, BinaryCounts()).merge(counts)
                self._pause(_SLICE)
        return total

    def stage(self, stage_idx: int, *, is_canary: bool) -> StageTotals:
        """What was assigned in one stage to one arm, with and without a key."""
        arms: list[Totals] = []
        for part in self._parts:
            for slices in (part.keyed, part.unkeyed):
                arms += [both.of(is_canary) for key, both in slices.items() if key.stage_idx == stage_idx]
            self._pause(_SLICE)
        return StageTotals(arms, self._pause)

    def failing(self, name: str) -> FailingCounts:
        """Where the units failed that had a bad outcome of *name*."""
        tables = [part.failing[name] for part in self._parts if name in part.failing]
        return tables[0].counts if len(tables) == 1 else united_counts(tables, self._pause)

    def first_outcomes(self) -> tuple[int, Iterable[FirstOutcome]]:
        """The level of the sample of units, and each sampled unit's first outcome, also later than the watermark."""
        if len(self._parts) == 1:
            united = self._parts[0].first
        else:
            united = first_outcomes()
            for part in self._parts:
                united.merge(part.first, self._pause)
        return united.level, self._paced(united.values())

    def _failures(self, by_part: Iterable[Mapping[SliceKey, Arms]]) -> CountsBySlice:
        total: CountsBySlice = {}
        for slices in by_part:
            for key, arms in slices.items():
                total.setdefault(key, BinaryCounts()).merge(BinaryCounts.of_arms(arms))
                self._pause(_SLICE)
        return total

    def _paced(self, values: Iterable[FirstOutcome]) -> Iterator[FirstOutcome]:
        for value in values:
            yield value
            self._pause(_FIRST)

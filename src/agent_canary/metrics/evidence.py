"""What all workers together have seen of one run, united as far as somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from .arms import Arms, BinaryCounts, CountsBySlice, SliceKey, merge_counts
from .clusters import ArmClusters, ClusterSums
from .failing_units import FailingCounts, united_counts
from .run_totals import MAX_SEEN, ClustersBySlice, RunTotals
from .stage_totals import StageTotals
from .totals import ScoreSums, Totals
from .units import FirstOutcome, Pause, UnitTable, first_outcomes, no_pause

# What adding the counts of a slice takes, adding its clusters, and looking at a first outcome, in steps of a pause.
_SLICE, _CLUSTERS, _FIRST = 6, 6, 3
_BATCH = 256
_WORKERS_AT_ONCE = 50


class Evidence:
    """The totals of all workers of one run, read only.

    An analysis asks for counts of nearly everything, and for next to none of the histograms and first outcomes: what is
    not asked for is not united, what was is not united twice, and of one worker alone nothing is copied.

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
        self._clusters: dict[str, ClustersBySlice] = {}
        self._stages: dict[tuple[int | None, bool], StageTotals] = {}
        self._unkeyed_scores: dict[str, dict[SliceKey, tuple[ScoreSums, ScoreSums]]] = {}
        self._outcomes: CountsBySlice | None = None
        self._first: UnitTable[FirstOutcome] | None = None
        self.watermark = min((part.watermark for part in self._parts), default=float("inf"))

    def pause(self, steps: int) -> None:
        """Let other threads have the interpreter, after so many steps of 0.1 microseconds."""
        self._pause(steps)

    def outcomes(self) -> CountsBySlice:
        """Failures of requests with a key, by stage and share."""
        if self._outcomes is None:
            self._outcomes = self._failures(part.keyed for part in self._parts)
        return dict(self._outcomes)

    def unkeyed_outcomes(self) -> CountsBySlice:
        """Failures of requests without a key, by stage and share."""
        return self._failures(part.unkeyed for part in self._parts)

    def unkeyed_counts(self, metric: str) -> CountsBySlice:
        """Answers without a key above the limit of an amount, by stage and share."""
        total: CountsBySlice = {}
        for part in self._parts:
            merge_counts(total, part.unkeyed_counts.get(metric, {}))
            self._pause(_SLICE)
        return total

    def unkeyed_scores(self, name: str) -> dict[SliceKey, tuple[ScoreSums, ScoreSums]]:
        """The scores of a name without a key, of the canary and of stable, by stage and share. Not to be changed."""
        known = self._unkeyed_scores.get(name)
        if known is None:
            known = self._unkeyed_scores[name] = self._united_unkeyed_scores(name)
        return known

    def _united_unkeyed_scores(self, name: str) -> dict[SliceKey, tuple[ScoreSums, ScoreSums]]:
        total: dict[SliceKey, tuple[ScoreSums, ScoreSums]] = {}
        for part in self._parts:
            for key, arms in part.unkeyed.items():
                both = arms.canary.scores.get(name), arms.stable.scores.get(name)
                if any(both):
                    mine = total.setdefault(key, (ScoreSums(), ScoreSums()))
                    for sums, news in zip(mine, both, strict=True):
                        sums.merge(news or ScoreSums())
            self._pause(_SLICE)
        return total

    def clusters(self, metric: str) -> ClustersBySlice:
        """Answers and values by cluster, by stage and share: see :attr:`RunTotals.clusters`. Not to be changed."""
        known = self._clusters.get(metric)
        if known is None:
            known = self._clusters[metric] = self._united_clusters(metric)
        return known

    def counts(self, metric: str) -> CountsBySlice:
        """Answers and bad ones of a metric, by stage and share."""
        return {
            key: BinaryCounts(arms.canary.answers, int(arms.canary.total), arms.stable.answers, int(arms.stable.total))
            for key, arms in self.clusters(metric).items()
        }

    def score(self, name: str, stage_idx: int, *, is_canary: bool, bad: float | None = None) -> ScoreSums:
        """The sums of a score's values that a guardrail watches, of one arm in a stage.

        Args:
            name: The score's name.
            stage_idx: The stage, from 0.
            is_canary: Which arm.
            bad: The bad value where it is a 0/1 score, of which clusters count the bad ones; None for real values.
        """
        total = ScoreSums()
        for key, arms in self.clusters(name).items():
            if key.stage_idx == stage_idx:
                sums = arms.of(is_canary)
                values = sums.answers - sums.total if bad == 0.0 else sums.total
                total.merge(ScoreSums(sums.answers, values, values if bad is not None else sums.squares))
        for key, (canary, stable) in self.unkeyed_scores(name).items():
            if key.stage_idx == stage_idx:
                total.merge(canary if is_canary else stable)
        return total

    def stage(self, stage_idx: int | None, *, is_canary: bool) -> StageTotals:
        """What was assigned in one stage, or with None in the whole run, to one arm, with and without a key."""
        known = self._stages.get((stage_idx, is_canary))
        if known is None:
            known = self._stages[stage_idx, is_canary] = self._stage(stage_idx, is_canary)
        return known

    def quantile(self, amount: str, p: float) -> tuple[int, float]:
        """How many answers of stable in the run tell of an amount, and its *p*-quantile."""
        return self.stage(None, is_canary=False).quantile(amount, p)

    def failing(self, name: str) -> FailingCounts:
        """Where the units are that met a bad answer of *name*."""
        tables = [part.failing[name] for part in self._parts if name in part.failing]
        return tables[0].counts if len(tables) == 1 else united_counts(tables, self._pause)

    def seen(self, name: str) -> FailingCounts:
        """Where the units are that have a score of *name*, estimated from a small sample."""
        tables = [part.seen[name] for part in self._parts if name in part.seen]
        return tables[0].counts if len(tables) == 1 else united_counts(tables, self._pause, MAX_SEEN)

    def users(self) -> tuple[int, int]:
        """How many units met stable first, and how many have met the canary by now; estimated from a sample."""
        table, on_stable, on_canary = self._first_table(), 0, 0
        for some in self._batches(table.values()):
            on_stable += [outcome[3] for outcome in some].count(False)
            on_canary += [outcome[5] for outcome in some].count(True)
        return on_stable << table.level, on_canary << table.level

    def first_seen(self) -> tuple[int, Mapping[tuple[int, float, bool], int]]:
        """The level of the sample, and how many units were first seen before the watermark, by stage, share and arm."""
        table, counts = self._first_table(), Counter[tuple[int, float, bool]]()
        for some in self._batches(table.values()):
            counts.update([outcome[1:4] for outcome in some if outcome[0] < self.watermark])
        return table.level, counts

    def first_outcomes(self) -> tuple[int, Iterable[FirstOutcome]]:
        """The level of the sample of units, and each sampled unit's first outcome, also later than the watermark."""
        table = self._first_table()
        return table.level, self._paced(table.values())

    def _first_table(self) -> UnitTable[FirstOutcome]:
        if self._first is None:
            self._first = self._parts[0].first if len(self._parts) == 1 else first_outcomes()
            for part in self._parts if len(self._parts) > 1 else ():
                self._first.merge(part.first, self._pause)
        return self._first

    def _batches(self, values: Iterable[FirstOutcome]) -> Iterator[list[FirstOutcome]]:
        waiting = iter(values)
        while some := list(islice(waiting, _BATCH)):
            yield some
            self._pause(_FIRST * len(some) // 4)

    def _united_clusters(self, metric: str) -> ClustersBySlice:
        found: dict[SliceKey, list[ArmClusters]] = {}
        for part in self._parts:
            for key, arms in part.clusters.get(metric, {}).items():
                found.setdefault(key, []).append(arms)
            self._pause(_SLICE)
        total: ClustersBySlice = {}
        for key, parts in found.items():
            if len(parts) == 1:
                total[key] = parts[0]
            else:
                total[key] = ArmClusters(*(self._united_arm(parts, is_canary) for is_canary in (False, True)))
        return total

    def _united_arm(self, parts: Sequence[ArmClusters], is_canary: bool) -> ClusterSums:
        total = ClusterSums()
        for first in range(0, len(parts), _WORKERS_AT_ONCE):
            total.merge(ClusterSums.united([part.of(is_canary) for part in parts[first : first + _WORKERS_AT_ONCE]]))
            self._pause(_CLUSTERS * _WORKERS_AT_ONCE)
        return total

    def _stage(self, stage_idx: int | None, is_canary: bool) -> StageTotals:
        arms: list[Totals] = []
        for part in self._parts:
            for slices in (part.keyed, part.unkeyed):
                arms += [both.of(is_canary) for key, both in slices.items() if stage_idx in (None, key.stage_idx)]
            self._pause(_SLICE)
        return StageTotals(arms, self._pause)

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

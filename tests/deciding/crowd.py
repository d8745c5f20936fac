"""Totals of workers as a crowd of users leaves them, with something of all that guardrails look at."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from agent_canary import (
    Cost,
    FailureRate,
    Finding,
    FirstToken,
    Latency,
    Plan,
    Rate,
    SafetyMargin,
    SampleRatio,
    Score,
    Stage,
    Threshold,
    Tokens,
)
from agent_canary.deciding.analysis import Analysis
from agent_canary.deciding.case import Moment
from agent_canary.deciding.memory import AnalysisMemory
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey
from agent_canary.metrics.clusters import CLUSTERS
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.failing_units import FailingUnits
from agent_canary.metrics.run_totals import MAX_SEEN, RunTotals
from agent_canary.metrics.totals import MICRO_DOLLARS, ScoreSums, Totals

SLICES = (SliceKey(0, 0.5), SliceKey(1, 0.5))
AMOUNTS = (Latency(), FirstToken(0.95), Cost(0.5), Tokens(0.5))
METRICS = tuple(each.metric_of(quantile) for each in AMOUNTS for quantile in each.quantiles)


def plan_of(scale: float = 1.0) -> Plan:
    """A plan that watches everything; *scale* is the unit of its scores."""
    return Plan(
        [Stage(0.5), Stage(0.5)],
        [FailureRate(), *AMOUNTS, SampleRatio(), Score("judge", 0.125 * scale), Rate("liked", higher_is_better=True)],
        [
            Score("clear", 0.125 * scale, bounds=(0.0, scale)),
            SafetyMargin(0.05, 10),
            Threshold("success_rate", at_least=0.5),
        ],
    )


@dataclass(frozen=True)
class Crowd:
    """How users behave.

    Attributes:
        seed: Of all draws.
        users: How many there are.
        worse: The probability that an answer of the canary is bad, in eighths; stable's is one eighth.
        swaps: Whether the canary gets what stable would get, and the other way round.
        scale: By how much scores are multiplied, a power of two.
    """

    seed: int
    users: int
    worse: int
    swaps: bool = False
    scale: float = 1.0

    def batch(self, number: int) -> RunTotals:
        """Return what one worker has seen of one batch of answers."""
        draw = random.Random(f"{self.seed}/{number}")
        totals = RunTotals(1, watermark=100.0 + number)
        told: dict[tuple[SliceKey, bool], list[tuple[int, int, list[float]]]] = {}
        for unit in range(self.users):
            goes_second = random.Random(f"{self.seed}/{unit}").random() < 0.5
            key, answers = SLICES[draw.randrange(2)], draw.randrange(4)
            eighths = self.worse if goes_second else 1
            bad = sum(draw.randrange(8) < eighths for _ in range(answers))
            worth = self.scale * (0.5 if goes_second and self.worse > 1 else 1.0)
            values = [draw.randrange(8) / 8 * worth for _ in range(answers)]
            if answers:
                told.setdefault((key, goes_second is not self.swaps), []).append((unit, bad, values))
        for (key, is_canary), of_users in told.items():
            _add_arm(totals, key, is_canary, of_users)
        return totals


def _add_arm(totals: RunTotals, key: SliceKey, is_canary: bool, of_users: list[tuple[int, int, list[float]]]) -> None:
    answers, bad = Counter[int](), Counter[int]()
    seen = FailingUnits(MAX_SEEN)
    everything: list[float] = []
    for unit, bad_ones, values in of_users:
        cluster, hashed = unit % CLUSTERS, unit * 0x9E3779B97F4A7C15 % 2**64
        answers[cluster] += len(values)
        bad[cluster] += bad_ones
        everything += values
        for value in values:
            totals.clusters_of("judge", key).of(is_canary).add_value(cluster, value, value / 2 if unit % 2 else None)
        seen.put(hashed, (0.0, key.share) if is_canary else (key.share, None))
        totals.first.put(hashed, (50.0 + unit % 7, key.stage_idx, key.share, is_canary, bad_ones > 0, is_canary))
        for metric in ("failures", "liked", *METRICS) if bad_ones else ():
            totals.add_failing(metric, key.share, [(hashed, is_canary)])
    totals.merge_seen("judge", seen)
    for metric in ("failures", "liked", *METRICS):
        totals.clusters_of(metric, key).of(is_canary).count(answers, +bad)
    for metric in METRICS:
        counts = totals.unkeyed_counts.setdefault(metric, {}).setdefault(key, BinaryCounts())
        counts.add(is_canary, len(everything), bad.total())
    sums = ScoreSums(len(everything), sum(everything), sum(value * value for value in everything))
    for slices in (totals.keyed, totals.unkeyed):
        arm = slices.setdefault(key, Arms()).of(is_canary)
        arm.merge(Totals(succeeded=len(everything) - bad.total(), failed=bad.total()))
        arm.latency.record_many([100.0 + unit for unit, _, values in of_users for _ in values])
        arm.cost.record_many([0.25 * MICRO_DOLLARS] * len(everything))
    for name in ("clear", "judge"):
        totals.unkeyed[key].of(is_canary).scores[name] = ScoreSums(sums.count, sums.total, sums.squares)


def merged(parts: Iterable[RunTotals]) -> RunTotals:
    """Return the sum of some workers' totals."""
    whole: RunTotals | None = None
    for part in parts:
        if whole is None:
            whole = part.copy()
        else:
            whole.merge(part)
    assert whole is not None
    return whole


def judged(
    parts: Iterable[RunTotals], memory: AnalysisMemory | None = None, *, scale: float = 1.0, seconds: float = 100.0
) -> tuple[Finding, ...]:
    """Return the findings of an analysis in the second stage."""
    moment = Moment(1, seconds, 2.0 * seconds)
    return Analysis(plan_of(scale), 0.01).run(
        Evidence(parts, 1), moment, AnalysisMemory() if memory is None else memory
    )

"""Evidence: what an analysis sees of all workers is what merging them would give."""

from __future__ import annotations

import math
import random

import pytest

from agent_canary.metrics import Histogram
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.failing_units import FailingCounts
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.metrics.totals import Totals

FIRST, SECOND = SliceKey(0, 0.05), SliceKey(1, 0.25)
NAME = "grounded"


def a_worker(seed: int) -> RunTotals:
    """What one worker has seen of two stages."""
    chance = random.Random(seed)
    totals = RunTotals(1, watermark=100.0 + seed)
    for key in (FIRST, SECOND):
        for slices in (totals.keyed, totals.unkeyed):
            slices[key] = Arms(some_totals(chance), some_totals(chance))
        totals.scored.setdefault(NAME, {})[key] = BinaryCounts(9, chance.randrange(9), 30, chance.randrange(30))
        for name in ("failures", NAME):
            totals.add_failing(name, key.share, [(chance.randrange(2**40), chance.random() < 0.3) for _ in range(3000)])
        for unit in (chance.randrange(5000) << 40 for _ in range(3000)):
            totals.first.put(unit, (chance.random(), key.stage_idx, key.share, chance.random() < 0.3, False))
    return totals


def some_totals(chance: random.Random) -> Totals:
    """Answers with latencies."""
    failed, latencies = chance.randrange(5), [chance.lognormvariate(5, 1) for _ in range(40)]
    return Totals(succeeded=40 - failed, failed=failed, latency=Histogram(latencies))


WORKERS = [a_worker(seed) for seed in range(5)]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_evidence_is_that_of_the_merged_totals(count: int) -> None:
    """Of none, one, two and several workers: every count, sample and quantile."""
    parts, merged = WORKERS[:count], RunTotals(1, math.inf)
    for part in parts:
        merged.merge(part)
    evidence, whole = Evidence(parts, 1), Evidence([merged], 1)
    assert evidence.watermark == merged.watermark
    assert evidence.outcomes() == {key: BinaryCounts.of_arms(arms) for key, arms in merged.keyed.items()}
    assert evidence.unkeyed_outcomes() == {key: BinaryCounts.of_arms(arms) for key, arms in merged.unkeyed.items()}
    assert evidence.scored(NAME) == merged.scored.get(NAME, {})
    for name in ("failures", NAME):
        assert evidence.failing(name) == whole.failing(name)
    level, outcomes = evidence.first_outcomes()
    assert (level, sorted(outcomes)) == (merged.first.level, sorted(merged.first.values()))
    for is_canary in (False, True):
        stage, expected = (seen.stage(1, is_canary=is_canary) for seen in (evidence, whole))
        assert (stage.total, stage.success_rate, stage.p95_ms) == (
            expected.total,
            expected.success_rate,
            expected.p95_ms,
        )


def test_a_stage_is_all_of_its_slices() -> None:
    """Whatever the share, with and without a key, of one arm; other stages are left out."""
    totals = RunTotals(1)
    totals.keyed = {
        SliceKey(1, 0.05): Arms(Totals(succeeded=1), Totals(succeeded=10, latency=Histogram([8.0] * 10))),
        SliceKey(1, 0.0): Arms(Totals(succeeded=2), Totals(succeeded=20, latency=Histogram([16.0] * 20))),
        SliceKey(2, 0.25): Arms(Totals(succeeded=4), Totals(succeeded=40, latency=Histogram([999.0] * 40))),
    }
    totals.unkeyed = {SliceKey(1, 0.05): Arms(Totals(failed=8), Totals(failed=80))}
    evidence = Evidence([totals], 1)
    canary = evidence.stage(1, is_canary=True)
    assert (canary.succeeded, canary.failed, canary.total) == (30, 80, 110)
    assert canary.success_rate == 30 / 110
    assert canary.p95_ms == pytest.approx(16.0, rel=0.006)
    stable = evidence.stage(1, is_canary=False)
    assert (stable.succeeded, stable.failed) == (3, 8)
    nothing = evidence.stage(0, is_canary=True)
    assert (nothing.total, nothing.success_rate, nothing.p95_ms) == (0, 1.0, 0.0)


def test_outcomes_are_failures_by_slice() -> None:
    """With a key and without apart."""
    totals, key = RunTotals(1), SliceKey(1, 0.05)
    totals.keyed[key] = Arms(Totals(succeeded=9, failed=1), Totals(failed=2))
    totals.unkeyed[key] = Arms(Totals(succeeded=5), Totals(succeeded=3, failed=1))
    evidence = Evidence([totals], 1)
    assert evidence.outcomes() == {key: BinaryCounts(2, 2, 10, 1)}
    assert evidence.unkeyed_outcomes() == {key: BinaryCounts(4, 1, 5, 0)}


def test_a_name_that_nobody_scored_has_no_evidence() -> None:
    """Empty, without an error."""
    evidence = Evidence(WORKERS, 1)
    assert (evidence.scored("unknown"), evidence.failing("unknown")) == ({}, FailingCounts())


def test_a_sampled_table_without_units_keeps_its_level() -> None:
    """An empty table that has sampled is not taken for one that was never filled."""
    totals = RunTotals(1)
    totals.add_failing("failures", 0.5, [])
    totals.failing["failures"].restore(3, {})
    assert Evidence([totals], 1).failing("failures").level == 3
    assert Evidence([totals, RunTotals(1)], 1).failing("failures").level == 3
    assert Evidence([totals, WORKERS[0]], 1).failing("failures").level >= 3


def test_other_runs_are_left_out() -> None:
    """A worker that still publishes an older run does not count."""
    old, new = RunTotals(1, 5.0), RunTotals(2, 9.0)
    old.add_failing("failures", 0.5, [(1, True)])
    evidence = Evidence([old, new], 2)
    assert evidence.watermark == 9.0
    assert evidence.failing("failures") == FailingCounts()
    assert Evidence([], 2).watermark == math.inf


def test_what_workers_published_stays_as_it_was() -> None:
    """A store keeps the objects."""
    kept = [worker.copy() for worker in WORKERS]
    for parts in (WORKERS, WORKERS[:1]):
        evidence = Evidence(parts, 1)
        evidence.outcomes()[FIRST].add(True, 1, 1)
        evidence.scored(NAME)[FIRST].add(True, 1, 1)
        list(evidence.first_outcomes()[1])
        assert evidence.failing("failures").on_canary
        assert evidence.stage(1, is_canary=True).p95_ms
    assert kept == WORKERS


def test_an_analysis_pauses_often() -> None:
    """Whatever it asks for, no part of it takes long."""
    steps: list[int] = []
    evidence = Evidence(WORKERS, 1, steps.append)
    for ask in (
        evidence.outcomes,
        evidence.unkeyed_outcomes,
        lambda: evidence.scored(NAME),
        lambda: evidence.failing("failures"),
        lambda: list(evidence.first_outcomes()[1]),
        lambda: evidence.stage(1, is_canary=True).p95_ms,
    ):
        steps.clear()
        ask()
        assert len(steps) >= len(WORKERS)
        assert max(steps) < 5000

"""Evidence: what an analysis sees of all workers is what merging them would give."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary.metrics import Histogram
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey
from agent_canary.metrics.clusters import ArmClusters, ClusterSums
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.failing_units import FailingCounts, FailingUnits
from agent_canary.metrics.run_totals import MAX_SEEN, RunTotals
from agent_canary.metrics.stage_totals import StageTotals
from agent_canary.metrics.totals import ScoreSums, Totals
from agent_canary.stores import MemoryStore
from tests.metrics.totals_kit import run_totals, through_text, union

FIRST, SECOND = SliceKey(0, 0.05), SliceKey(1, 0.25)
NAME = "grounded"
AMOUNTS = ("latency", "first_token", "cost", "tokens")
few = settings(max_examples=30)


def a_worker(seed: int) -> RunTotals:
    """What one worker has seen of two stages, of more units than its samples have room for."""
    chance = random.Random(seed)
    totals = RunTotals(1, watermark=100.0 + seed)
    for key in (FIRST, SECOND):
        for slices in (totals.keyed, totals.unkeyed):
            slices[key] = Arms(some_totals(chance), some_totals(chance))
        totals.unkeyed_counts.setdefault(NAME, {})[key] = BinaryCounts(9, chance.randrange(9), 30, chance.randrange(30))
        for name in ("failures", NAME):
            totals.add_failing(name, key.share, [(chance.getrandbits(64), chance.random() < 0.3) for _ in range(3000)])
            for is_canary in (False, True):
                bad = {chance.randrange(64): chance.randrange(5) for _ in range(9)}
                totals.clusters_of(name, key).of(is_canary).count(dict.fromkeys(bad, 5), bad)
        for is_canary in (False, True):
            for _ in range(9):
                value, covariate = chance.randrange(99) / 8, chance.choice([None, 0.5])
                totals.clusters_of("tone", key).of(is_canary).add_value(chance.randrange(64), value, covariate)
        seen = FailingUnits(MAX_SEEN)
        for _ in range(700):
            seen.put(chance.getrandbits(64), chance.choice([(0.0, key.share), (key.share, None)]))
        totals.merge_seen(NAME, seen)
        for unit in (chance.randrange(5000) * 0x9E3779B97F4A7C15 % 2**64 for _ in range(3000)):
            on_canary = chance.random() < 0.3
            at = chance.randrange(2000) / 8
            totals.first.put(unit, (at, key.stage_idx, key.share, on_canary, chance.random() < 0.1, on_canary))
    return totals


def some_totals(chance: random.Random) -> Totals:
    """Answers with amounts and scores, whose sums are exact."""
    failed = chance.randrange(5)
    amounts = [Histogram([chance.randrange(1, 10_000) / 8 for _ in range(40)]) for _ in AMOUNTS]
    totals = Totals(succeeded=40 - failed, failed=failed, **dict(zip(AMOUNTS, amounts, strict=True)))
    for _ in range(chance.randrange(4)):
        totals.add_score(NAME, chance.randrange(8) / 8)
    return totals


WORKERS = [a_worker(seed) for seed in range(5)]


def answers(evidence: Evidence) -> dict[str, Any]:
    """Everything that an analysis may ask, as it compares."""
    level, outcomes = evidence.first_outcomes()
    asked: dict[str, Any] = {
        "watermark": evidence.watermark,
        "outcomes": evidence.outcomes(),
        "unkeyed_outcomes": evidence.unkeyed_outcomes(),
        "first_outcomes": (level, sorted(outcomes)),
        "first_seen": evidence.first_seen(),
        "users": evidence.users(),
    }
    by_name: tuple[Callable[[str], object], ...] = (
        evidence.clusters,
        evidence.counts,
        evidence.failing,
        evidence.seen,
        evidence.unkeyed_counts,
        evidence.unkeyed_scores,
    )
    for name in ("failures", "thumbs_up", "größer", "judge", NAME, "tone", "unknown"):
        asked.update({f"{ask.__name__} {name}": ask(name) for ask in by_name})
        for arm in (False, True):
            asked[f"score {name} {arm}"] = [evidence.score(name, stage, is_canary=arm) for stage in range(5)]
    for stage_idx in (*range(5), None):
        for arm in (False, True):
            asked[f"stage {stage_idx} {arm}"] = stage_answers(evidence.stage(stage_idx, is_canary=arm))
    asked["quantile"] = [evidence.quantile(amount, p) for amount in AMOUNTS for p in (0.0, 0.5, 0.99, 1.0)]
    return asked


def stage_answers(stage: StageTotals) -> list[object]:
    """Everything that a stage tells."""
    counts = [stage.succeeded, stage.failed, stage.total, stage.success_rate, stage.p95_ms]
    return [*counts, *(stage.quantile(amount, 0.5) for amount in AMOUNTS), *map(stage.mean, AMOUNTS)]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_evidence_is_that_of_the_merged_totals(count: int) -> None:
    """Of none, one, two and several workers: every count, sum, sample and quantile."""
    parts, merged = WORKERS[:count], RunTotals(1, math.inf)
    for part in parts:
        merged.merge(part)
    assert answers(Evidence(parts, 1)) == answers(Evidence([merged], 1))
    assert Evidence(parts, 1).outcomes() == {key: BinaryCounts.of_arms(arms) for key, arms in merged.keyed.items()}
    assert Evidence(parts, 1).clusters("tone") == merged.clusters.get("tone", {})


@few
@given(st.lists(run_totals(), max_size=5), st.randoms(use_true_random=False))
def test_how_a_run_is_spread_over_workers_changes_nothing(parts: list[RunTotals], chance: random.Random) -> None:
    """Permuted, merged into fewer workers or into one, and through the store's JSON: the answers are the same."""
    expected = answers(Evidence(parts, 3))
    shuffled = parts.copy()
    chance.shuffle(shuffled)
    groups: list[list[RunTotals]] = [[] for _ in range(1 + chance.randrange(3))]
    for part in shuffled:
        chance.choice(groups).append(part)
    for workers in (
        shuffled,
        [union(*group) for group in groups if group],
        [union(*parts)] if parts else [],
        [through_text(part) for part in shuffled],
        [*shuffled, RunTotals(3, math.inf)],
    ):
        assert answers(Evidence(workers, 3)) == expected


@few
@given(st.lists(run_totals(), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_totals_that_are_sent_again_change_nothing(parts: list[RunTotals], chance: random.Random) -> None:
    """A worker's totals take the place of what it sent before, as often as it likes."""
    once, again = MemoryStore(), MemoryStore()
    for number, part in enumerate(parts):
        once.publish("run", f"worker {number}", part)
    for _ in range(3):
        for number in chance.sample(range(len(parts)), len(parts)):
            again.publish("run", f"worker {number}", through_text(parts[number]))
    assert answers(Evidence(again.totals("run", 3).values(), 3)) == answers(Evidence(once.totals("run", 3).values(), 3))


@few
@given(st.lists(run_totals(), min_size=1, max_size=3))
def test_samples_of_users_may_be_sent_twice(parts: list[RunTotals]) -> None:
    """Who is known is known: under another worker's name the same users are no more users."""
    expected, twice = Evidence(parts, 3), Evidence([*parts, *parts], 3)
    for name in ("failures", "thumbs_up", "größer"):
        assert (twice.failing(name), twice.seen(name)) == (expected.failing(name), expected.seen(name))
    assert (twice.users(), twice.first_seen()) == (expected.users(), expected.first_seen())


@few
@given(st.lists(run_totals(), max_size=4))
def test_clusters_by_column_are_clusters_one_by_one(parts: list[RunTotals]) -> None:
    """Uniting all workers at once is adding one to the other, of 0/1 outcomes and of values."""
    evidence = Evidence(parts, 3)
    for name in ("failures", "thumbs_up", "größer"):
        expected: dict[SliceKey, ArmClusters] = {}
        for part in parts:
            for key, arms in part.clusters.get(name, {}).items():
                expected.setdefault(key, ArmClusters()).merge(arms)
        assert evidence.clusters(name) == expected
        assert {key: counts.total for key, counts in evidence.counts(name).items()} == {
            key: arms.canary.answers + arms.stable.answers for key, arms in expected.items()
        }


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
    assert [nothing.quantile(amount, 0.5) for amount in AMOUNTS] == [(0, 0.0)] * 4
    assert list(map(nothing.mean, AMOUNTS)) == [0.0] * 4


def test_without_a_stage_it_is_the_whole_run() -> None:
    """Stage zero is a stage like the others, and None is all of them."""
    totals = RunTotals(1)
    for stage_idx, answered in ((0, 1), (1, 10), (4, 100)):
        totals.keyed[SliceKey(stage_idx, 0.05)] = Arms(canary=Totals(succeeded=answered, latency=Histogram([8.0])))
    totals.unkeyed[FIRST] = Arms(canary=Totals(failed=1000))
    evidence = Evidence([totals], 1)
    assert [evidence.stage(stage, is_canary=True).total for stage in (0, 1, 4, None)] == [1001, 10, 100, 1111]
    assert evidence.stage(None, is_canary=True).quantile("latency", 0.5)[0] == 3
    assert evidence.stage(None, is_canary=False).total == 0


def test_quantiles_are_of_stable_in_the_whole_run() -> None:
    """With and without a key, over all stages, of answers that tell; costs are in dollars."""
    told = [Histogram([float(value)] * 100) for value in (200, 300, 5_000, 700)]
    stable = Totals(succeeded=100, **dict(zip(AMOUNTS, told, strict=True)))
    dear = Totals(succeeded=300, latency=Histogram([9000.0] * 300), cost=Histogram([90_000.0] * 300))
    totals, other = RunTotals(1), RunTotals(1)
    totals.keyed[FIRST] = Arms(stable, canary=dear)
    totals.unkeyed[SECOND] = Arms(Totals(succeeded=3, latency=Histogram([50.0] * 3)), canary=dear)
    other.keyed[SECOND] = Arms(Totals(succeeded=2, latency=Histogram([400.0] * 2)), canary=dear)
    evidence = Evidence([totals, other], 1)
    near = {"rel": 0.0055}
    assert evidence.quantile("latency", 0.5) == (105, pytest.approx(200.0, **near))
    assert evidence.quantile("latency", 0.01) == (105, pytest.approx(50.0, **near))
    assert evidence.quantile("latency", 1.0) == (105, pytest.approx(400.0, **near))
    assert evidence.quantile("first_token", 0.95) == (100, pytest.approx(300.0, **near))
    assert evidence.quantile("cost", 0.95) == (100, pytest.approx(0.005, **near))
    assert evidence.quantile("tokens", 0.95) == (100, pytest.approx(700.0, **near))
    assert evidence.stage(None, is_canary=False).mean("cost") == 0.005
    assert evidence.stage(None, is_canary=True).mean("cost") == 0.09
    assert evidence.stage(None, is_canary=False).mean("tokens") == 700.0


def test_outcomes_are_failures_by_slice() -> None:
    """With a key and without apart."""
    totals, key = RunTotals(1), SliceKey(1, 0.05)
    totals.keyed[key] = Arms(Totals(succeeded=9, failed=1), Totals(failed=2))
    totals.unkeyed[key] = Arms(Totals(succeeded=5), Totals(succeeded=3, failed=1))
    evidence = Evidence([totals], 1)
    assert evidence.outcomes() == {key: BinaryCounts(2, 2, 10, 1)}
    assert evidence.unkeyed_outcomes() == {key: BinaryCounts(4, 1, 5, 0)}


def test_counts_are_the_sums_of_clusters() -> None:
    """Answers and bad ones of both arms, by slice."""
    totals = RunTotals(1)
    totals.clusters_of(NAME, FIRST).canary.count({1: 5, 63: 2}, {63: 1})
    totals.clusters_of(NAME, FIRST).stable.count({0: 9}, {})
    totals.clusters_of(NAME, SECOND).stable.count({7: 4}, {7: 4})
    evidence = Evidence([totals, totals.copy()], 1)
    assert evidence.counts(NAME) == {FIRST: BinaryCounts(14, 2, 18, 0), SECOND: BinaryCounts(0, 0, 8, 8)}


def test_a_score_is_of_one_stage_and_one_arm() -> None:
    """With a key and without, number, sum and squares together."""
    totals = RunTotals(1)
    for key, value in ((FIRST, 0.5), (SECOND, 2.0), (SliceKey(1, 0.5), 3.0)):
        totals.clusters_of("tone", key).canary.add_value(3, value)
    totals.clusters_of("tone", SECOND).stable.add_value(3, 7.0)
    totals.unkeyed[SECOND] = Arms(
        canary=Totals(scores={"tone": ScoreSums(2, 1.5, 1.25), "other": ScoreSums(9, 9.0, 9.0)})
    )
    evidence = Evidence([totals], 1)
    assert evidence.score("tone", 1, is_canary=True) == ScoreSums(4, 6.5, 14.25)
    assert evidence.score("tone", 1, is_canary=False) == ScoreSums(1, 7.0, 49.0)
    assert evidence.score("tone", 0, is_canary=True) == ScoreSums(1, 0.5, 0.25)
    assert evidence.score("tone", 2, is_canary=True) == evidence.score("unknown", 1, is_canary=True) == ScoreSums()
    assert evidence.unkeyed_scores("tone") == {SECOND: (ScoreSums(2, 1.5, 1.25), ScoreSums())}


def test_a_rate_as_a_score_counts_its_bad_answers() -> None:
    """The square of a yes is a yes."""
    totals = RunTotals(1)
    totals.clusters_of(NAME, FIRST).canary.count({1: 5, 2: 5}, {1: 2, 2: 1})
    assert Evidence([totals], 1).score(NAME, 0, is_canary=True) == ScoreSums(10, 3.0, 3.0)


def test_users_are_those_who_met_an_arm() -> None:
    """Who came to stable first has met it; who ever came to the canary, in whatever worker, has met that."""
    one, other = RunTotals(1), RunTotals(1)
    one.first.put(1, (1.0, 0, 0.05, False, False, False))
    one.first.put(2, (1.0, 0, 0.05, True, False, True))
    one.first.put(3, (1.0, 0, 0.05, False, False, True))
    assert Evidence([one], 1).users() == (2, 2)
    other.first.put(1, (9.0, 1, 0.25, True, False, True))
    other.first.put(2, (0.5, 0, 0.01, False, False, False))
    assert Evidence([one, other], 1).users() == (3, 3)


def test_users_are_estimated_from_a_sample() -> None:
    """Within a few per cent, when there are more than the sample has room for."""
    totals, chance = RunTotals(1), random.Random(3)
    for number in range(40_000):
        on_canary = number % 4 == 0
        totals.first.put(chance.getrandbits(64), (1.0, 0, 0.25, on_canary, False, on_canary))
    stable, canary = Evidence([totals], 1).users()
    assert stable == pytest.approx(30_000, rel=0.06)
    assert canary == pytest.approx(10_000, rel=0.1)


def test_first_seen_units_are_counted_before_the_watermark() -> None:
    """By stage, share and arm of their first answer; a later one may still be overtaken by an open one."""
    one, other = RunTotals(1, 10.0), RunTotals(1, 20.0)
    for unit, at in ((1, 9.9), (2, 10.0), (3, 15.0)):
        one.first.put(unit, (at, 0, 0.05, False, False, False))
    other.first.put(1, (5.0, 0, 0.05, True, True, True))
    other.first.put(4, (6.0, 1, 0.25, True, False, True))
    other.first.put(5, (7.0, 1, 0.25, True, False, True))
    assert Evidence([one, other], 1).first_seen() == (0, {(0, 0.05, True): 1, (1, 0.25, True): 2})
    assert Evidence([one], 1).first_seen() == (0, {(0, 0.05, False): 1})
    assert Evidence([other], 1).first_seen() == (0, {(0, 0.05, True): 1, (1, 0.25, True): 2})


def test_a_name_that_nobody_scored_has_no_evidence() -> None:
    """Empty, without an error."""
    evidence = Evidence(WORKERS, 1)
    assert (evidence.clusters("unknown"), evidence.counts("unknown"), evidence.unkeyed_counts("unknown")) == (
        {},
        {},
        {},
    )
    assert (evidence.failing("unknown"), evidence.seen("unknown")) == (FailingCounts(), FailingCounts())
    assert evidence.unkeyed_scores("unknown") == {}


def test_a_sampled_table_without_units_keeps_its_level() -> None:
    """An empty table that has sampled is not taken for one that was never filled."""
    totals = RunTotals(1)
    totals.add_failing("failures", 0.5, [])
    totals.failing["failures"].restore(3, {})
    assert Evidence([totals], 1).failing("failures").level == 3
    assert Evidence([totals, RunTotals(1)], 1).failing("failures").level == 3
    assert Evidence([totals, WORKERS[0]], 1).failing("failures").level >= 3


def test_seen_units_are_united_in_a_small_sample() -> None:
    """Of two workers as of one: at most 512 units, and their number within some ten per cent."""
    parts, chance = [RunTotals(1), RunTotals(1)], random.Random(4)
    for number in range(6000):
        seen = FailingUnits(MAX_SEEN)
        seen.put(chance.getrandbits(64), (0.0, 0.25) if number % 2 else (0.25, None))
        parts[number % 3 == 0].merge_seen(NAME, seen)
    counts = Evidence(parts, 1).seen(NAME)
    assert MAX_SEEN / 2 * 0.8 < sum(counts.by_shares.values()) <= MAX_SEEN
    assert counts == Evidence([union(*parts)], 1).seen(NAME)
    assert counts.on_canary == pytest.approx(3000, rel=0.2)
    assert counts.on_stable == pytest.approx(3000, rel=0.2)


def test_other_runs_are_left_out() -> None:
    """A worker that still publishes an older run does not count."""
    old, new = RunTotals(1, 5.0), RunTotals(2, 9.0)
    old.add_failing("failures", 0.5, [(1, True)])
    old.clusters_of(NAME, FIRST).canary.count({1: 1}, {})
    evidence = Evidence([old, new], 2)
    assert evidence.watermark == 9.0
    assert evidence.failing("failures") == FailingCounts()
    assert evidence.clusters(NAME) == {}
    assert Evidence([], 2).watermark == math.inf


def test_what_workers_published_stays_as_it_was() -> None:
    """A store keeps the objects."""
    kept = [worker.copy() for worker in WORKERS]
    for parts in (WORKERS, WORKERS[:1]):
        evidence = Evidence(parts, 1)
        evidence.outcomes()[FIRST].add(True, 1, 1)
        evidence.counts(NAME)[FIRST].add(True, 1, 1)
        evidence.unkeyed_counts(NAME)[FIRST].add(True, 1, 1)
        for sums in evidence.unkeyed_scores(NAME).get(FIRST, ()):
            sums.add(1.0)
        evidence.score(NAME, 0, is_canary=True).add(1.0)
        assert answers(evidence)
    assert kept == WORKERS


def test_the_same_question_is_answered_once() -> None:
    """A guardrail that asks after another costs nothing: no pause is taken."""
    steps: list[int] = []
    evidence = Evidence(WORKERS, 1, steps.append)
    for ask in (
        lambda: evidence.outcomes(),
        lambda: evidence.clusters(NAME),
        lambda: evidence.stage(None, is_canary=False).quantile("cost", 0.5),
        lambda: evidence.quantile("cost", 0.9),
    ):
        first = ask()
        steps.clear()
        assert (ask(), steps) == (first, [])


def test_an_analysis_pauses_often() -> None:
    """Whatever it asks for, no part of it takes long."""
    steps: list[int] = []
    evidence = Evidence(WORKERS, 1, steps.append)
    for ask in (
        evidence.outcomes,
        evidence.unkeyed_outcomes,
        lambda: evidence.unkeyed_counts(NAME),
        lambda: evidence.unkeyed_scores(NAME),
        lambda: evidence.failing("failures"),
        lambda: evidence.seen(NAME),
        lambda: list(evidence.first_outcomes()[1]),
        evidence.users,
        evidence.first_seen,
        lambda: evidence.stage(1, is_canary=True).p95_ms,
    ):
        steps.clear()
        ask()
        assert len(steps) >= len(WORKERS)
        assert max(steps) < 5000
    steps.clear()
    evidence.clusters(NAME)
    assert len(steps) >= len((FIRST, SECOND))
    assert max(steps) < 5000


def test_one_workers_clusters_are_taken_as_they_are() -> None:
    """Nothing is copied where nothing is added."""
    [worker, *_] = WORKERS
    found = Evidence([worker], 1).clusters(NAME)[FIRST]
    assert found.canary is worker.clusters[NAME][FIRST].canary
    assert isinstance(found.stable, ClusterSums)

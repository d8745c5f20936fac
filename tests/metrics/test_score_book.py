"""Scores as evidence: booked to their assignment's slice, and only when their horizon has passed."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.metrics.arms import SliceKey
from agent_canary.metrics.clusters import ClusterSums
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.run_totals import MAX_SEEN, RunTotals
from agent_canary.metrics.scores import ScoreBook, ScoreRule
from agent_canary.metrics.units import MAX_UNITS

HERE, THERE = SliceKey(1, 0.05), SliceKey(2, 0.25)
CLUSTER = 7


@pytest.fixture
def book() -> ScoreBook:
    """One with a judge whose zeros are bad for 16 seconds, and complaints whose ones are bad for 5."""
    return ScoreBook({"judge": ScoreRule(bad=0.0, horizon=16.0), "complaint": ScoreRule(bad=1.0, horizon=5.0)})


def settled(book: ScoreBook, now: float) -> RunTotals:
    """What has been settled at a time, into new totals."""
    totals = RunTotals(1)
    book.settle(now, totals)
    return totals


def counts_of(totals: RunTotals, name: str = "judge") -> dict[SliceKey, list[int]]:
    """The canary's answers and bad ones, and stable's, by slice."""
    return {key: counts.to_json() for key, counts in Evidence([totals], totals.run).counts(name).items()}


def test_scores_count_when_their_horizon_has_passed(book: ScoreBook) -> None:
    """Not a moment sooner, and then once."""
    assert book.put("judge", 0.0, HERE, unit=7, cluster=CLUSTER, assigned_at=100.0, is_canary=True)
    assert book.put("judge", 1.0, HERE, unit=8, cluster=CLUSTER, assigned_at=100.9, is_canary=False)
    assert settled(book, 116.9) == RunTotals(1)
    totals = settled(book, 117.0)
    assert counts_of(totals) == {HERE: [1, 1, 1, 0]}
    assert dict(totals.failing["judge"].items()) == {7: (0.0, 0.05)}
    assert settled(book, 1000.0) == RunTotals(1)


def test_both_arms_wait_alike(book: ScoreBook) -> None:
    """A score that came at once and one that came late, of the same second, count together."""
    book.put("judge", 0.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.1, is_canary=True)
    assert settled(book, 115.0).clusters == {}
    book.put("judge", 0.0, HERE, unit=2, cluster=CLUSTER, assigned_at=100.2, is_canary=False)
    assert counts_of(settled(book, 117.0))[HERE] == [1, 1, 1, 1]


def test_each_second_of_assignment_has_its_own_time(book: ScoreBook) -> None:
    """Later assignments wait longer."""
    book.put("judge", 0.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.5, is_canary=True)
    book.put("judge", 0.0, HERE, unit=2, cluster=CLUSTER, assigned_at=101.5, is_canary=True)
    assert counts_of(settled(book, 117.5))[HERE][0] == 1
    assert counts_of(settled(book, 118.0))[HERE][0] == 1


def test_each_name_has_its_own_horizon_and_its_own_bad_value(book: ScoreBook) -> None:
    """A complaint is bad where it is 1, and needs less time."""
    book.put("complaint", 1.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.0, is_canary=True)
    book.put("complaint", 0.0, HERE, unit=2, cluster=CLUSTER, assigned_at=100.0, is_canary=True)
    book.put("judge", 1.0, HERE, unit=3, cluster=CLUSTER, assigned_at=100.0, is_canary=True)
    first = settled(book, 106.0)
    assert list(first.clusters) == ["complaint"]
    assert counts_of(first, "complaint")[HERE] == [2, 1, 0, 0]
    assert list(first.failing["complaint"]) == [1]
    last = settled(book, 117.0)
    assert counts_of(last)[HERE] == [1, 0, 0, 0]
    assert "judge" not in last.failing


def test_slices_are_kept_apart(book: ScoreBook) -> None:
    """The score belongs to the stage and share of its assignment, also in the same second."""
    book.put("judge", 0.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.0, is_canary=True)
    book.put("judge", 0.0, THERE, unit=1, cluster=CLUSTER, assigned_at=100.5, is_canary=False)
    totals = settled(book, 117.0)
    assert counts_of(totals) == {
        HERE: [1, 1, 0, 0],
        THERE: [0, 0, 1, 1],
    }
    assert dict(totals.failing["judge"].items()) == {1: (0.25, 0.05)}


def test_settling_adds_to_what_counts_already(book: ScoreBook) -> None:
    """Nothing is replaced."""
    totals = RunTotals(1)
    for unit, second in ((1, 100.0), (2, 110.0)):
        book.put("judge", 0.0, HERE, unit=unit, cluster=CLUSTER, assigned_at=second, is_canary=True)
        book.settle(second + 17.0, totals)
    assert counts_of(totals)[HERE] == [2, 2, 0, 0]
    assert list(totals.failing["judge"]) == [1, 2]


def test_a_score_after_its_horizon_is_no_evidence(book: ScoreBook) -> None:
    """Its second has been settled; the answer says so."""
    settled(book, 117.0)
    assert not book.put("judge", 0.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.9, is_canary=True)
    assert book.put("judge", 0.0, HERE, unit=1, cluster=CLUSTER, assigned_at=101.0, is_canary=True)
    assert book.put("complaint", 1.0, HERE, unit=1, cluster=CLUSTER, assigned_at=112.0, is_canary=True)


def test_a_clock_that_goes_back_opens_nothing_again(book: ScoreBook) -> None:
    """What was settled stays settled."""
    settled(book, 117.0)
    settled(book, 50.0)
    assert not book.put("judge", 0.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.0, is_canary=True)


def test_units_that_the_sample_has_no_room_for_are_not_kept(book: ScoreBook) -> None:
    """They count as answers, and wait for nothing: of 20,000 bad scores most need no memory once a sample is full."""
    totals, chance = RunTotals(1), random.Random(1)

    def score(second: float) -> tuple[int, int]:
        for number in range(10_000):
            book.put("judge", 0.0, HERE, chance.getrandbits(64), number % 64, second, is_canary=True)
        waiting = [(len(cell.bad), len(cell.seen)) for cell in book._cells.values()]
        book.settle(second + 17.0, totals)
        assert len(waiting) == 1
        return waiting[0]

    bad, seen = score(100.0)
    assert bad <= MAX_UNITS
    assert seen <= MAX_SEEN
    assert totals.failing["judge"].estimated_count == pytest.approx(10_000, rel=0.1)
    share = totals.failing["judge"].limit / 2**64
    bad, seen = score(200.0)
    assert bad == pytest.approx(10_000 * share, rel=0.1)
    assert seen <= MAX_SEEN
    assert counts_of(totals)[HERE] == [20_000, 20_000, 0, 0]
    assert totals.failing["judge"].estimated_count == pytest.approx(20_000, rel=0.1)
    assert totals.seen["judge"].estimated_count == pytest.approx(20_000, rel=0.2)
    assert book._cells == {}


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.booleans(), st.booleans(), st.integers(0, 40)), max_size=60),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_when_scores_are_settled_changes_no_sample(
    scores: list[tuple[int, bool, bool, int]], moments: list[int]
) -> None:
    """Who settles often and who settles once end with the same sums, bad units and seen units."""
    often, once = (ScoreBook({"judge": ScoreRule(bad=0.0, horizon=8.0)}) for _ in range(2))
    rare, frequent = RunTotals(1), RunTotals(1)
    for unit, is_good, is_canary, second in scores:
        for book in (often, once):
            at = 100.0 + second
            book.put("judge", float(is_good), (HERE, THERE)[unit % 2], unit << 50, unit % 64, at, is_canary)
    for moment in sorted(moments):
        often.settle(100.0 + moment, frequent)
    for book, totals in ((often, frequent), (once, rare)):
        book.settle(1000.0, totals)
        assert book._cells == {}
    assert frequent == rare
    assert set(rare.seen.get("judge", ())) == {unit << 50 for unit, _, _, _ in scores}


def test_units_that_were_scored_are_seen_where_they_were(book: ScoreBook) -> None:
    """Good and bad scores of both arms, each unit once."""
    for unit, value, is_canary in ((1, 1.0, True), (1, 0.0, True), (2, 1.0, False), (3, 0.0, False), (3, 1.0, True)):
        book.put("judge", value, HERE, unit, CLUSTER, 100.0, is_canary)
    totals = settled(book, 117.0)
    assert dict(totals.seen["judge"].items()) == {1: (0.0, 0.05), 2: (0.05, None), 3: (0.05, 0.05)}
    assert dict(totals.failing["judge"].items()) == {1: (0.0, 0.05), 3: (0.05, None)}
    counts = totals.seen["judge"].counts
    assert (counts.on_stable, counts.on_canary) == (2, 2)


def test_bad_scores_are_counted_by_cluster(book: ScoreBook) -> None:
    """As many answers as scores, as many bad ones as bad scores, in the cluster of their unit."""
    for cluster, value in ((0, 0.0), (0, 1.0), (63, 0.0), (63, 0.0), (9, 1.0)):
        book.put("judge", value, HERE, 1, cluster, 100.0, is_canary=True)
    arms = settled(book, 117.0).clusters["judge"][HERE]
    assert {cluster: n for cluster, n in enumerate(arms.canary.n) if n} == {0: 2, 9: 1, 63: 2}
    assert {cluster: y for cluster, y in enumerate(arms.canary.y) if y} == {0: 1, 63: 2}
    assert (arms.canary.yy, arms.canary.m, arms.canary.x) == (None, None, None)
    assert arms.stable == ClusterSums()


def test_real_values_are_summed_with_their_squares_and_covariates() -> None:
    """No unit has failed by a number; an answer without a covariate is among the others."""
    book = ScoreBook({"tone": ScoreRule(bad=None, horizon=16.0)})
    book.put("tone", 0.5, HERE, 1, 3, 100.0, True, 0.25)
    book.put("tone", -1.5, HERE, 2, 3, 100.0, True)
    book.put("tone", 2.0, HERE, 3, 4, 100.0, False)
    totals = settled(book, 117.0)
    arms = totals.clusters["tone"][HERE]
    yy, m, x = arms.canary.yy, arms.canary.m, arms.canary.x
    assert yy is not None
    assert m is not None
    assert x is not None
    assert (arms.canary.n[3], arms.canary.y[3], yy[3], m[3], x[3]) == (2, -1.0, 2.5, 1, 0.25)
    assert (arms.stable.answers, arms.stable.total, arms.stable.squares, arms.stable.x) == (1, 2.0, 4.0, None)
    assert totals.failing == {}
    assert set(totals.seen["tone"]) == {1, 2, 3}


@pytest.mark.parametrize(
    ("horizon", "bin_seconds"), [(0.5, 1.0), (5.0, 1.0), (16.0, 1.0), (32.0, 2.0), (86_400.0, 5400.0)]
)
def test_bins_grow_with_the_horizon(horizon: float, bin_seconds: float) -> None:
    """A sixteenth of it, and at least a second: what waits is bounded."""
    assert ScoreRule(None, horizon).bin_seconds == bin_seconds


def test_a_day_of_waiting_scores_is_a_few_bins() -> None:
    """Whatever the traffic: at most seventeen, and one more while the clock is in it."""
    book, totals, most = ScoreBook({"thumbs": ScoreRule(1.0, 86_400.0)}), RunTotals(1), 0
    for minute in range(3 * 24 * 60):
        second = 60.0 * minute
        assert book.put("thumbs", 1.0, HERE, minute, minute % 64, second, is_canary=False)
        if minute % 10 == 0:
            book.settle(second, totals)
        most = max(most, len(book._cells))
    assert most in (17, 18)
    book.settle(1e9, totals)
    assert totals.clusters["thumbs"][HERE].stable.answers == 3 * 24 * 60


@given(st.floats(0.01, 1e5), st.floats(0, 2e9), st.floats(-2.5, 2.5))
def test_what_is_put_in_is_settled_and_what_is_settled_stays_closed(
    horizon: float, assigned_at: float, after: float
) -> None:
    """At whatever instant of its bin: either it waits and no more comes in once it was judged, or it was refused."""
    book, totals = ScoreBook({"judge": ScoreRule(0.0, horizon)}), RunTotals(1)
    book.put("judge", 0.0, HERE, 1, 1, assigned_at, is_canary=True)
    now = assigned_at + horizon + after * ScoreRule(0.0, horizon).bin_seconds
    book.settle(now, totals)
    was_judged = book._cells == {}
    assert book.put("judge", 0.0, HERE, 1, 1, assigned_at, is_canary=True) is not was_judged
    if after >= 1.001:
        assert was_judged
    if after < -0.001:
        assert not was_judged


@pytest.mark.parametrize(
    ("rule", "value", "refusal"),
    [
        (ScoreRule(0.0, 1.0), 0.5, "is watched as a rate: its values must be 0 or 1"),
        (ScoreRule(1.0, 1.0), -1.0, "is watched as a rate: its values must be 0 or 1"),
        (ScoreRule(1.0, 1.0), 1.0, None),
        (ScoreRule(None, 1.0), -1e9, None),
        (ScoreRule(None, 1.0, (1.0, 5.0)), 0.999, r"is watched with bounds: its values must be in [1, 5]"),
        (ScoreRule(None, 1.0, (1.0, 5.0)), 5.001, r"is watched with bounds: its values must be in [1, 5]"),
        (ScoreRule(None, 1.0, (1.0, 5.0)), 5.0, None),
        (ScoreRule(None, 1.0, (1.0, 5.0)), 1.0, None),
    ],
)
def test_a_rule_says_why_a_value_is_none_of_its_score(rule: ScoreRule, value: float, refusal: str | None) -> None:
    """Yes or no where it is a rate, and within the bounds, ends included."""
    assert rule.refusal(value) == refusal


def test_many_scores_of_a_bin_are_counted_in_between(book: ScoreBook) -> None:
    """A day's bin keeps sums, not a byte for each score."""
    for number in range(10_000):
        book.put("judge", float(number % 4 > 0), HERE, number, number % 64, 100.0, is_canary=number % 2 == 0)
    [cell] = book._cells.values()
    assert sum(map(len, (*cell._told_clusters, *cell._bad_clusters))) < 10_000
    assert counts_of(settled(book, 117.0))[HERE] == [5000, 2500, 5000, 0]


def test_a_name_without_a_rule_is_no_evidence(book: ScoreBook) -> None:
    """It is shown elsewhere, and judged nowhere."""
    assert not book.put("length", 1.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.0, is_canary=True)
    assert settled(book, 1000.0) == RunTotals(1)


def test_rules_are_copied() -> None:
    """A change of the caller's mapping changes nothing."""
    rules = {"judge": ScoreRule(0.0, 16.0)}
    book = ScoreBook(rules)
    rules.clear()
    assert book.put("judge", 0.0, HERE, unit=1, cluster=CLUSTER, assigned_at=100.0, is_canary=True)


def test_the_first_score_of_a_name_is_new_and_a_repeat_is_not(book: ScoreBook) -> None:
    """A repeat is of the same unit, assignment and name; anything else is another score."""
    assert book.is_new(7, 100.000001, "judge")
    assert not book.is_new(7, 100.000001, "judge")
    assert book.is_new(7, 100.000001, "complaint")
    assert book.is_new(8, 100.000001, "judge")
    assert book.is_new(7, 100.000002, "judge")
    assert book.is_new(None, 100.000001, "judge")


def test_a_repeat_is_known_by_the_microsecond(book: ScoreBook) -> None:
    """An assignment's id keeps its time to the microsecond, the assignment itself to the last bit."""
    assert book.is_new(7, 1700000000.1234567, "judge")
    assert not book.is_new(7, 1700000000.123457, "judge")


def test_at_least_the_last_4096_scores_are_remembered(book: ScoreBook) -> None:
    """And at most about twice as many, whatever the traffic."""
    for number in range(20_000):
        assert book.is_new(number, 100.0, "judge")
        assert number < 4096 or not book.is_new(number - 4096, 100.0, "judge")
    assert len(book._recent) + len(book._older) <= 2 * 4096 + 1
    assert book.is_new(0, 100.0, "judge")


def test_threads_count_exactly(book: ScoreBook) -> None:
    """Scores of four threads, settled by a fifth meanwhile, add up."""
    totals, done, start = RunTotals(1), threading.Event(), threading.Barrier(5)
    chance = random.Random(1)
    times = [100.0 + chance.random() * 50.0 for _ in range(2000)]

    def score(first_unit: int) -> None:
        start.wait(timeout=10)
        for number, assigned_at in enumerate(times):
            book.put("judge", float(number % 2), HERE, first_unit + number, number % 64, assigned_at, is_canary=True)

    def settle() -> None:
        start.wait(timeout=10)
        while not done.is_set():
            book.settle(90.0, totals)

    threads = [threading.Thread(target=score, args=(2000 * number,)) for number in range(4)]
    settling = threading.Thread(target=settle)
    for thread in [*threads, settling]:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    done.set()
    settling.join(timeout=30)
    book.settle(1000.0, totals)
    assert counts_of(totals)[HERE] == [8000, 4000, 0, 0]

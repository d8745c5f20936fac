"""The books of one worker: what was recorded and scored, with a key and without, and where it counts."""

from __future__ import annotations

from typing import Any

import pytest

from agent_canary.books import Books, Scored
from agent_canary.metrics import Histogram
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.histogram import bound_of, upper_bound_of
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.metrics.scores import ScoreRule
from agent_canary.metrics.totals import MAX_SCORE_NAMES, ScoreSums, Totals
from agent_canary.metrics.watch import Watch
from agent_canary.testing import ManualClock

STABLE, CANARY = "v1", "v2"
HERE, THERE = SliceKey(1, 0.05), SliceKey(1, 0.25)
RULES = {
    "judge": ScoreRule(bad=0.0, horizon=10.0),
    "tone": ScoreRule(bad=None, horizon=10.0, bounds=(1.0, 5.0)),
    "length": ScoreRule(bad=None, horizon=10.0),
}


@pytest.fixture
def clock() -> ManualClock:
    """A time that passes when told to."""
    return ManualClock()


@pytest.fixture
def books(clock: ManualClock) -> Books:
    """Those of a run in its second stage."""
    books = Books(STABLE, CANARY, clock, horizon=60.0)
    books.open_run(1, HERE, RULES)
    books.cut(HERE)
    return books


def scored(clock: ManualClock, unit: int | None = 7, is_canary: bool = True, **more: Any) -> Scored:
    """An assignment of now that is judged."""
    known: dict[str, Any] = {"key": HERE, "cluster": 3, "assigned_at": clock.wall(), "is_evidence": True, **more}
    return Scored(unit=unit, is_canary=is_canary, **known)


def after_the_horizon(books: Books, clock: ManualClock) -> RunTotals:
    """What counts when every score of now has been judged."""
    clock.advance(12.0)
    books.cut(books.ledger.current.key)
    return books.settle()


def test_a_score_is_shown_at_once_and_counts_after_its_horizon(books: Books, clock: ManualClock) -> None:
    """In the version's metrics, and then by cluster in the evidence, with its user."""
    books.score("judge", 0.0, scored(clock))
    books.score("judge", True, scored(clock, unit=8, is_canary=False))
    assert books.metrics[CANARY].totals.scores == {"judge": ScoreSums(1, 0.0, 0.0)}
    assert books.metrics[STABLE].totals.scores == {"judge": ScoreSums(1, 1.0, 1.0)}
    assert books.settle().clusters == {}
    totals = after_the_horizon(books, clock)
    evidence = Evidence([totals], 1)
    assert evidence.counts("judge") == {HERE: BinaryCounts(1, 1, 1, 0)}
    assert totals.clusters["judge"][HERE].canary.y[3] == 1
    assert dict(totals.failing["judge"].items()) == {7: (0.0, 0.05)}
    assert set(totals.seen["judge"]) == {7, 8}
    assert evidence.unkeyed_scores("judge") == {}


def test_a_covariate_comes_with_the_value(books: Books, clock: ManualClock) -> None:
    """Of those answers whose user has one."""
    books.score("tone", 4.0, scored(clock), covariate=3.5)
    books.score("tone", 2.0, scored(clock, unit=8))
    arm = after_the_horizon(books, clock).clusters["tone"][HERE].canary
    assert arm.m is not None
    assert arm.x is not None
    assert (arm.n[3], arm.y[3], arm.m[3], arm.x[3]) == (2, 6.0, 1, 3.5)


@pytest.mark.parametrize(
    ("name", "value", "covariate", "message"),
    [
        ("", 1.0, None, "name must be the score's name, a text that is not empty, got ''"),
        (None, 1.0, None, "name must be the score's name"),
        ("judge", 0.5, None, "score 'judge' is watched as a rate: its values must be 0 or 1, got 0.5"),
        ("judge", float("nan"), None, "score 'judge' must be a number in"),
        ("judge", "1", None, "score 'judge' must be a number in .* got '1'"),
        ("tone", 0.5, None, r"score 'tone' is watched with bounds: its values must be in \[1, 5\], got 0.5"),
        ("tone", 6, None, r"score 'tone' is watched with bounds: its values must be in \[1, 5\], got 6"),
        ("length", float("inf"), None, "score 'length' must be a number in"),
        ("tone", 4.0, float("nan"), "score 'tone, covariate' must be a number in .* got nan"),
        ("tone", 4.0, "old", "score 'tone, covariate' must be a number in .* got 'old'"),
    ],
)
def test_a_score_that_its_rule_refuses_leaves_no_trace(
    books: Books, clock: ManualClock, name: Any, value: Any, covariate: Any, message: str
) -> None:
    """Neither in the metrics nor in the evidence, and the right value still comes in after it."""
    with pytest.raises(ValueError, match=message):
        books.score(name, value, scored(clock), covariate)
    assert books.metrics[CANARY].totals == Totals()
    assert after_the_horizon(books, clock).clusters == {}
    judged = scored(clock)
    books.score("tone", 4.0, judged)
    assert books.metrics[CANARY].totals.scores["tone"].count == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("judge", 0.5, "is watched as a rate"),
        ("tone", 9.0, "is watched with bounds"),
        ("", 1.0, "name must be"),
        ("length", None, "score 'length' must be a number"),
    ],
)
def test_a_score_without_a_key_is_refused_alike(books: Books, name: Any, value: Any, message: str) -> None:
    """Where nobody is known, the rule is the same."""
    with pytest.raises(ValueError, match=message):
        books.score_unkeyed(STABLE, name, value)
    assert books.metrics[STABLE].totals == Totals()
    assert books.settle().unkeyed == {}


def test_one_name_too_many_is_refused(books: Books, clock: ManualClock) -> None:
    """With a key and without, so that names made from data cannot fill the memory."""
    for number in range(MAX_SCORE_NAMES):
        books.score(f"score {number}", 1.0, scored(clock))
    with pytest.raises(ValueError, match="at most 64 names of scores"):
        books.score("another", 1.0, scored(clock))
    with pytest.raises(ValueError, match="at most 64 names of scores"):
        books.score_unkeyed(CANARY, "another", 1.0)


def test_the_first_value_of_a_name_counts(books: Books, clock: ManualClock) -> None:
    """A second one of the same assignment is a repeat; of another assignment of the same user it is another score."""
    judged = scored(clock)
    books.score("judge", 0.0, judged)
    books.score("judge", 1.0, judged)
    clock.advance(0.5)
    books.score("judge", 1.0, scored(clock))
    assert books.metrics[CANARY].totals.scores["judge"] == ScoreSums(2, 1.0, 1.0)
    assert Evidence([after_the_horizon(books, clock)], 1).counts("judge") == {HERE: BinaryCounts(2, 1, 0, 0)}


@pytest.mark.parametrize("more", [{"is_evidence": False}, {"unit": None}])
def test_a_score_of_no_evidence_is_only_shown(books: Books, clock: ManualClock, more: dict[str, Any]) -> None:
    """Of an override, or of a request without a key."""
    books.score("judge", 0.0, scored(clock, **more))
    assert books.metrics[CANARY].totals.scores["judge"].count == 1
    assert after_the_horizon(books, clock).clusters == {}


def test_a_score_that_nobody_watches_is_only_shown(books: Books, clock: ManualClock) -> None:
    """Any finite number may be one."""
    books.score("rating", -12.5, scored(clock))
    assert books.metrics[CANARY].totals.scores["rating"].total == -12.5
    assert after_the_horizon(books, clock).clusters == {}


def test_a_canarys_score_of_an_earlier_stage_counts_there(books: Books, clock: ManualClock) -> None:
    """It is evidence of its stage and share, and not shown among the present stage's."""
    late = scored(clock)
    books.cut(SliceKey(2, 0.25))
    books.open_stage()
    books.score("judge", 0.0, late)
    books.score("judge", 0.0, scored(clock, unit=9, is_canary=False))
    assert books.metrics[CANARY].totals.scores == {}
    assert books.metrics[STABLE].totals.scores["judge"].count == 1
    assert Evidence([after_the_horizon(books, clock)], 1).counts("judge") == {HERE: BinaryCounts(1, 1, 1, 1)}


def test_what_was_recorded_is_harvested_into_the_slice_in_force(books: Books) -> None:
    """Answers and scores, once, to the stage and share of the harvest."""
    books.metrics[STABLE].record(True, 8.0)
    books.metrics[CANARY].record(False, 16.0)
    books.score_unkeyed(CANARY, "judge", 0.0)
    books.harvest()
    books.harvest()
    books.cut(THERE)
    books.metrics[STABLE].record(True, 8.0)
    books.score_unkeyed(CANARY, "judge", 1.0)
    books.score_unkeyed(STABLE, "tone", 2.5)
    totals = books.settle()
    assert books.settle() == totals
    assert totals.unkeyed == {
        HERE: Arms(
            Totals(succeeded=1, latency=Histogram([8.0])),
            Totals(failed=1, latency=Histogram([16.0]), scores={"judge": ScoreSums(1, 0.0, 0.0)}),
        ),
        THERE: Arms(
            Totals(succeeded=1, latency=Histogram([8.0]), scores={"tone": ScoreSums(1, 2.5, 6.25)}),
            Totals(scores={"judge": ScoreSums(1, 1.0, 1.0)}),
        ),
    }
    evidence = Evidence([totals], 1)
    assert evidence.unkeyed_outcomes() == {HERE: BinaryCounts(1, 1, 1, 0), THERE: BinaryCounts(0, 0, 1, 0)}
    assert evidence.unkeyed_scores("judge") == {
        HERE: (ScoreSums(1, 0.0, 0.0), ScoreSums()),
        THERE: (ScoreSums(1, 1.0, 1.0), ScoreSums()),
    }
    assert evidence.clusters("judge") == {}


def test_scores_of_assignments_are_not_harvested(books: Books, clock: ManualClock) -> None:
    """They count by their user, and nowhere else."""
    books.score("judge", 0.0, scored(clock))
    books.score_unkeyed(CANARY, "judge", 1.0)
    assert books.settle().unkeyed == {HERE: Arms(canary=Totals(scores={"judge": ScoreSums(1, 1.0, 1.0)}))}
    assert books.metrics[CANARY].totals.scores["judge"].count == 2


def test_recorded_latencies_are_counted_above_the_limits_in_force(books: Books) -> None:
    """Each arm's by its own limit, from the slice after the limit was set; scores without a latency add nothing."""
    limit, twice = upper_bound_of(bound_of(100.0)), upper_bound_of(bound_of(200.0))
    books.metrics[STABLE].record(True, 500.0)
    books.watches = (Watch("latency_p95", "latency", limit, twice), Watch("tokens_p50", "tokens", 1.0, 1.0))
    books.harvest()
    assert books.settle().unkeyed_counts == {}
    books.cut(HERE)
    for version in (STABLE, CANARY):
        for latency_ms in (50.0, limit, limit * 1.02, twice * 1.02):
            books.metrics[version].record(True, latency_ms)
    books.score_unkeyed(STABLE, "judge", 1.0)
    totals = books.settle()
    assert totals.unkeyed_counts == {"latency_p95": {HERE: BinaryCounts(4, 1, 4, 2)}}
    assert Evidence([totals, totals], 1).unkeyed_counts("latency_p95") == {HERE: BinaryCounts(8, 2, 8, 4)}


def test_a_new_run_begins_without_the_old_ones_evidence(books: Books, clock: ManualClock) -> None:
    """Nor its waiting scores; what stable recorded before stays where it was counted."""
    books.metrics[STABLE].record(True, 8.0)
    books.score("judge", 0.0, scored(clock))
    books.harvest()
    books.open_run(2, HERE, RULES)
    totals = after_the_horizon(books, clock)
    assert (totals.run, totals.unkeyed, totals.clusters) == (2, {}, {})
    assert books.metrics[STABLE].total == 1
    assert books.metrics[CANARY].totals == Totals()

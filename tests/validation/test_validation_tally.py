"""Runs are added up, and shares come with the error they have."""

from __future__ import annotations

import json

import pytest

from validation.cell import Goal
from validation.estimates import error, interval, is_above
from validation.outcome import Outcome
from validation.tally import Tally, tally, tally_again


def rolled_back(answers: int, failed: int, *, seconds: float = 600.0, alarms: int = 1) -> Outcome:
    """Return a run that was rolled back."""
    return Outcome("rolled back", seconds, 1000, answers, failed, answers // 2, failed, ("failures",), alarms)


def completed(failed: int = 10, alarms: int = 0) -> Outcome:
    """Return a run that went to everybody."""
    return Outcome("completed", 3000.0, 15_000, 4_000, failed, 900, failed, (), alarms)


RUNS = [rolled_back(100, 4), rolled_back(300, 8), rolled_back(200, 6), completed()]


def test_a_tally_counts_ends_and_guardrails() -> None:
    """Three of four were rolled back by failures."""
    seen = tally(RUNS)
    assert (seen.runs, seen.rolled_back, seen.completed, seen.share) == (4, 3, 1, 0.75)
    assert seen.by == {"failures": 3}


def test_what_is_caught_is_told_at_the_rollback() -> None:
    """Quantiles and means are those of the runs that were rolled back; the mean over all runs is apart."""
    seen = tally(RUNS)
    assert seen.caught is not None
    assert seen.caught.answers == (120.0, 200.0, 280.0)
    assert seen.caught.users[1] == 100.0
    assert seen.caught.failed == 6.0
    assert seen.failed == 7.0


def test_a_tally_without_an_alarm_has_caught_nothing() -> None:
    """And misses goals about what was caught."""
    seen = tally([completed()])
    assert seen.caught is None
    assert not seen.meets(Goal("failed answers", 100.0))


def test_restarted_runs_are_those_that_were_rolled_back_once() -> None:
    """Of three restarted ones one was rolled back again."""
    runs = [completed(), completed(alarms=1), completed(alarms=1), rolled_back(50, 5, alarms=2)]
    seen = tally_again(runs)
    assert (seen.runs, seen.rolled_back) == (3, 1)


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("caught", 0.75), True),
        (Goal("caught", 0.76), False),
        (Goal("completed", 0.25), True),
        (Goal("completed", 0.97), False),
        (Goal("failed answers", 6.0), True),
        (Goal("failed answers", 5.9), False),
        (Goal("canary answers", 200.0), True),
        (Goal("canary answers", 199.0), False),
        (Goal("canary users", 100.0), True),
        (Goal("canary users", 99.0), False),
    ],
)
def test_goals_are_met_or_missed(goal: Goal, met: bool) -> None:
    """Shares at least, counts at most."""
    assert tally(RUNS).meets(goal) is met


@pytest.mark.parametrize("runs", [RUNS, [completed()], []])
def test_a_tally_survives_json(runs: list[Outcome]) -> None:
    """It is the same after it."""
    seen = tally(runs)
    assert Tally.from_json(json.loads(json.dumps(seen.to_json()))) == seen


def test_the_error_is_that_of_the_binomial_law() -> None:
    """4 of 400: 0.5 points."""
    assert error(4, 400) == pytest.approx(0.004975, abs=1e-6)
    assert error(0, 400) == 0.0


def test_the_interval_is_wilsons() -> None:
    """Its ends are as many errors from the share as was asked for, by the error that they themselves have."""
    for end in interval(4, 400):
        assert abs(4 / 400 - end) == pytest.approx(1.96 * (end * (1.0 - end) / 400) ** 0.5)
    assert interval(0, 400) == pytest.approx((0.0, 1.96**2 / (400 + 1.96**2)))
    assert interval(400, 400)[1] == 1.0


@pytest.mark.parametrize(("count", "above"), [(4, False), (9, False), (10, True), (40, True)])
def test_above_alpha_is_by_more_than_three_errors(count: int, above: bool) -> None:
    """At 1 % of 400 runs an error is 0.4975 points: 9 are 2.5 errors above it, 10 are 3.02."""
    assert is_above(count, 400, 0.01) is above

"""The requests of a run are what its cell says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from validation.amounts import Constant, Lognormal, Mixed, Normal
from validation.arm import Arm, Failing, Scored
from validation.cell import Cell
from validation.traffic import Traffic, draw, generator
from validation.users import Users

USERS = Users(500, 1.0, 0.3)
ARM = Arm(
    failing=Failing(0.1),
    seconds=Lognormal(2.0, 0.5),
    first_token=Lognormal(0.5, 0.5),
    cost=Lognormal(0.01, 1.0),
    tokens=Lognormal(800.0, 1.0),
    scores=(Scored("judge", Normal(0.8, 0.2), share=0.5),),
)


def drawn(stable: Arm, canary: Arm | None = None, *, users: Users = USERS, run: int = 0, **more: object) -> Traffic:
    """Return the traffic of a run."""
    cell = replace(Cell("test", users, stable, canary, per_second=20.0, seconds=3000.0), **more)
    return draw(cell, generator(cell, run))


def test_a_run_can_be_drawn_again() -> None:
    """The same cell and number give the same requests and answers, other ones others."""
    first, again, other = drawn(ARM), drawn(ARM), drawn(ARM, run=1)
    assert (first.at == again.at).all()
    assert (first.stable.failed == again.stable.failed).all()
    assert len(first) != len(other) or (first.at != other.at).any()


def test_requests_come_at_their_rate_and_in_order() -> None:
    """60,000 are expected."""
    traffic = drawn(ARM)
    assert len(traffic) == pytest.approx(60_000, abs=1_000)
    assert (np.diff(traffic.at) >= 0.0).all()


def test_a_harmless_canary_answers_as_stable_would() -> None:
    """Each request, in all that an answer reports."""
    traffic = drawn(ARM, replace(ARM))
    stable, canary = traffic.stable, traffic.canary
    assert (stable.failed == canary.failed).all()
    assert (stable.seconds == canary.seconds).all()
    assert (stable.cost == canary.cost).all()
    assert (stable.tokens == canary.tokens).all()
    assert np.array_equal(stable.scores[0][1], canary.scores[0][1], equal_nan=True)


def test_failures_have_their_rates() -> None:
    """10 % on stable, 20 % on the canary, with users who fail alike."""
    traffic = drawn(ARM, replace(ARM, failing=Failing(0.2)), users=Users(20_000, 0.0, 0.3))
    assert traffic.stable.failed.mean() == pytest.approx(0.1, abs=0.01)
    assert traffic.canary.failed.mean() == pytest.approx(0.2, abs=0.01)


def test_a_drift_and_an_outage_follow_their_course() -> None:
    """The rate at each time is that of the course."""
    course = ((0.0, 0.01), (1000.0, 0.01), (1010.0, 0.3), (2000.0, 0.3), (2010.0, 0.05))
    traffic = drawn(Arm(failing=Failing(0.01, course)), users=Users(20_000))
    rates = [
        traffic.stable.failed[(traffic.at > begin) & (traffic.at < begin + 900.0)].mean()
        for begin in (50.0, 1050.0, 2050.0)
    ]
    assert rates == pytest.approx([0.01, 0.3, 0.05], abs=0.01)


def test_answers_that_do_not_come_in_time_never_do_and_count_as_failed() -> None:
    """2 % take a second longer than the horizon."""
    traffic = drawn(Arm(failing=Failing(0.0), seconds=Mixed(0.02, Constant(61.0), Constant(59.0))))
    hangs = np.isinf(traffic.stable.seconds)
    assert hangs.mean() == pytest.approx(0.02, abs=0.004)
    assert (traffic.stable.failed == hangs).all()


def test_failures_may_take_longer_than_successes() -> None:
    """Each failing answer takes 40 s, the others one."""
    arm = Arm(failing=Failing(0.1), seconds=Constant(1.0), failure_seconds=Constant(40.0))
    answers = drawn(arm).stable
    assert set(answers.seconds[answers.failed]) == {40.0}
    assert set(answers.seconds[~answers.failed]) == {1.0}


def test_a_back_end_may_get_slower_for_both() -> None:
    """The factor follows its course."""
    traffic = drawn(Arm(seconds=Constant(2.0), pace=((0.0, 1.0), (3000.0, 3.0))))
    assert traffic.stable.seconds[0] == pytest.approx(2.0, abs=0.01)
    assert traffic.stable.seconds[-1] == pytest.approx(6.0, abs=0.01)


def test_the_first_token_comes_before_the_end() -> None:
    """However slow it would be."""
    answers = drawn(replace(ARM, first_token=Lognormal(5.0, 1.0))).stable
    assert answers.first_token is not None
    assert (answers.first_token <= answers.seconds).all()


def test_users_of_a_canary_that_is_used_more_come_more_often_once_they_know_it() -> None:
    """1.3 times as often; those who do not know it yet come as they do to stable."""
    traffic = drawn(ARM, replace(ARM, use=1.3))
    assert traffic.canary.comes.sum() / traffic.stable.comes.sum() == pytest.approx(1.3, abs=0.02)
    assert (traffic.first_comes == traffic.stable.comes).all()
    assert traffic.stable.comes.sum() == pytest.approx(60_000, abs=1_000)


def test_users_whom_the_canary_loses_never_come_to_it() -> None:
    """A fifth of them, and those with no request at all."""
    traffic = drawn(ARM, replace(ARM, kept=0.8), users=Users(2_000))
    comes = {user: traffic.first_comes[traffic.who == user] for user in range(200)}
    assert all(each.all() or not each.any() for each in comes.values())
    assert np.mean([each.all() for each in comes.values()]) == pytest.approx(0.8, abs=0.08)
    assert traffic.stable.comes.all()


def test_a_share_of_the_answers_is_scored() -> None:
    """Half of them."""
    _, values = drawn(ARM).stable.scores[0]
    assert np.isnan(values).mean() == pytest.approx(0.5, abs=0.01)


def test_a_covariate_tells_of_the_user() -> None:
    """Ten earlier answers of a user say much about the next ones, and their mean is stable's."""
    arm = Arm(scores=(Scored("judge", Normal(0.8, 0.2), history=10),))
    traffic = drawn(arm, users=Users(2_000, 0.0, 0.5))
    before = traffic.covariates["judge"]
    values = traffic.stable.scores[0][1]
    assert before.mean() == pytest.approx(0.8, abs=0.02)
    # Theory: sqrt(rho) * sqrt(rho / (rho + (1 - rho) / 10)) = 0.674
    assert np.corrcoef(before[traffic.who], values)[0, 1] == pytest.approx(0.674, abs=0.04)

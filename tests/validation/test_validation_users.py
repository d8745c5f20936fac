"""Simulated users have the activity and the likeness that they are said to have."""

from __future__ import annotations

import numpy as np
import pytest

from validation.users import Users


@pytest.fixture
def rng() -> np.random.Generator:
    """Return the same random numbers in each test."""
    return np.random.default_rng(1)


def test_users_of_equal_activity_come_equally_often(rng: np.random.Generator) -> None:
    """Each of ten has a tenth of the requests."""
    counts = np.bincount(Users(10).who(rng, 20_000), minlength=10)
    assert counts.min() > 1_800
    assert counts.max() < 2_200


def test_a_few_of_very_unequal_activity_make_most_of_the_traffic(rng: np.random.Generator) -> None:
    """With sigma 2 a tenth of the users makes more than two thirds of the requests."""
    activity = np.sort(Users(2_000, sigma=2.0).activity(rng))[::-1]
    assert activity.sum() == pytest.approx(1.0)
    assert activity[:200].sum() > 0.65


@pytest.mark.parametrize("correlation", [0.1, 0.3, 0.6])
def test_failures_of_one_user_have_the_correlation(correlation: float, rng: np.random.Generator) -> None:
    """The variance of the users' propensities is correlation x rate x (1 - rate), which is what it means."""
    rate = 0.2
    (propensities,) = Users(200_000, correlation=correlation).propensities(rng, (rate,))
    assert propensities.mean() == pytest.approx(rate, abs=0.003)
    assert propensities.var() == pytest.approx(correlation * rate * (1.0 - rate), rel=0.03)


def test_without_correlation_all_users_fail_alike(rng: np.random.Generator) -> None:
    """Each at the rate."""
    (propensities,) = Users(50).propensities(rng, (0.2,))
    assert set(propensities) == {0.2}


def test_who_fails_more_at_one_rate_fails_more_at_another(rng: np.random.Generator) -> None:
    """Both versions are hard for the same users."""
    low, high = Users(1_000, correlation=0.3).propensities(rng, (0.05, 0.10))
    assert (np.argsort(low, kind="stable") == np.argsort(high, kind="stable")).all()
    assert (low <= high + 1e-3).mean() > 0.95


def test_the_same_rate_has_the_same_propensities(rng: np.random.Generator) -> None:
    """A harmless canary fails the same users equally often."""
    stable, canary = Users(1_000, correlation=0.3).propensities(rng, (0.05, 0.05))
    assert (stable == canary).all()


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_never_and_always_know_no_difference_between_users(rate: float, rng: np.random.Generator) -> None:
    """Each user's propensity is the rate."""
    (propensities,) = Users(50, correlation=0.3).propensities(rng, (rate,))
    assert set(propensities) == {rate}


def test_luck_of_one_user_is_alike(rng: np.random.Generator) -> None:
    """Two numbers of one user have the correlation, and all are standard normal."""
    who = np.repeat(np.arange(50_000), 2)
    normal, _ = Users(50_000, correlation=0.5).luck(rng, who)
    assert normal.mean() == pytest.approx(0.0, abs=0.02)
    assert normal.std() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(normal[0::2], normal[1::2])[0, 1] == pytest.approx(0.5, abs=0.02)

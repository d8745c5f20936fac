"""The laws of latencies, costs and scores are what they are called."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest

from validation.amounts import (
    Constant,
    Lognormal,
    Luck,
    Mixed,
    NearlyOne,
    Normal,
    Scaled,
    Shifted,
    YesNo,
    probability,
)

_RNG = np.random.default_rng(2)
LUCK = Luck(_RNG.standard_normal(100_000), _RNG.random(100_000))
USUAL = Lognormal(2.0, 0.6)


def test_a_lognormal_law_has_its_median_and_sigma() -> None:
    """Half is below the median, and the logarithm has the deviation."""
    drawn = USUAL.of(LUCK)
    assert np.median(drawn) == pytest.approx(2.0, rel=0.02)
    assert np.log(drawn).std() == pytest.approx(0.6, rel=0.02)


def test_a_judges_score_has_its_mean_and_deviation() -> None:
    """The goal of a judge 0.05 worse at a deviation of 0.2 is about this law."""
    drawn = Shifted(Normal(0.8, 0.2), -0.05).of(LUCK)
    assert drawn.mean() == pytest.approx(0.75, abs=0.003)
    assert drawn.std() == pytest.approx(0.2, abs=0.003)


def test_a_skewed_score_follows_the_beta_law() -> None:
    """Beta(8, 1): mean 8/9, variance 8/810."""
    drawn = NearlyOne(8.0).of(LUCK)
    assert drawn.mean() == pytest.approx(8 / 9, abs=0.002)
    assert drawn.var() == pytest.approx(8 / 810, rel=0.05)
    assert ((drawn >= 0.0) & (drawn <= 1.0)).all()


def test_a_yes_or_no_is_one_at_its_rate() -> None:
    """And nothing but 0 and 1."""
    drawn = YesNo(0.05).of(LUCK)
    assert set(drawn) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(0.05, abs=0.003)


def test_a_mixture_has_both_laws_in_their_shares() -> None:
    """Also one inside of another."""
    drawn = Mixed(0.04, Mixed(0.75, Constant(30.0), Constant(99.0)), Constant(1.0)).of(LUCK)
    shares = {value: (drawn == value).mean() for value in (1.0, 30.0, 99.0)}
    assert shares == pytest.approx({1.0: 0.96, 30.0: 0.03, 99.0: 0.01}, abs=0.003)


def test_a_tail_is_longer_in_a_share_of_the_answers() -> None:
    """3 % take five times as long, whatever they would have taken; the others as long as they would."""
    factors = Scaled(USUAL, 5.0, 0.03).of(LUCK) / USUAL.of(LUCK)
    assert (factors > 4.9).mean() == pytest.approx(0.03, abs=0.002)
    assert np.unique(factors.round(9)).tolist() == [1.0, 5.0]


def test_a_longer_law_has_longer_quantiles() -> None:
    """1.25 times as long is 1.25 times the 95th percentile."""
    ratio = np.quantile(Scaled(USUAL, 1.25).of(LUCK), 0.95) / np.quantile(USUAL.of(LUCK), 0.95)
    assert ratio == pytest.approx(1.25)


def test_probabilities_are_those_of_the_normal_law() -> None:
    """To seven digits."""
    numbers = np.linspace(-5.0, 5.0, 201)
    exact = [0.5 * (1.0 + erf(number / sqrt(2.0))) for number in numbers]
    assert np.abs(probability(numbers) - exact).max() < 1.5e-7

"""Evidence from an estimate and its variance: right by other software, symmetric, without a scale, stable far out."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, fsum, isfinite, log, pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.statistics import log_e_one_sided, log_e_two_sided, radius

DIFFERENCES = st.floats(-1.0, 1.0)
VARIANCES = st.floats(1e-6, 1.0)


@given(st.floats(-60.0, 60.0), VARIANCES, VARIANCES)
def test_one_sided_evidence_agrees_with_scipys_normal_law(z: float, variance: float, tau_squared: float) -> None:
    """As far out as 60 standard errors the one-sided evidence is the two-sided times twice scipy's normal law."""
    stats = pytest.importorskip("scipy.stats")
    difference = z * sqrt(variance)
    seen = z * sqrt(tau_squared / (tau_squared + variance))
    expected = log_e_two_sided(difference, variance, tau_squared) + log(2.0) + float(stats.norm.logcdf(seen))
    assert log_e_one_sided(difference, variance, tau_squared) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(
    st.floats(-20.0, 20.0),
    st.tuples(st.integers(30, 10_000), st.floats(0.1, 2.0)),
    st.tuples(st.integers(30, 10_000), st.floats(0.1, 2.0)),
    st.sampled_from([0.05, 0.01, 0.001]),
)
def test_radius_and_evidence_are_those_of_gbstats(
    z: float, stable: tuple[int, float], canary: tuple[int, float], alpha: float
) -> None:
    """GrowthBook's sequential test has the same interval and p value, at the tau that its tuning parameter means."""
    tests = pytest.importorskip("gbstats.frequentist.tests")
    statistics = pytest.importorskip("gbstats.models.statistics")

    def arm(n: int, deviation: float, mean: float) -> object:
        squares = deviation**2 * (n - 1) + n * mean**2
        return statistics.SampleMeanStatistic(n=n, sum=n * mean, sum_squares=squares)

    variance = stable[1] ** 2 / stable[0] + canary[1] ** 2 / canary[0]
    difference = z * sqrt(variance)
    config = tests.SequentialConfig(difference_type="absolute", alpha=alpha)
    theirs = tests.SequentialTwoSidedTTest(arm(*stable, 1.0), arm(*canary, 1.0 + difference), config)
    tau_squared = variance * (stable[0] + canary[0]) * float(theirs.rho) ** 2
    low, high = theirs.confidence_interval
    assert radius(variance, tau_squared, alpha) == pytest.approx((high - low) / 2.0, rel=1e-9)
    log_e = log_e_two_sided(difference, variance, tau_squared)
    assert min(1.0, exp(-log_e)) == pytest.approx(float(theirs.p_value), rel=1e-9)


@given(DIFFERENCES, VARIANCES, VARIANCES)
def test_the_two_sides_make_up_the_whole(difference: float, variance: float, tau_squared: float) -> None:
    """The evidence for a difference is the mean of that for a positive one and that for a negative one."""
    two_sided = log_e_two_sided(difference, variance, tau_squared)
    sides = [log_e_one_sided(sign * difference, variance, tau_squared) - two_sided for sign in (1.0, -1.0)]
    assert sum(map(exp, sides)) / 2.0 == pytest.approx(1.0, abs=1e-9)
    assert log_e_two_sided(-difference, variance, tau_squared) == two_sided


@given(DIFFERENCES, VARIANCES, VARIANCES, st.floats(0.01, 100.0))
def test_the_unit_of_the_answers_does_not_matter(
    difference: float, variance: float, tau_squared: float, unit: float
) -> None:
    """Seconds or milliseconds: the evidence is the same, and the radius is in the unit."""
    scaled = (unit * difference, unit**2 * variance, unit**2 * tau_squared)
    plain = (difference, variance, tau_squared)
    assert log_e_one_sided(*scaled) == pytest.approx(log_e_one_sided(*plain), rel=1e-9, abs=1e-9)
    assert log_e_two_sided(*scaled) == pytest.approx(log_e_two_sided(*plain), rel=1e-9, abs=1e-9)
    assert radius(*scaled[1:], 0.01) == pytest.approx(unit * radius(*plain[1:], 0.01))


@given(DIFFERENCES, st.floats(1e-3, 1.0), VARIANCES, VARIANCES)
def test_a_larger_difference_is_more_evidence(
    difference: float, more: float, variance: float, tau_squared: float
) -> None:
    """One-sided evidence grows with the estimate, whichever sign it has."""
    assert log_e_one_sided(difference + more, variance, tau_squared) > log_e_one_sided(
        difference, variance, tau_squared
    )


@given(VARIANCES, VARIANCES, st.floats(1e-6, 0.5))
def test_the_radius_is_where_the_evidence_reaches_its_threshold(
    variance: float, tau_squared: float, alpha: float
) -> None:
    """A difference as large as the radius has a two-sided evidence of exactly log(1 / alpha)."""
    reach = radius(variance, tau_squared, alpha)
    assert log_e_two_sided(reach, variance, tau_squared) == pytest.approx(log(1.0 / alpha), rel=1e-9)


@pytest.mark.parametrize("log_e", [log_e_one_sided, log_e_two_sided])
@pytest.mark.parametrize("tau_squared", [0.0004, 0.01, 1.0])
def test_the_expectation_without_a_difference_is_one(
    log_e: Callable[[float, float, float], float], tau_squared: float
) -> None:
    """Over a normal estimate around 0 the evidence has mean 1."""
    variance = 0.01
    step, steps = 0.02 * sqrt(variance), round(500.0 * sqrt(1.0 + tau_squared / variance))
    total = fsum(
        exp(log_e(i * step, variance, tau_squared) - (i * step) ** 2 / (2.0 * variance)) for i in range(-steps, steps)
    )
    assert total * step / sqrt(2.0 * pi * variance) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("z", [-1e6, -50.0, -28.3, 28.3, 50.0, 1e6])
def test_a_million_standard_errors_do_not_overflow(z: float) -> None:
    """Extreme estimates of either sign have finite evidence of the right sign."""
    log_e = log_e_one_sided(z, 1.0, 1.0)
    assert isfinite(log_e)
    assert (log_e > 0.0) == (z > 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((float("nan"), 1.0, 1.0), "difference must be finite, got nan"),
        ((0.0, 0.0, 1.0), r"variance must be above 0, got 0\.0"),
        ((0.0, float("inf"), 1.0), "variance must be above 0, got inf"),
        ((0.0, 1.0, -1.0), r"tau_squared must be above 0, got -1\.0"),
    ],
)
def test_impossible_arguments_are_refused(arguments: tuple[float, float, float], message: str) -> None:
    """The error names the argument, its range and what was found."""
    for log_e in (log_e_one_sided, log_e_two_sided):
        with pytest.raises(ValueError, match=message):
            log_e(*arguments)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_an_alpha_that_is_no_probability_is_refused(alpha: float) -> None:
    """An interval cannot hold always, nor never."""
    with pytest.raises(ValueError, match=r"alpha must be a probability in \(0, 1\)"):
        radius(1.0, 1.0, alpha)

"""Evidence that users did not split as configured: exact, symmetric, and never for a split that is as it should be."""

from __future__ import annotations

from math import comb, exp, fsum, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.statistics import log_e_sample_ratio

UNITS = st.integers(0, 5000)
SHARES = st.sampled_from([0.01, 0.05, 0.25, 0.5, 0.9])


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
@pytest.mark.parametrize("units", [1, 7, 40])
def test_the_expectation_at_the_configured_share_is_one(share: float, units: int) -> None:
    """Over all splits of a few users the e-value has mean 1 if routing works."""
    mean = fsum(
        comb(units, k) * share**k * (1.0 - share) ** (units - k) * exp(log_e_sample_ratio(k, units - k, share))
        for k in range(units + 1)
    )
    assert mean == pytest.approx(1.0, abs=1e-9)


@given(st.integers(1, 2000), SHARES, st.data())
def test_the_evidence_is_that_of_scipys_beta_binomial(units: int, share: float, data: st.DataObject) -> None:
    """The e-value is the ratio of scipy's beta-binomial to its binomial probability."""
    stats = pytest.importorskip("scipy.stats")
    canary = data.draw(st.integers(0, units))
    expected = stats.betabinom(units, 100.0 * share, 100.0 * (1.0 - share)).logpmf(canary) - stats.binom(
        units, share
    ).logpmf(canary)
    assert log_e_sample_ratio(canary, units - canary, share) == pytest.approx(float(expected), rel=1e-9, abs=1e-7)


@given(UNITS, UNITS, SHARES)
def test_swapping_the_arms_mirrors_the_share(canary: int, stable: int, share: float) -> None:
    """What is a mismatch seen from the canary is the same one seen from stable."""
    there = log_e_sample_ratio(stable, canary, 1.0 - share)
    assert log_e_sample_ratio(canary, stable, share) == pytest.approx(there, rel=1e-9, abs=1e-9)


@given(st.integers(100, 100_000), SHARES)
def test_a_split_as_configured_is_evidence_for_it(units: int, share: float) -> None:
    """Users who split as the share says are no mismatch, however many they are."""
    canary = round(units * share)
    assert log_e_sample_ratio(canary, units - canary, share) < 0.0


@given(st.integers(100, 1000), SHARES, st.data())
def test_a_split_further_off_is_more_evidence(units: int, share: float, data: st.DataObject) -> None:
    """On either side of the configured share, each user more on the wrong side raises the evidence."""
    canary = data.draw(st.integers(0, units - 1))
    here, there = (log_e_sample_ratio(k, units - k, share) for k in (canary, canary + 1))
    if canary >= units * share:
        assert there > here
    if canary + 1 <= units * share:
        assert there < here


def test_a_tenth_too_few_of_many_users_is_found() -> None:
    """Of 60,000 users 4.5 % on the canary instead of 5 % are no chance."""
    assert log_e_sample_ratio(2700, 57_300, 0.05) > log(1000.0)


def test_no_users_are_no_evidence() -> None:
    """Before anybody came the log e-value is 0."""
    assert log_e_sample_ratio(0, 0, 0.05) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("canary", "stable"), [(-1, 5), (5, -1)])
def test_negative_units_are_refused(canary: int, stable: int) -> None:
    """The error says what was found."""
    with pytest.raises(ValueError, match="units must be at least 0, got"):
        log_e_sample_ratio(canary, stable, 0.5)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_splits_nobody_is_refused(share: float) -> None:
    """At 0 and 100 % all users are on one side, and nothing can be tested."""
    with pytest.raises(ValueError, match=r"share must be a fraction in \(0, 1\), got"):
        log_e_sample_ratio(1, 1, share)

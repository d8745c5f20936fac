"""The exact conditional e-value of a slice: right probabilities, exact under the null, monotone, stable at any size."""

from __future__ import annotations

from itertools import accumulate, product
from math import comb, exp, fsum, isfinite, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary.statistics import HARM_RATIOS, log_likelihood_ratios, log_mean_exp

SMALL_SLICES = [
    (canary_total, stable_total, failures)
    for canary_total, stable_total in product(range(1, 6), range(1, 7))
    for failures in range(canary_total + stable_total + 1)
]


def support(canary_total: int, stable_total: int, failures: int) -> range:
    """The numbers of canary failures that are possible."""
    return range(max(0, failures - stable_total), min(failures, canary_total) + 1)


def probabilities(canary_total: int, stable_total: int, failures: int, odds: float) -> dict[int, float]:
    """Fisher's noncentral hypergeometric law by its definition, from exact binomial coefficients."""
    weights = {
        count: comb(canary_total, count) * comb(stable_total, failures - count) * odds**count
        for count in support(canary_total, stable_total, failures)
    }
    total = fsum(weights.values())
    return {count: weight / total for count, weight in weights.items()}


def ratios_by_full_sum(
    canary_total: int, canary_failures: int, stable_total: int, stable_failures: int, tolerance: float
) -> list[float]:
    """The same ratios from a sum over the whole support, in steps from its lowest point."""
    failures = canary_failures + stable_failures
    counts = support(canary_total, stable_total, failures)
    steps = (
        log((canary_total - k) * (failures - k) / ((k + 1) * (stable_total - failures + k + 1))) for k in counts[:-1]
    )
    log_weights = list(accumulate(steps, initial=0.0))

    def log_probability(odds: float) -> float:
        logs = [weight + k * log(odds) for k, weight in zip(counts, log_weights, strict=True)]
        return canary_failures * log(odds) - log_mean_exp(logs)

    return [log_probability(tolerance * ratio) - log_probability(tolerance) for ratio in HARM_RATIOS]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_ratios_agree_with_scipys_noncentral_hypergeometric_law(data: st.DataObject) -> None:
    """On random slices each ratio is the quotient of two probabilities that scipy computes."""
    stats = pytest.importorskip("scipy.stats")
    canary_total, stable_total = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 300))
    canary_failures, stable_failures = data.draw(st.integers(0, canary_total)), data.draw(st.integers(0, stable_total))
    tolerance = data.draw(st.sampled_from([1.0, 1.2, 2.0]))
    law = stats.nchypergeom_fisher(
        canary_total + stable_total,
        canary_total,
        canary_failures + stable_failures,
        [tolerance, *(tolerance * ratio for ratio in HARM_RATIOS)],
    )
    under_tolerance, *under_alternatives = map(float, law.logpmf(canary_failures))
    ratios = log_likelihood_ratios(canary_total, canary_failures, stable_total, stable_failures, tolerance)
    for ratio, under_alternative in zip(ratios, under_alternatives, strict=True):
        assert ratio == pytest.approx(under_alternative - under_tolerance, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("tolerance", [1.0, 1.2, 3.0])
def test_the_expectation_under_the_tolerated_odds_is_one(tolerance: float) -> None:
    """In every small slice each alternative's ratio has mean 1 if the odds ratio is the tolerated one."""
    for canary_total, stable_total, failures in SMALL_SLICES:
        means = [0.0] * len(HARM_RATIOS)
        for count, probability in probabilities(canary_total, stable_total, failures, tolerance).items():
            ratios = log_likelihood_ratios(canary_total, count, stable_total, failures - count, tolerance)
            means = [mean + probability * exp(ratio) for mean, ratio in zip(means, ratios, strict=True)]
        assert means == pytest.approx([1.0] * len(HARM_RATIOS), abs=1e-11)


@pytest.mark.parametrize(("tolerance", "odds"), [(1.0, 0.3), (1.2, 1.0), (1.2, 0.1), (3.0, 2.9)])
def test_the_expectation_under_better_odds_is_at_most_one(tolerance: float, odds: float) -> None:
    """In every small slice the e-value's mean is at most 1 if the canary is better than tolerated."""
    for canary_total, stable_total, failures in SMALL_SLICES:
        mean = fsum(
            probability
            * exp(log_mean_exp(log_likelihood_ratios(canary_total, count, stable_total, failures - count, tolerance)))
            for count, probability in probabilities(canary_total, stable_total, failures, odds).items()
        )
        assert mean <= 1.0 + 1e-12


def test_the_expectation_under_worse_odds_exceeds_one() -> None:
    """A canary with five times stable's odds of failing gathers evidence on average."""
    mean = fsum(
        probability * exp(log_mean_exp(log_likelihood_ratios(5, count, 20, 6 - count, 1.2)))
        for count, probability in probabilities(5, 20, 6, 5.0).items()
    )
    assert mean > 1.5


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 400), st.data())
def test_more_of_the_failures_on_the_canary_is_more_evidence(
    canary_total: int, stable_total: int, data: st.DataObject
) -> None:
    """Moving one failure from stable to the canary raises every ratio by the log of its alternative."""
    canary_failures = data.draw(st.integers(0, canary_total - 1))
    stable_failures = data.draw(st.integers(1, stable_total))
    fewer = log_likelihood_ratios(canary_total, canary_failures, stable_total, stable_failures, 1.2)
    more = log_likelihood_ratios(canary_total, canary_failures + 1, stable_total, stable_failures - 1, 1.2)
    gains = [after - before for before, after in zip(fewer, more, strict=True)]
    assert gains == pytest.approx([log(ratio) for ratio in HARM_RATIOS], abs=1e-9)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 400), st.data())
def test_each_arm_is_judged_given_the_other(canary_total: int, stable_total: int, data: st.DataObject) -> None:
    """Successes and failures exchanged together with the arms tell the same: the odds ratio is symmetric."""
    canary_failures = data.draw(st.integers(0, canary_total))
    stable_failures = data.draw(st.integers(0, stable_total))
    as_failures = log_likelihood_ratios(canary_total, canary_failures, stable_total, stable_failures, 1.5)
    as_successes = log_likelihood_ratios(
        stable_total, stable_total - stable_failures, canary_total, canary_total - canary_failures, 1.5
    )
    assert as_failures == pytest.approx(as_successes, abs=1e-9)


@pytest.mark.parametrize(
    ("canary_total", "canary_failures", "stable_total", "stable_failures"),
    [
        (20_000, 6_000, 20_000, 4_000),
        (2_000, 600, 38_000, 9_400),
        (20_000, 0, 20_000, 10_000),
        (4_000, 4_000, 900, 300),
    ],
)
@pytest.mark.parametrize("tolerance", [1.0, 1.2])
def test_summing_outward_from_the_mode_misses_nothing_at_large_counts(
    canary_total: int, canary_failures: int, stable_total: int, stable_failures: int, tolerance: float
) -> None:
    """With thousands of failures the ratios are those of a sum over the whole support."""
    slice_counts = (canary_total, canary_failures, stable_total, stable_failures, tolerance)
    assert log_likelihood_ratios(*slice_counts) == pytest.approx(ratios_by_full_sum(*slice_counts), rel=1e-10, abs=2e-9)


@pytest.mark.parametrize("counts", [(0, 0, 100, 7), (100, 7, 0, 0), (0, 0, 0, 0), (50, 0, 100, 0), (50, 50, 100, 100)])
def test_a_slice_that_tells_nothing_adds_nothing(counts: tuple[int, int, int, int]) -> None:
    """An empty arm, no failure at all or nothing but failures leave the evidence exactly where it was."""
    assert log_likelihood_ratios(*counts, 1.2) == (0.0,) * len(HARM_RATIOS)


def test_a_million_answers_do_not_overflow() -> None:
    """Extreme evidence for and against from 10^6 answers an arm is finite and of the right sign."""
    against = log_likelihood_ratios(1_000_000, 500_000, 1_000_000, 0, 1.2)
    in_favour = log_likelihood_ratios(1_000_000, 0, 1_000_000, 500_000, 1.2)
    assert all(isfinite(ratio) and ratio > 1e4 for ratio in against)
    assert all(isfinite(ratio) and ratio < -1e4 for ratio in in_favour)


def test_an_outage_of_both_versions_is_no_evidence_against_the_canary() -> None:
    """When the same half of the answers fail in both arms, the e-value stays below 1."""
    assert log_mean_exp(log_likelihood_ratios(50, 25, 950, 475, 1.0)) < 0.0


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((5, 6, 10, 0), r"canary_failures must be in \[0, canary_total\], got 6 of 5"),
        ((5, -1, 10, 0), r"canary_failures must be in \[0, canary_total\], got -1 of 5"),
        ((5, 0, 10, 11), r"stable_failures must be in \[0, stable_total\], got 11 of 10"),
        ((5, 0, -1, 0), r"stable_failures must be in \[0, stable_total\], got 0 of -1"),
    ],
)
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int], message: str) -> None:
    """The error names the count, its range and what was found."""
    with pytest.raises(ValueError, match=message):
        log_likelihood_ratios(*counts, 1.0)


def test_a_tolerance_below_one_is_refused_even_without_evidence() -> None:
    """A tolerance of 0.2 is a mistake for 1.2, and an empty slice does not hide it."""
    with pytest.raises(ValueError, match=r"tolerance must be a ratio from 1 to 1000, got 0\.2"):
        log_likelihood_ratios(0, 0, 0, 0, 0.2)

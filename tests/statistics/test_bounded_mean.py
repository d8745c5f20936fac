"""The exact test of bounded means: right under the null, blind to what it must not see, kept as plain numbers."""

from __future__ import annotations

import json
from itertools import product
from math import comb, exp, fsum, log
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_canary.statistics import AnswerSums, BoundedMean
from agent_canary.statistics.bounded_mean import advance

Slice = tuple[AnswerSums, AnswerSums]
SCORES = st.lists(st.floats(0.0, 1.0), min_size=0, max_size=40)
SLICES = st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=6)


def sums_of(scores: list[float]) -> AnswerSums:
    """The sums of some scores."""
    return AnswerSums(len(scores), fsum(scores), fsum(score * score for score in scores))


def after(slices: list[tuple[list[float], list[float]]], delta: float = 0.0) -> BoundedMean:
    """The test after these slices of (canary, stable)."""
    state = BoundedMean()
    for canary, stable in slices:
        state = advance(state, (sums_of(canary), sums_of(stable)), delta)
    return state


@pytest.mark.parametrize("past", [BoundedMean(), BoundedMean(canary_answers=9, canary_sum=8.5, stable_answers=40)])
@pytest.mark.parametrize(
    ("canary_rate", "stable_rate", "delta"),
    [(0.3, 0.3, 0.0), (0.5, 0.5, 0.0), (0.9, 0.9, 0.0), (0.4, 0.5, 0.1), (0.0, 0.2, 0.2), (0.6, 0.4, 0.0)],
)
def test_the_expectation_within_the_tolerance_is_at_most_one(
    past: BoundedMean, canary_rate: float, stable_rate: float, delta: float
) -> None:
    """Over all outcomes of small slices of 0/1 scores the e-value's mean is at most 1, whatever the past was."""
    for n_c, n_s in product((1, 3, 6), (1, 4, 12)):
        mean = fsum(
            binomial(n_c, c, canary_rate)
            * binomial(n_s, s, stable_rate)
            * exp(advance(past, (AnswerSums(n_c, c, c), AnswerSums(n_s, s, s)), delta).log_e)
            for c in range(n_c + 1)
            for s in range(n_s + 1)
        )
        assert mean <= 1.0 + 1e-12


def binomial(n: int, k: int, rate: float) -> float:
    """The probability of k successes among n."""
    return comb(n, k) * rate**k * (1.0 - rate) ** (n - k)


@given(SLICES, st.sampled_from([0.0, 0.05]))
def test_kept_as_plain_numbers_the_test_goes_on_as_it_was(
    slices: list[tuple[list[float], list[float]]], delta: float
) -> None:
    """Through JSON and back, the state and everything after it are the same."""
    state = after(slices, delta)
    again = BoundedMean.from_list(json.loads(json.dumps(state.to_list())))
    assert again == state
    more = (AnswerSums(10, 4.0, 2.5), AnswerSums(20, 12.0, 8.0))
    assert advance(again, more, delta) == advance(state, more, delta)


@given(SLICES)
def test_a_slice_with_one_arm_is_no_evidence_but_a_past(slices: list[tuple[list[float], list[float]]]) -> None:
    """Scores of stable alone leave the evidence, and are the centre of the next slice."""
    state = after(slices)
    scored = advance(state, (AnswerSums(0, 0.0, 0.0), AnswerSums(50, 45.0, 41.0)), 0.0)
    assert scored.log_products == state.log_products
    assert scored.stable_answers == state.stable_answers + 50
    assert scored.stable_sum == state.stable_sum + 45.0


def test_each_arm_is_centred_at_its_own_past_and_not_at_its_present() -> None:
    """The first slice of scores of 1 is far from the prior centre of 1/2; the second is near the past mean."""
    slice_ = ([1.0] * 20, [1.0] * 20)
    first, second = after([slice_]), after([slice_, slice_])
    assert second.log_e < first.log_e < -0.1
    assert second.log_e - first.log_e > 0.2 * first.log_e


@given(st.lists(st.floats(0.0, 0.6), min_size=1, max_size=30), st.integers(1, 40))
def test_a_lower_canary_is_more_evidence(scores: list[float], others: int) -> None:
    """A canary that scores below its past mean is more evidence than one that is above it by as much."""
    mirrored = [1.0 - score for score in scores]
    low, high = (after([(canary, [0.5] * others)]) for canary in (scores, mirrored))
    assume(sum(scores) < sum(mirrored))
    assert low.log_e > high.log_e


@given(SLICES, st.sampled_from([0.01, 0.2]))
def test_more_tolerance_is_less_evidence(slices: list[tuple[list[float], list[float]]], delta: float) -> None:
    """What is evidence for a difference beyond delta is at least as much evidence for one beyond 0."""
    assert after(slices, delta).log_e <= after(slices, 0.0).log_e + 1e-12


@given(SCORES, SCORES, st.randoms(use_true_random=False))
def test_the_order_of_scores_in_a_slice_does_not_matter(
    canary: list[float], stable: list[float], random: Random
) -> None:
    """Slices are judged by their sums, and sums of workers add up to those of all."""
    half = random.randint(0, len(canary))
    together = sums_of(canary[:half]) + sums_of(canary[half:])
    assert advance(BoundedMean(), (together, sums_of(stable)), 0.0).log_e == pytest.approx(
        after([(canary, stable)]).log_e, abs=1e-9
    )


def test_a_judge_score_that_falls_from_seventh_to_sixth_tenth_is_found() -> None:
    """Scores of Beta distributions with means 0.6 and 0.7: enough evidence at 1 % within 1,000 answers of each."""
    random, state = Random(4), BoundedMean()
    for _ in range(50):
        canary = [random.betavariate(6.0, 4.0) for _ in range(20)]
        stable = [random.betavariate(7.0, 3.0) for _ in range(20)]
        state = advance(state, (sums_of(canary), sums_of(stable)), 0.0)
    assert state.log_e > log(100.0)


@pytest.mark.parametrize(
    ("slice_", "message"),
    [
        ((AnswerSums(2, 2.5, 1.5), AnswerSums(1, 0.5, 0.2)), r"scores of canary must be in \[0, 1\], got"),
        ((AnswerSums(2, 1.0, 1.0), AnswerSums(1, -0.5, 0.2)), r"scores of stable must be in \[0, 1\], got"),
        ((AnswerSums(2, 1.0, 1.2), AnswerSums(1, 0.5, 0.2)), r"scores of canary must be in \[0, 1\], got"),
    ],
)
def test_scores_outside_of_the_unit_interval_are_refused(slice_: Slice, message: str) -> None:
    """Sums that no scores in [0, 1] can have are named: the promise would not hold for them."""
    with pytest.raises(ValueError, match=message):
        advance(BoundedMean(), slice_, 0.0)


@pytest.mark.parametrize("delta", [-0.01, 1.0, float("nan")])
def test_an_impossible_tolerance_is_refused(delta: float) -> None:
    """A tolerance is a difference of scores in [0, 1]."""
    with pytest.raises(ValueError, match=r"delta must be in \[0, 1\), got"):
        advance(BoundedMean(), (AnswerSums(1, 0.5, 0.25), AnswerSums(1, 0.5, 0.25)), delta)


def test_numbers_of_another_length_are_refused() -> None:
    """A state of another version of the test is not guessed at."""
    with pytest.raises(ValueError, match="numbers must be 16 as to_list writes them, got 15"):
        BoundedMean.from_list([0.0] * 15)

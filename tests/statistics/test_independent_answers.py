"""The difference of two means of independent answers: guarded where a small arm looks as if it had no variance."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.statistics import AnswerSums, Contrast, contrast_of_answers

COUNTS = st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
STRATA = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=5)

Counts = list[tuple[tuple[int, int], tuple[int, int]]]


def failures(counts: tuple[int, int]) -> AnswerSums:
    """Answers and how many of them failed."""
    n, failed = counts
    return AnswerSums(n, failed, failed)


def compared(counts: Counts, ratio: float = 1.0) -> Contrast | None:
    """The contrast of 0/1 outcomes."""
    return contrast_of_answers([(failures(canary), failures(stable)) for canary, stable in counts], ratio)


@given(st.data())
def test_variances_are_those_of_scipy_and_numpy_where_no_guard_binds(data: st.DataObject) -> None:
    """For a noisier canary the standard error is that of Welch's test."""
    stats = pytest.importorskip("scipy.stats")
    random = Random(data.draw(st.integers(0, 2**32)))
    canary = [random.gauss(0.0, 2.0) for _ in range(data.draw(st.integers(40, 200)))]
    stable = [random.gauss(0.0, 1.0) for _ in range(data.draw(st.integers(300, 900)))]
    found = contrast_of_answers([(sums_of(canary), sums_of(stable))])
    assert found is not None
    welch = stats.ttest_ind(canary, stable, equal_var=False)
    assert found.difference == pytest.approx(sum(canary) / len(canary) - sum(stable) / len(stable))
    assert found.difference / found.variance**0.5 == pytest.approx(float(welch.statistic), rel=1e-9)
    assert found.refusal is None


def sums_of(values: list[float]) -> AnswerSums:
    """The sums of some answers."""
    return AnswerSums(len(values), sum(values), sum(value * value for value in values))


@given(STRATA, st.randoms(use_true_random=False))
def test_the_order_of_strata_does_not_matter(counts: Counts, random: Random) -> None:
    """Strata in another order give the same contrast."""
    other = list(counts)
    random.shuffle(other)
    found, again = compared(counts), compared(other)
    assert (found is None) == (again is None)
    if found is not None and again is not None:
        assert again.difference == pytest.approx(found.difference, abs=1e-12)
        assert again.variance == pytest.approx(found.variance)
        assert (again.canary_answers, again.refusal) == (found.canary_answers, found.refusal)


@given(STRATA)
def test_swapping_the_arms_mirrors_the_difference(counts: Counts) -> None:
    """Canary called stable and stable called canary: the difference has the other sign."""
    found, back = compared(counts), compared([(stable, canary) for canary, stable in counts])
    assert (found is None) == (back is None)
    if found is not None and back is not None:
        assert back.difference == pytest.approx(-found.difference, abs=1e-12)
        assert back.deviation == pytest.approx(found.deviation)


@given(STRATA, st.floats(0.01, 100.0), st.floats(-10.0, 10.0))
def test_the_unit_of_the_answers_does_not_matter(counts: Counts, scale: float, shift: float) -> None:
    """Scaled and shifted answers have the scaled difference and standard error."""

    def mapped(sums: AnswerSums) -> AnswerSums:
        squares = scale**2 * (sums.yy + 2.0 * shift * sums.y + shift**2 * sums.n)
        return AnswerSums(sums.n, scale * (sums.y + shift * sums.n), squares)

    plain = [(failures(canary), failures(stable)) for canary, stable in counts]
    found, other = contrast_of_answers(plain), contrast_of_answers([(mapped(c), mapped(s)) for c, s in plain])
    if found is not None and other is not None:
        assert other.difference == pytest.approx(scale * found.difference, abs=1e-9 * scale)
        assert other.variance == pytest.approx(scale**2 * found.variance, rel=1e-6, abs=1e-9 * scale**2)


@given(st.integers(30, 300), st.integers(2, 40), st.integers(1, 300), st.sampled_from([1.0, 1.2]))
def test_a_small_arm_without_failures_has_the_variance_of_both(
    small: int, times: int, failed: int, ratio: float
) -> None:
    """Whichever arm is the small one: its lack of failures is no proof that it cannot fail."""
    large = small * times
    failed = min(failed, large)
    n, rate = small + large, failed / (small + large)
    as_canary = compared([((small, 0), (large, failed))], ratio)
    as_stable = compared([((large, failed), (small, 0))], ratio)
    assert as_canary is not None
    assert as_stable is not None
    assert as_canary.variance >= n / (n - 1) * rate * (1.0 - rate) / small * (1.0 - 1e-9)
    assert as_stable.variance >= n / (n - 1) * rate * (1.0 - rate) * ratio**2 / small * (1.0 - 1e-9)


def test_every_answer_counts_as_a_user() -> None:
    """Independent answers have a design effect of 1 and as many effective users as there are answers."""
    found = compared([((400, 40), (400, 40)), ((100, 10), (100, 10))])
    assert found is not None
    assert found.design_effect == pytest.approx(1.0, abs=0.01)
    assert (found.canary_units_effective, found.canary_answers, found.stable_answers) == (500.0, 500, 500)


def test_fewer_than_thirty_answers_are_refused() -> None:
    """The words say which arm has too few answers, and how many."""
    found = [compared([(arms[0], arms[1])]) for arms in (((29, 1), (90, 1)), ((90, 1), (29, 1)), ((30, 1), (30, 1)))]
    assert [each.refusal for each in found if each is not None] == [
        "too few answers of canary: 29, at least 30",
        "too few answers of stable: 29, at least 30",
        None,
    ]


def test_strata_without_both_arms_are_passed_over() -> None:
    """A stratum in which one arm has no answers says nothing."""
    assert compared([((0, 0), (50, 3)), ((50, 3), (0, 0))]) is None
    assert compared([((0, 0), (50, 3)), ((50, 3), (60, 3))]) == compared([((50, 3), (60, 3))])


def test_impossible_arguments_are_refused() -> None:
    """A ratio that is not positive, and a negative number of answers, are named with what was found."""
    with pytest.raises(ValueError, match=r"ratio must be in \(0, 1000\], got 0\.0"):
        compared([((1, 0), (1, 0))], 0.0)
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        AnswerSums(-1, 0.0, 0.0)

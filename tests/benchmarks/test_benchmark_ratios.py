"""The numbers that benchmarks report: medians of ratios within rounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ratios import Spread, added, quantile, ratios

times = st.floats(1e-9, 1e3)


def test_the_median_and_the_deciles_of_rounds_are_reported() -> None:
    """A spread is the median, and the 10th and 90th percentile."""
    spread = Spread.of([float(number) for number in range(101)])

    assert spread == Spread(median=50.0, low=10.0, high=90.0, rounds=101)


def test_one_round_has_no_spread() -> None:
    """A single number is its own median and percentiles."""
    assert Spread.fixed(3.0) == Spread(3.0, 3.0, 3.0, 1)


def test_no_rounds_are_refused() -> None:
    """Nothing cannot be summarised."""
    with pytest.raises(ValueError, match="values must hold one number per round"):
        Spread.of([])


def test_a_ratio_is_of_two_times_in_one_round() -> None:
    """A round in which everything is slow changes no ratio: the medians of both sides would say 20 / 20."""
    ours, theirs = [2.0, 20.0, 40.0], [1.0, 10.0, 20.0]

    assert ratios(ours, theirs) == Spread(2.0, 2.0, 2.0, 3)


def test_what_both_sides_have_in_common_is_taken_away() -> None:
    """3 of 5 is 2 of 4 when both contain a loop of 1."""
    assert ratios([3.0], [5.0], less=[1.0]).median == 0.5


def test_a_round_that_was_disturbed_is_left_out() -> None:
    """Where the empty loop took longer than what contains it, the round is not counted."""
    assert ratios([3.0, 3.0, 3.0], [5.0, 5.0, 5.0], less=[1.0, 9.0, 1.0]) == Spread(0.5, 0.5, 0.5, 2)


def test_mostly_disturbed_rounds_are_refused() -> None:
    """A ratio of a minority of rounds would be a choice of rounds."""
    with pytest.raises(ValueError, match="only 1 of 3 rounds are usable: take longer samples"):
        ratios([3.0, 3.0, 3.0], [5.0, 5.0, 5.0], less=[1.0, 9.0, 9.0])


def test_rounds_must_be_as_many_on_both_sides() -> None:
    """Times that belong to no round are refused."""
    with pytest.raises(ValueError, match="each round must have one time of each kind, got 2, 1 and 2"):
        ratios([1.0, 2.0], [1.0])


@given(st.lists(times, min_size=1, max_size=30))
def test_a_contestant_against_itself_is_one(samples: list[float]) -> None:
    """Equal times have the ratio 1, whatever the rounds were like."""
    assert ratios(samples, samples) == Spread(1.0, 1.0, 1.0, len(samples))


@given(st.lists(st.tuples(times, times), min_size=1, max_size=30))
def test_the_median_lies_within_the_spread(samples: list[tuple[float, float]]) -> None:
    """The percentiles enclose the median, up to the rounding of their interpolation."""
    spread = ratios([ours for ours, _ in samples], [theirs for _, theirs in samples])

    assert spread.low * (1.0 - 1e-12) <= spread.median <= spread.high * (1.0 + 1e-12)


def test_added_time_is_the_median_of_the_differences() -> None:
    """What a middleware adds is its time less the app's, round by round."""
    assert added([3.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == 3.0


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)]
)
def test_a_quantile_is_a_value_that_was_seen(p: float, expected: float) -> None:
    """The p-quantile of 1 to 100 is the smallest that a share p does not exceed."""
    assert quantile([float(number) for number in range(100, 0, -1)], p) == expected


def test_a_quantile_of_nothing_is_refused() -> None:
    """There is no p99 of no answers."""
    with pytest.raises(ValueError, match="values must have at least one number"):
        quantile([], 0.99)

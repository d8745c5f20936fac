"""The histogram: its error bound, merging, its size, and what it refuses."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_canary.metrics import Histogram
from agent_canary.metrics.histogram import (
    HIGHEST_BOUND,
    LARGEST_VALUE,
    LOWEST_BOUND,
    ZERO_THRESHOLD,
    bound_of,
    middle_of,
    upper_bound_of,
)

ERROR = 2.0 ** (1 / 128) - 1.0 + 1e-12
"""Half a bucket, 0.543 %, and what floats round."""

INSIDE = st.floats(math.nextafter(ZERO_THRESHOLD, 1.0), LARGEST_VALUE)
ANY = st.floats(0.0, allow_infinity=False, allow_nan=False)
VALUES = st.lists(st.one_of(INSIDE, ANY, st.sampled_from([0.0, 1.0, 2.0, 1000.0])), max_size=60)
MANY_INSIDE = st.lists(INSIDE, min_size=1, max_size=60)
BOUNDS = range(LOWEST_BOUND + 1, HIGHEST_BOUND + 1)


def contents(histogram: Histogram) -> tuple[dict[int, int], int]:
    """All counts: equal for equal values, while sums of floats depend on their order."""
    return histogram.buckets, histogram.zeros


def test_two_to_the_power_of_one_half_bucket_is_the_promise() -> None:
    """The documents promise 0.54 %."""
    assert round(100 * ERROR, 2) == 0.54


@given(INSIDE)
@example(math.nextafter(ZERO_THRESHOLD, 1.0))
@example(LARGEST_VALUE)
@example(1.0)
def test_a_value_is_within_the_error_of_its_buckets_middle(value: float) -> None:
    """The median of one value is that value, within 0.54 %."""
    assert Histogram([value]).quantile(0.5) == pytest.approx(value, rel=ERROR)


@given(MANY_INSIDE, st.floats(0.0, 1.0))
@example([1.0, 2.0, 4.0, 8.0], 0.5)
@example([1.0], 0.0)
@example([1.0, 5.0], 1.0)
def test_a_quantile_is_that_of_the_sorted_values(values: list[float], p: float) -> None:
    """It is within 0.54 % of the value of rank ceil(p x count)."""
    rank = max(1, math.ceil(p * len(values)))
    assert Histogram(values).quantile(p) == pytest.approx(sorted(values)[rank - 1], rel=ERROR)


@given(VALUES)
def test_count_and_sum_are_those_of_the_values(values: list[float]) -> None:
    """Each value counts once, and in the sum as at most the largest one."""
    histogram = Histogram(values)
    assert histogram.count == len(values)
    assert histogram.zeros == sum(value <= ZERO_THRESHOLD for value in values)
    assert histogram.sum == pytest.approx(sum(min(value, LARGEST_VALUE) for value in values))


@given(VALUES, VALUES)
def test_merging_is_recording_both(some: list[float], others: list[float]) -> None:
    """Two workers' histograms together are that of one worker who saw all."""
    merged = Histogram(some)
    merged.merge(Histogram(others))
    assert contents(merged) == contents(Histogram(some + others))
    assert merged.sum == pytest.approx(Histogram(some + others).sum)


@given(VALUES, VALUES, VALUES)
def test_the_order_of_merging_does_not_matter(one: list[float], two: list[float], three: list[float]) -> None:
    """Any order and any grouping gives the same counts."""
    left, right = Histogram(one), Histogram(three)
    left.merge(Histogram(two))
    left.merge(Histogram(three))
    right.merge(Histogram(two))
    right.merge(Histogram(one))
    assert contents(left) == contents(right)


@given(VALUES, VALUES)
def test_what_is_merged_stays_as_it_was(some: list[float], others: list[float]) -> None:
    """Merging and subtracting take copies."""
    part = Histogram(others)
    merged = Histogram(some)
    merged.merge(part)
    merged.record_many([1.0])
    assert part == Histogram(others)


@given(VALUES, VALUES)
def test_subtracting_undoes_merging(some: list[float], others: list[float]) -> None:
    """What has come since an earlier copy is the difference to it."""
    merged = Histogram(some)
    merged.merge(Histogram(others))
    merged.subtract(Histogram(others))
    assert contents(merged) == contents(Histogram(some))
    assert merged.count == len(some)
    assert merged.sum == pytest.approx(Histogram(some).sum, rel=1e-9, abs=1e-6 * (1.0 + Histogram(others).sum))


@pytest.mark.parametrize("earlier", [[3.0], [1.0, 1.0], [0.0]])
def test_what_is_no_past_state_cannot_be_subtracted(earlier: list[float]) -> None:
    """It is refused, and nothing is changed."""
    histogram = Histogram([1.0, 2.0])
    with pytest.raises(ValueError, match="earlier must be a past state of this histogram"):
        histogram.subtract(Histogram(earlier))
    assert histogram == Histogram([1.0, 2.0])


@given(VALUES)
def test_an_emptied_histogram_is_empty(values: list[float]) -> None:
    """Nothing is left of a difference to itself, not even the rounding of its sum."""
    histogram = Histogram(values)
    histogram.subtract(histogram.copy())
    assert histogram == Histogram()


@given(VALUES)
def test_json_brings_everything_back(values: list[float]) -> None:
    """Through the text and back it is equal to the last bit of its sum."""
    histogram = Histogram(values)
    assert Histogram.from_json(json.loads(json.dumps(histogram.to_json()))) == histogram


@given(VALUES, VALUES)
def test_what_came_from_json_merges_on(some: list[float], others: list[float]) -> None:
    """It is as good as the original."""
    restored = Histogram.from_json(Histogram(some).to_json())
    restored.merge(Histogram(others))
    assert contents(restored) == contents(Histogram(some + others))


@given(VALUES)
def test_a_copy_is_independent(values: list[float]) -> None:
    """What is recorded to it is not recorded to the original."""
    histogram = Histogram(values)
    twin = histogram.copy()
    assert twin == histogram
    twin.record_many([1.0, 0.0])
    assert histogram == Histogram(values) != twin


def test_its_size_is_bounded_whatever_is_recorded() -> None:
    """A hundred thousand values from 1e-12 to 1e12 take at most 3,200 buckets and 60 kB of JSON."""
    chance = random.Random(3)
    histogram = Histogram()
    for _ in range(100):
        histogram.record_many([10.0 ** chance.uniform(-12, 12) for _ in range(1000)])
    assert histogram.count == 100_000
    assert len(histogram.buckets) <= HIGHEST_BOUND - LOWEST_BOUND + 1 == 3201
    assert len(json.dumps(histogram.to_json())) < 60_000


def test_buckets_are_called_by_opentelemetrys_index() -> None:
    """At scale 6, index i holds the values in (2^(i/64), 2^((i+1)/64)]: exact powers of two belong below."""
    assert Histogram([1.0, 2.0, 1.5, 1.5, 0.5, 0.0]).buckets == {-65: 1, -1: 1, 37: 2, 63: 1}
    assert list(Histogram([4.0, 0.25, 1.0]).buckets) == [-129, -1, 127]


def test_values_beyond_the_range_are_clamped() -> None:
    """Larger than 2^30 counts as 2^30, and at most 2^-20 as zero."""
    huge = Histogram([1e300, 1e300, LARGEST_VALUE])
    assert huge.sum == 3 * LARGEST_VALUE
    assert huge.quantile(0.5) == pytest.approx(LARGEST_VALUE, rel=ERROR)
    tiny = Histogram([0.0, ZERO_THRESHOLD, 1e-300, math.nextafter(ZERO_THRESHOLD, 1.0)])
    assert (tiny.zeros, tiny.count, tiny.quantile(0.75)) == (3, 4, 0.0)


def test_a_large_sum_of_ordinary_values_is_not_clamped() -> None:
    """Only values are clamped, not batches."""
    histogram = Histogram([1e9, 1e9])
    assert histogram.sum == 2e9
    assert len(histogram.buckets) == 1


def test_an_empty_histogram_has_zero_everywhere() -> None:
    """Count, sum and every quantile are 0."""
    empty = Histogram()
    assert (empty.count, empty.sum, empty.zeros, empty.buckets) == (0, 0.0, 0, {})
    assert [empty.quantile(p) for p in (0.0, 0.5, 1.0)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("p", [-0.1, 1.1, 95, float("nan")])
def test_a_quantile_outside_of_zero_to_one_is_refused(p: float) -> None:
    """95 for 95 % is a mistake."""
    with pytest.raises(ValueError, match=r"p must be a number in \[0, 1\], got"):
        Histogram([1.0]).quantile(p)


def test_every_bucket_ends_at_its_upper_bound() -> None:
    """The upper bound of each of the 3,200 buckets belongs to it, and the next float does not."""
    for bound in BOUNDS:
        largest = upper_bound_of(bound)
        assert bound_of(largest) == bound
        assert bound == HIGHEST_BOUND or bound_of(math.nextafter(largest, math.inf)) == bound + 1
        assert upper_bound_of(bound - 1) < middle_of(bound) < largest
        assert bound_of(middle_of(bound)) == bound


@given(VALUES, st.sampled_from(BOUNDS))
def test_counting_above_an_upper_bound_is_exact(values: list[float], bound: int) -> None:
    """Exactly the values above the largest one of a bucket are counted."""
    threshold = upper_bound_of(bound)
    above = Histogram(values).count_above(threshold)
    assert above == (0 if bound == HIGHEST_BOUND else sum(value > threshold for value in values))


@given(VALUES, INSIDE)
def test_counting_above_misses_at_most_what_shares_a_bucket(values: list[float], threshold: float) -> None:
    """Nothing at or below the threshold counts, and everything from 1.1 % above it does."""
    above = Histogram(values).count_above(threshold)
    assert above <= sum(value > threshold for value in values)
    assert above >= sum(min(value, LARGEST_VALUE) > threshold * 1.011 for value in values)


def test_counting_above_zero_counts_all_but_zeros() -> None:
    """A threshold in the zero bucket leaves the zeros out."""
    assert Histogram([0.0, 1e-7, 1.0, 2.0]).count_above(0.0) == 2
    with pytest.raises(ValueError, match="threshold must be a finite number >= 0"):
        Histogram().count_above(-1.0)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), -0.5, -5e-324, "1.5", None, True, 1j], ids=repr
)
def test_a_batch_with_a_wrong_value_is_refused_as_a_whole(value: Any) -> None:
    """Nothing of it is recorded; the error names the value."""
    histogram = Histogram([7.0])
    with pytest.raises(ValueError, match="value must be a finite number >= 0, got"):
        histogram.record_many([1.0, value, 2.0])
    assert histogram == Histogram([7.0])


def test_numbers_of_other_types_are_understood() -> None:
    """Integers and NumPy's numbers are recorded as floats."""
    assert Histogram([1, 2, 3]) == Histogram([1.0, 2.0, 3.0])
    numpy = pytest.importorskip("numpy")
    histogram = Histogram(numpy.array([1.0, 2.0], dtype="float32"))
    assert json.loads(json.dumps(histogram.to_json())) == Histogram([1.0, 2.0]).to_json()


def test_an_iterator_is_read_once() -> None:
    """Values may come from a generator."""
    assert Histogram(float(value) for value in range(5)).count == 5


def without(part: str) -> Callable[[dict[str, Any]], object]:
    """Leave a part out."""
    return lambda data: {name: value for name, value in data.items() if name != part}


def with_(**parts: Any) -> Callable[[dict[str, Any]], object]:
    """Replace parts."""
    return lambda data: {**data, **parts}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *[
            (without(part), rf"data must be an object with '{part}'")
            for part in ("scale", "zeros", "sum", "bounds", "counts")
        ],
        (lambda data: list(data.items()), "data must be an object with 'scale'"),
        (lambda data: None, "data must be an object with 'scale', got None"),
        (with_(scale=5), "histogram scale must be 6, got 5"),
        (with_(zeros=-1), "histogram zeros must be an integer >= 0, got -1"),
        (with_(zeros=1.0), "histogram zeros must be an integer"),
        (with_(sum=float("nan")), "histogram sum must be a finite number >= 0, got nan"),
        (with_(sum="2"), "histogram sum must be a finite number"),
        (with_(bounds=[64, 64]), "histogram bounds must be distinct and as many as counts"),
        (with_(bounds=[64]), "histogram bounds must be distinct and as many as counts"),
        (with_(bounds=[0, 64, 128]), "histogram bounds must be distinct and as many as counts"),
        (with_(bounds=[0, HIGHEST_BOUND + 1]), r"histogram bounds must be a list of integers in \[-1280, 1920\]"),
        (with_(bounds=[LOWEST_BOUND - 1, 0]), r"histogram bounds must be a list of integers in \[-1280, 1920\]"),
        (with_(bounds=[0, 64.0]), "histogram bounds must be a list of integers"),
        (with_(bounds=[0, True]), "histogram bounds must be a list of integers"),
        (with_(bounds="ab"), "histogram bounds must be a list of integers"),
        (with_(counts=[1, 0]), "histogram counts must be a list of integers >= 1"),
        (with_(counts=[1, None]), "histogram counts must be a list of integers >= 1"),
    ],
)
def test_json_that_is_not_ours_is_refused(damage: Callable[[dict[str, Any]], object], message: str) -> None:
    """The error says which part, and what it should be."""
    data = Histogram([1.0, 2.0]).to_json()
    assert Histogram.from_json(data).count == 2
    with pytest.raises(ValueError, match=message):
        Histogram.from_json(damage(data))


def test_it_is_equal_to_histograms_only() -> None:
    """Comparing it with something else is False and no error."""
    assert Histogram() != {}
    assert Histogram([1.0]) != Histogram([1.0, 1.0])
    assert Histogram([0.0]) != Histogram()


def test_it_shows_what_it_holds() -> None:
    """A debugger shows number, sum and median."""
    assert repr(Histogram([1.0, 3.0])) == "<Histogram of 2 values, sum 4, p50 0.994599>"

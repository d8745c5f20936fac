"""The rolling window: bounded by number and by age, exact in what it keeps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.metrics.window import FAILED_ZERO, RollingWindow, latencies, percentile, signed, success_rate

MILLISECONDS = st.one_of(st.floats(0.0, 1e15), st.sampled_from([0.0, 1.0, 250.0]))
PAIRS = st.lists(st.tuples(st.booleans(), MILLISECONDS), max_size=30)
ORDERED = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30).map(sorted)


@given(PAIRS)
def test_success_and_latency_survive_in_one_number(pairs: list[tuple[bool, float]]) -> None:
    """A signed latency gives back both, a failure after zero milliseconds included."""
    outcomes = signed(pairs)
    assert [outcome >= 0.0 for outcome in outcomes] == [success for success, _ in pairs]
    assert latencies(outcomes) == [latency for _, latency in pairs]


def test_a_failure_after_no_time_is_a_failure() -> None:
    """Zero has no sign that comparisons see, so the smallest negative number stands for it."""
    assert FAILED_ZERO < 0.0
    assert signed([(False, 0.0), (True, 0.0)]) == [FAILED_ZERO, 0.0]
    assert success_rate(signed([(False, 0.0), (True, 0.0)])) == 0.5


@given(PAIRS, st.integers(1, 10))
def test_it_keeps_the_last_outcomes(pairs: list[tuple[bool, float]], size: int) -> None:
    """However they come in batches, the last *size* of them are kept in order."""
    outcomes = signed(pairs)
    window = RollingWindow(size)
    for outcome in outcomes[:7]:
        window.extend([outcome])
    window.extend(outcomes[7:])
    assert window.outcomes(now=0.0) == outcomes[-size:]


def test_it_forgets_what_is_too_old() -> None:
    """An outcome of exactly the age is kept, an older one is not, and none comes back."""
    window = RollingWindow(10, seconds=5.0)
    window.extend_stamped([1.0, 2.0, 3.0], [100.0, 102.0, 104.0])
    assert window.outcomes(now=105.0) == [1.0, 2.0, 3.0]
    assert window.outcomes(now=105.5) == [2.0, 3.0]
    assert window.outcomes(now=109.0) == [3.0]
    assert window.outcomes(now=109.5) == []
    assert window.outcomes(now=100.0) == []


def test_it_keeps_no_more_than_its_size_by_age_too() -> None:
    """Both bounds hold at once."""
    window = RollingWindow(2, seconds=5.0)
    window.extend_stamped([1.0, 2.0, 3.0], [100.0, 101.0, 102.0])
    assert window.outcomes(now=102.0) == [2.0, 3.0]
    assert window.outcomes(now=106.5) == [3.0]


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 100.0)), max_size=20), st.floats(0.0, 200.0))
def test_age_counts_whatever_the_order_of_stamps(entries: list[tuple[float, float]], now: float) -> None:
    """An old outcome does not hide behind a newer one that another thread was first to append."""
    window = RollingWindow(100, seconds=10.0)
    window.extend_stamped([outcome for outcome, _ in entries], [stamp for _, stamp in entries])
    assert window.outcomes(now) == [outcome for outcome, stamp in entries if stamp >= now - 10.0]


def test_an_empty_window_is_a_success() -> None:
    """As in the original: 1.0 and 0.0."""
    assert success_rate([]) == 1.0
    assert percentile([], 0.95) == 0.0


def test_the_success_rate_is_the_share_of_successes() -> None:
    """Three of four."""
    assert success_rate(signed([(True, 1.0), (False, 2.0), (True, 3.0), (True, 0.0)])) == 0.75


@pytest.mark.parametrize(
    ("values", "p", "expected"),
    [
        ([7.0], 0.5, 7.0),
        ([1.0, 2.0], 0.5, 1.5),
        ([1.0, 2.0, 3.0, 4.0], 0.0, 1.0),
        ([1.0, 2.0, 3.0, 4.0], 1.0, 4.0),
        ([1.0, 2.0, 3.0, 4.0], 0.25, 1.75),
        ([0.0, 10.0], 0.95, 9.5),
        ([float(value) for value in range(101)], 0.99, 99.0),
    ],
)
def test_a_percentile_lies_between_its_neighbours(values: list[float], p: float, expected: float) -> None:
    """Linear interpolation: the median of 1 and 2 is 1.5, not 2 as the original had it."""
    assert percentile(values, p) == pytest.approx(expected, rel=1e-12)


@given(ORDERED, st.floats(0.0, 1.0))
def test_percentiles_agree_with_numpy(values: list[float], p: float) -> None:
    """NumPy's default method gives the same."""
    numpy = pytest.importorskip("numpy")
    assert percentile(values, p) == pytest.approx(float(numpy.quantile(values, p)), rel=1e-9, abs=1e-9)


@given(ORDERED, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_percentiles_stay_among_the_values_and_in_order(values: list[float], one: float, other: float) -> None:
    """Never below the least, never above the greatest, and growing with p."""
    low, high = percentile(values, min(one, other)), percentile(values, max(one, other))
    assert values[0] <= low <= values[-1]
    assert low <= high or math.isclose(low, high)


@pytest.mark.parametrize("p", [-0.1, 1.01, 95, float("nan")])
def test_a_percentile_outside_of_zero_to_one_is_refused(p: float) -> None:
    """95 for 95 % is a mistake, in an empty window too."""
    for values in ([], [1.0]):
        with pytest.raises(ValueError, match=r"p must be a number in \[0, 1\], got"):
            percentile(values, p)

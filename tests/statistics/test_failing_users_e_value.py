"""The e-value of failing users: exact under the null whatever users do, blind to order, monotone in harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import exp, fsum, inf, log, nan, nextafter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary.statistics import log_e_value, log_sampling_weight, usage_ratio

Unit = tuple[float, float | None]

SHARES = st.one_of(st.sampled_from([0.01, 0.05, 0.25, 0.5, 0.8]), st.floats(0.001, 1.0))
VISITS = st.lists(st.tuples(SHARES, st.booleans()), max_size=8)
BOUNDS = st.lists(SHARES, min_size=2, max_size=2, unique=True).map(sorted)
UNITS: st.SearchStrategy[Unit] = st.one_of(
    BOUNDS.map(lambda bounds: (bounds[0], bounds[1])),
    SHARES.map(lambda hi: (0.0, hi)),
    SHARES.map(lambda lo: (lo, None)),
)
GROUPS = st.dictionaries(UNITS, st.integers(0, 1000), max_size=12)
TOLERANCES = st.sampled_from([1.0, 1.2, 2.0, 5.0])


def bucket_intervals(shares: Iterable[float]) -> Iterator[tuple[float, float]]:
    """The intervals of the bucket inside which every one of the shares decides alike."""
    yield from pairwise(sorted({0.0, 1.0, *shares}))


def seen(bucket: float, failing_shares: Iterable[float]) -> Unit:
    """What is kept of a unit with this bucket that fails at these shares, in this order."""
    lo, hi = 0.0, None
    for share in failing_shares:
        if bucket < share:
            hi = share if hi is None else min(hi, share)
        else:
            lo = max(lo, share)
    return lo, hi


def e_value(unit: Unit, tolerance: float) -> float:
    """The e-value of one unit alone."""
    return exp(log_e_value({unit: 1}, tolerance))


def chances(bucket: float, visits: Sequence[tuple[float, float]], risk_ratio: float) -> dict[Unit, float]:
    """The chance of all that may be seen of a unit whose visits fail independently, on the canary more often."""
    chances_so_far: dict[Unit, float] = {(0.0, None): 1.0}
    for share, stable_chance in visits:
        fails = stable_chance * (risk_ratio if bucket < share else 1.0)
        following: dict[Unit, float] = {}
        for (lo, hi), chance in chances_so_far.items():
            failed = (lo, min(share, hi or 1.0)) if bucket < share else (max(lo, share), hi)
            following[(lo, hi)] = following.get((lo, hi), 0.0) + chance * (1.0 - fails)
            following[failed] = following.get(failed, 0.0) + chance * fails
        chances_so_far = following
    return chances_so_far


@settings(deadline=None)
@given(VISITS)
def test_the_expectation_over_the_bucket_is_one_for_any_sequence_of_shares(visits: list[tuple[float, bool]]) -> None:
    """Whatever shares a unit meets and wherever it fails, if its bucket has nothing to do with it the mean is 1."""
    failing = [share for share, fails in visits if fails]
    mean = fsum(
        (upper - lower) * e_value(seen((lower + upper) / 2, failing), 1.0)
        for lower, upper in bucket_intervals(share for share, _ in visits)
    )
    assert mean == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3, unique=True).map(sorted), st.booleans())
def test_the_next_failure_changes_nothing_on_average(bounds: list[float], failed_on_canary: bool) -> None:
    """A unit known to lie in [lo, hi) that fails once more at a share between keeps its e-value in the mean."""
    lo, share, hi = bounds[0], bounds[1], bounds[2] if failed_on_canary else 1.0
    now = e_value((lo, hi if failed_on_canary else None), 1.0)
    on_canary, on_stable = e_value((lo, share), 1.0), e_value((share, hi if failed_on_canary else None), 1.0)
    if share < hi:
        assert ((share - lo) * on_canary + (hi - share) * on_stable) / (hi - lo) == pytest.approx(now, rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(SHARES, st.floats(0.0, 1.0)), max_size=5),
    TOLERANCES,
    st.one_of(st.just(1.0), st.floats(0.0, 1.0)),
)
def test_within_the_tolerance_the_expectation_is_at_most_one(
    visits: list[tuple[float, float]], tolerance: float, part_of_tolerance: float
) -> None:
    """A canary on which each visit fails up to `tolerance` times as often gathers no evidence on average."""
    possible = [(share, chance / tolerance) for share, chance in visits]
    mean = fsum(
        (upper - lower) * chance * e_value(unit, tolerance)
        for lower, upper in bucket_intervals(share for share, _ in visits)
        for unit, chance in chances((lower + upper) / 2, possible, tolerance * part_of_tolerance).items()
    )
    assert mean <= 1.0 + 1e-9


def test_beyond_the_tolerance_the_expectation_exceeds_one() -> None:
    """A canary that fails ten times as often as tolerated gathers evidence on average."""
    visits = [(0.25, 0.05)]
    mean = fsum(
        (upper - lower) * chance * e_value(unit, 1.2)
        for lower, upper in bucket_intervals([0.25])
        for unit, chance in chances((lower + upper) / 2, visits, 12.0).items()
    )
    assert mean > 1.05


@settings(deadline=None)
@given(GROUPS, TOLERANCES)
def test_the_order_of_the_groups_changes_no_bit(groups: dict[Unit, int], tolerance: float) -> None:
    """Reversed, the same groups give exactly the same number."""
    assert log_e_value(dict(reversed(groups.items())), tolerance) == log_e_value(groups, tolerance)


@settings(deadline=None)
@given(BOUNDS, st.integers(1, 1000), st.integers(1, 1000), GROUPS, TOLERANCES)
def test_a_group_is_worth_as_much_as_its_parts(
    bounds: list[float], some: int, more: int, groups: dict[Unit, int], tolerance: float
) -> None:
    """Units kept apart only by the last bit of a share weigh as much as the same units in one group."""
    lo, hi = bounds
    rest = {unit: count for unit, count in groups.items() if lo not in unit}
    apart: dict[Unit, int] = {**rest, (lo, hi): some, (nextafter(lo, 0.0), hi): more}
    merged = log_e_value({**rest, (lo, hi): some + more}, tolerance)
    assert len(apart) == len(rest) + 2
    assert log_e_value(apart, tolerance) == pytest.approx(merged, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(GROUPS, st.integers(0, 1000), TOLERANCES)
def test_units_without_failures_and_empty_groups_change_nothing(
    groups: dict[Unit, int], units: int, tolerance: float
) -> None:
    """A unit that never failed, or a group that holds no unit, moves the evidence by nothing."""
    silent: dict[Unit, int] = {(0.0, None): units, (0.123, 0.456): 0}
    assert log_e_value({**groups, **silent}, tolerance) == log_e_value(groups, tolerance)


@settings(deadline=None)
@given(GROUPS, SHARES, TOLERANCES)
def test_one_more_unit_that_failed_on_the_canary_only_adds_evidence(
    groups: dict[Unit, int], share: float, tolerance: float
) -> None:
    """Evidence never falls by a unit that failed on the canary and never on stable."""
    more = {**groups, (0.0, share): groups.get((0.0, share), 0) + 1}
    assert log_e_value(more, tolerance) >= log_e_value(groups, tolerance) - 1e-9


@settings(deadline=None)
@given(GROUPS, BOUNDS, TOLERANCES)
def test_a_unit_of_stable_that_fails_on_the_canary_too_adds_evidence(
    groups: dict[Unit, int], bounds: list[float], tolerance: float
) -> None:
    """Evidence never falls when a unit of stable now fails on the canary, and grows more the smaller the share."""
    lo, hi = bounds
    rest = {unit: count for unit, count in groups.items() if unit not in {(lo, None), (lo, hi), (lo, 1.0)}}
    before = log_e_value({**rest, (lo, None): 1}, tolerance)
    late, early = log_e_value({**rest, (lo, 1.0): 1}, tolerance), log_e_value({**rest, (lo, hi): 1}, tolerance)
    assert before - 1e-9 <= late <= early + 1e-9


def test_nobody_failing_is_no_evidence() -> None:
    """Without failing units, or with groups that count nobody, the log e-value is 0."""
    assert log_e_value({}) == 0.0
    assert log_e_value({(0.0, None): 7, (0.25, 0.5): 0}) == 0.0


def test_a_handful_of_failing_users_of_a_broken_canary_suffice() -> None:
    """Three units that fail at 1 % traffic, where stable has none, exceed 1 / alpha = 100; one does not."""
    assert log_e_value({(0.0, 0.01): 3}) > log(100.0) > log_e_value({(0.0, 0.01): 1})


def test_a_million_units_do_not_overflow() -> None:
    """Evidence for and against from 10^6 units stays a finite number, of the right sign."""
    assert 1e5 < log_e_value({(0.0, 0.01): 1_000_000}) < inf
    assert -inf < log_e_value({(0.5, None): 1_000_000}) < -1e4


def test_the_weights_of_all_sampling_levels_add_up_to_one() -> None:
    """0.9 for the whole set, then 0.05, 0.025 and so on: together 1, so that the level may follow the data."""
    weights = [exp(log_sampling_weight(level)) for level in range(60)]
    assert weights[:3] == pytest.approx([0.9, 0.05, 0.025], rel=1e-14)
    assert fsum(weights) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize(
    ("unit", "count", "message"),
    [
        ((-0.1, None), 1, r"lo must be a traffic share in \[0, 1\], got -0.1"),
        ((1.5, None), 1, r"lo must be a traffic share in \[0, 1\], got 1.5"),
        ((nan, None), 1, r"lo must be a traffic share in \[0, 1\], got nan"),
        ((0.0, 0.0), 1, r"hi must be a traffic share in \(0, 1\], got 0.0"),
        ((0.0, 25.0), 1, r"hi must be a traffic share in \(0, 1\], got 25.0"),
        ((0.0, nan), 1, r"hi must be a traffic share in \(0, 1\], got nan"),
        ((0.0, 0.5), -1, r"number of units in group \(0.0, 0.5\) must be at least 0, got -1"),
    ],
)
def test_values_outside_their_range_are_refused(unit: Unit, count: int, message: str) -> None:
    """The error names the number, its range and the value found."""
    with pytest.raises(ValueError, match=message):
        log_e_value({(0.25, 0.5): 1, unit: count})


def test_a_tolerance_below_one_is_refused() -> None:
    """A tolerance of 0.2 is a mistake for 1.2."""
    with pytest.raises(ValueError, match=r"tolerance must be a ratio from 1 to 1000, got 0\.2"):
        log_e_value({}, 0.2)


def test_a_negative_sampling_level_is_refused() -> None:
    """Level 0 is the whole set; there is none before it."""
    with pytest.raises(ValueError, match="level must be at least 0, got -1"):
        log_sampling_weight(-1)


@pytest.mark.parametrize(("share", "users"), [(0.01, 2), (0.05, 3), (0.25, 5), (0.5, 10), (0.8, 30), (0.95, 132)])
def test_the_fewest_users_that_can_roll_back_are_those_of_the_documents(share: float, users: int) -> None:
    """docs/deciding.md tells them for the default alpha and tolerance, with no failing user on stable."""
    alarm = log(1 / (0.01 * 0.9))

    def evidence(failing: int) -> float:
        return log_e_value({(0.0, share): failing}, 1.2) + log_sampling_weight(0)

    assert evidence(users) >= alarm > evidence(users - 1)


@given(st.lists(st.tuples(st.sampled_from([0.01, 0.05, 0.25, 0.5]), st.integers(1, 40)), min_size=1, max_size=5))
def test_a_canary_that_is_used_as_its_share_says_has_a_usage_ratio_of_one(slices: list[tuple[float, int]]) -> None:
    """Answers that split like the users, over a ramp with more and less traffic, are no more use of either version."""
    split = [(share, round(share * 100) * weight, round((1 - share) * 100) * weight) for share, weight in slices]
    assert usage_ratio(split) == pytest.approx(1.0)
    twice = [(share, 2 * canary, stable) for share, canary, stable in split]
    assert usage_ratio(twice) == pytest.approx(2.0)


def test_no_answers_of_a_version_say_nothing_about_use() -> None:
    """Before both versions answered while both could, the ratio is 1."""
    assert usage_ratio([]) == 1.0
    assert usage_ratio([(0.05, 0, 90), (0.0, 0, 50)]) == 1.0
    assert usage_ratio([(1.0, 70, 0)]) == 1.0


def test_failing_users_are_judged_at_the_canarys_use() -> None:
    """Three times the failing users on a canary that is used three times as much are no evidence against it."""
    groups = {(0.0, 0.1): 30, (0.1, None): 90}
    ratio = usage_ratio([(0.1, 300, 900)])
    assert ratio == pytest.approx(3.0)
    assert log_e_value(groups, 1.2) > log(100.0)
    assert log_e_value(groups, 1.2 * ratio) < 0.0


@pytest.mark.parametrize("slice_", [(1.1, 1, 1), (-0.1, 1, 1), (0.5, -1, 1), (0.5, 1, -1), (float("nan"), 1, 1)])
def test_impossible_use_is_refused(slice_: tuple[float, int, int]) -> None:
    """The error says what was found."""
    with pytest.raises(ValueError, match=r"slices must be of a share in \[0, 1\] and of numbers of answers"):
        usage_ratio([slice_])

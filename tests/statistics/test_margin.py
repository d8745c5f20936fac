"""The exact test of a margin between two rates: projected as scipy does, right under the null, betting when it may."""

from __future__ import annotations

import json
from math import comb, exp, inf, isfinite, log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_canary.statistics import NonInferiority, log_e_margin
from agent_canary.statistics.margin import advance

RATES = st.floats(0.001, 0.999)
LINES = st.sampled_from([(1.0, 0.0), (1.0, 0.01), (1.2, 0.0), (0.5, 0.2), (1.0, -0.05)])
WARM = NonInferiority(stable_answers=10_000, stable_failures=200)
COUNTS = [
    (n_c, n_s, f_c, f_s) for n_c, n_s in ((1, 1), (3, 9), (8, 4)) for f_c in range(n_c + 1) for f_s in range(n_s + 1)
]


def binomial(n: int, k: int, rate: float) -> float:
    """The probability of k failures among n."""
    return comb(n, k) * rate**k * (1.0 - rate) ** (n - k)


def expectation(
    canary_rate: float, stable_rate: float, alternative: tuple[float, float], line: tuple[float, float]
) -> float:
    """The largest mean of the e-value over the sizes of slices, if these are the true rates."""
    means: dict[tuple[int, int], float] = {}
    for n_c, n_s, f_c, f_s in COUNTS:
        chance = binomial(n_c, f_c, canary_rate) * binomial(n_s, f_s, stable_rate)
        value = exp(log_e_margin(n_c, n_s, f_c, f_s, *alternative, *line))
        means[n_c, n_s] = means.get((n_c, n_s), 0.0) + chance * value
    return max(means.values())


@given(RATES, RATES, RATES, RATES, LINES)
def test_the_expectation_beyond_the_line_is_at_most_one(
    canary_rate: float, stable_rate: float, true_canary: float, true_stable: float, line: tuple[float, float]
) -> None:
    """If the true rates are on the other side of the line than the alternative, the e-value's mean is at most 1."""
    ratio, delta = line
    assume((canary_rate - ratio * stable_rate - delta) * (true_canary - ratio * true_stable - delta) <= 0.0)
    assert expectation(true_canary, true_stable, (canary_rate, stable_rate), line) <= 1.0 + 1e-9


@given(RATES, RATES, LINES, st.sampled_from([(1, 1), (5, 95), (400, 3)]))
def test_the_point_of_the_line_is_the_nearest_that_scipy_finds(
    canary_rate: float, stable_rate: float, line: tuple[float, float], totals: tuple[int, int]
) -> None:
    """At any counts the evidence is the likelihood ratio against the minimum of the divergence along the line."""
    optimize = pytest.importorskip("scipy.optimize")
    (ratio, delta), (n_c, n_s) = line, totals
    low, high = max(0.0, -delta / ratio), min(1.0, (1.0 - delta) / ratio)

    def divergence(x: float) -> float:
        return n_c * kl(canary_rate, ratio * x + delta) + n_s * kl(stable_rate, x)

    margin = 1e-9 * (high - low)
    found = optimize.minimize_scalar(
        divergence, bounds=(low + margin, high - margin), method="bounded", options={"xatol": 1e-13}
    )
    expected = [
        n * kl(rate, null)
        for n, rate, null in ((n_c, canary_rate, ratio * found.x + delta), (n_s, stable_rate, found.x))
    ]
    # A likelihood ratio is linear in the failures: as many as the alternative expects give its divergence.
    ours = mean_log_e(n_c, n_s, canary_rate, stable_rate, ratio, delta)
    assert ours == pytest.approx(sum(expected), rel=1e-6, abs=1e-6)


def mean_log_e(n_c: int, n_s: int, canary_rate: float, stable_rate: float, ratio: float, delta: float) -> float:
    """The mean log e-value under the alternative, from its values at no and at all failures."""
    rates = (canary_rate, stable_rate, ratio, delta)
    none = log_e_margin(n_c, n_s, 0, 0, *rates)
    canary = log_e_margin(n_c, n_s, n_c, 0, *rates) - none
    stable = log_e_margin(n_c, n_s, 0, n_s, *rates) - none
    return none + canary_rate * canary + stable_rate * stable


def kl(rate: float, null: float) -> float:
    """The divergence of one failure rate from another, both inside of (0, 1)."""
    return rate * log(rate / null) + (1.0 - rate) * log((1.0 - rate) / (1.0 - null))


@given(RATES, RATES, st.sampled_from([(10, 40), (30, 30)]))
def test_swapping_the_arms_mirrors_the_line(canary_rate: float, stable_rate: float, totals: tuple[int, int]) -> None:
    """Canary called stable and stable called canary, with the line seen from there, have the same evidence."""
    n_c, n_s = totals
    for f_c, f_s in ((0, 5), (3, 0), (n_c, 1)):
        here = log_e_margin(n_c, n_s, f_c, f_s, canary_rate, stable_rate, 1.0, 0.02)
        there = log_e_margin(n_s, n_c, f_s, f_c, stable_rate, canary_rate, 1.0, -0.02)
        assert here == pytest.approx(there, rel=1e-6, abs=1e-9)


@given(st.integers(1, 200), st.integers(1, 400), st.data())
def test_a_failure_fewer_on_the_canary_is_more_evidence_that_it_is_no_worse(
    canary_total: int, stable_total: int, data: st.DataObject
) -> None:
    """Each success instead of a failure of the canary raises the evidence."""
    failures = data.draw(st.integers(1, canary_total))
    stable_failures = data.draw(st.integers(0, stable_total))
    fewer, more = (
        advance(WARM, canary_total, count, stable_total, stable_failures, 0.01).log_e
        for count in (failures - 1, failures)
    )
    assert fewer > more


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.0, 0.3), (1.0, 0.4), (1.0, 1.0)])
def test_an_alternative_that_rules_something_out_is_refuted_by_it(rates: tuple[float, float]) -> None:
    """Rates of 0 and 1 have finite evidence while nothing contradicts them, and none once something does."""
    canary_rate, stable_rate = rates
    as_expected = (round(10 * canary_rate), round(40 * stable_rate))
    assert isfinite(log_e_margin(10, 40, *as_expected, canary_rate, stable_rate, 1.0, 0.01))
    contradicted = (10 - as_expected[0], as_expected[1])
    assert log_e_margin(10, 40, *contradicted, canary_rate, stable_rate, 1.0, 0.01) == -inf


def test_an_arm_without_answers_is_no_evidence() -> None:
    """Nothing to compare: the log e-value is 0."""
    assert log_e_margin(0, 40, 0, 3, 0.1, 0.05, 1.0, 0.01) == 0.0
    assert log_e_margin(40, 0, 3, 0, 0.1, 0.05, 1.0, 0.01) == 0.0


def test_no_bet_is_made_before_stable_is_known() -> None:
    """Up to 200 answers of stable, and while its rate is known no better than delta, the evidence stays 0."""
    slice_ = (100, 1, 100, 1)
    early = advance(NonInferiority(stable_answers=199, stable_failures=2), *slice_, 0.05)
    vague = advance(NonInferiority(stable_answers=400, stable_failures=100), *slice_, 0.01)
    bet = advance(NonInferiority(stable_answers=200, stable_failures=2), *slice_, 0.05)
    assert early.log_products == vague.log_products == (0.0,) * 4
    assert (early.stable_answers, early.stable_failures) == (299, 3)
    assert bet.log_e != 0.0


def test_a_bet_does_not_see_the_slice_it_is_made_on() -> None:
    """The evidence of a slice is that of alternatives around stable's rate before it."""
    rate = 200.5 / 10_001
    state = advance(WARM, 300, 4, 700, 99, 0.01)
    expected = [log_e_margin(300, 700, 4, 99, rate + kappa * 0.01, rate, 1.0, 0.01) for kappa in (0.0, 0.25, 0.5, 0.75)]
    assert state.log_products == pytest.approx(expected)


def test_stable_that_nearly_always_fails_is_not_bet_on() -> None:
    """Where no canary could be worse by delta, there is nothing to show."""
    state = advance(NonInferiority(stable_answers=1000, stable_failures=998), 100, 99, 100, 99, 0.01)
    assert state.log_products == (0.0,) * 4


def test_an_equal_canary_is_shown_to_be_no_worse() -> None:
    """At 1 % failures and delta 2 %, some 700 answers of each arm are enough at 1 %."""
    state = NonInferiority(stable_answers=1000, stable_failures=10)
    for _ in range(20):
        state = advance(state, 50, 1, 50, 0, 0.02)
        state = advance(state, 50, 0, 50, 1, 0.02)
    assert state.log_e > log(100.0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5))
def test_kept_as_plain_numbers_the_test_goes_on_as_it_was(slices: list[tuple[int, int]]) -> None:
    """Through JSON and back, the state and everything after it are the same."""
    state = WARM
    for canary_total, stable_total in slices:
        state = advance(state, canary_total, canary_total // 9, stable_total, stable_total // 7, 0.02)
    again = NonInferiority.from_list(json.loads(json.dumps(state.to_list())))
    assert again == state
    assert advance(again, 9, 1, 90, 2, 0.02) == advance(state, 9, 1, 90, 2, 0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 9, 6, 0, 0.1, 0.1, 1.0, 0.0), r"canary_failures must be in \[0, canary_total\], got 6 of 5"),
        ((5, 9, 5, -1, 0.1, 0.1, 1.0, 0.0), r"stable_failures must be in \[0, stable_total\], got -1 of 9"),
        ((5, 9, 5, 1, 1.1, 0.1, 1.0, 0.0), r"canary_rate must be in \[0, 1\], got 1\.1"),
        ((5, 9, 5, 1, 0.1, -0.1, 1.0, 0.0), r"stable_rate must be in \[0, 1\], got -0\.1"),
        ((5, 9, 5, 1, 0.1, 0.1, 0.0, 0.0), r"ratio must be above 0, got 0\.0"),
        ((5, 9, 5, 1, 0.1, 0.1, 1.0, 1.0), r"delta must be in \(-1, 1\), and above -ratio, got 1\.0"),
        ((5, 9, 5, 1, 0.1, 0.1, 0.5, -0.5), r"delta must be in \(-1, 1\), and above -ratio, got -0\.5"),
    ],
)
def test_impossible_arguments_are_refused(
    arguments: tuple[int, int, int, int, float, float, float, float], message: str
) -> None:
    """The error names the argument, its range and what was found."""
    with pytest.raises(ValueError, match=message):
        log_e_margin(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 6, 9, 0, 0.01), r"canary_failures must be in \[0, canary_total\], got 6 of 5"),
        ((5, 0, 9, 10, 0.01), r"stable_failures must be in \[0, stable_total\], got 10 of 9"),
        ((5, 0, 9, 0, 0.0), r"delta must be in \(0, 1\), got 0\.0"),
        ((5, 0, 9, 0, 1.0), r"delta must be in \(0, 1\), got 1\.0"),
    ],
)
def test_an_impossible_slice_is_refused(arguments: tuple[int, int, int, int, float], message: str) -> None:
    """Also by a test that would not bet on it."""
    with pytest.raises(ValueError, match=message):
        advance(NonInferiority(), *arguments)


def test_numbers_of_another_length_are_refused() -> None:
    """A state of another version of the test is not guessed at."""
    with pytest.raises(ValueError, match="numbers must be 6 as to_list writes them, got 5"):
        NonInferiority.from_list([0.0] * 5)

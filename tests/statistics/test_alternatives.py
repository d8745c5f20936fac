"""The shared grid of alternatives and the average over it."""

from __future__ import annotations

from itertools import pairwise
from math import exp, fsum, inf, isclose, log, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary.statistics import HARM_RATIOS, log_mean_exp
from agent_canary.statistics.alternatives import require_tolerance

LOGS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def test_the_grid_runs_from_a_tenth_worse_to_fifty_times_in_equal_ratios() -> None:
    """The sixteen alternatives start at 1.1, end at 50 and each is the same multiple of the one before."""
    steps = [later / earlier for earlier, later in pairwise(HARM_RATIOS)]
    assert len(HARM_RATIOS) == 16
    assert HARM_RATIOS[0] == pytest.approx(1.1, rel=1e-15)
    assert HARM_RATIOS[-1] == pytest.approx(50.0, rel=1e-14)
    assert steps == pytest.approx([(50 / 1.1) ** (1 / 15)] * 15, rel=1e-13)


def test_log_mean_exp_is_the_log_of_the_mean() -> None:
    """The mean of 1, 2 and 6 is 3, also when only their logs are known."""
    assert log_mean_exp([log(1), log(2), log(6)]) == pytest.approx(log(3), rel=1e-15)


@settings(deadline=None)
@given(LOGS)
def test_log_mean_exp_lies_between_mean_and_maximum_in_any_order(logs: list[float]) -> None:
    """Jensen's inequality bounds the result from below, the maximum from above, and order changes no bit."""
    result = log_mean_exp(logs)
    slack = 1e-9 * max(1.0, abs(max(logs)), abs(min(logs)))
    assert fsum(logs) / len(logs) - slack <= result <= max(logs) + slack
    assert log_mean_exp(sorted(logs)) == result == log_mean_exp(reversed(logs))


def test_log_mean_exp_takes_values_beyond_the_range_of_exp() -> None:
    """Logs of +-100,000, whose exponentials no float holds, are averaged all the same."""
    assert log_mean_exp([1e5, -1e5]) == pytest.approx(1e5 - log(2), rel=1e-15)
    assert log_mean_exp([-1e5, -1e5]) == -1e5


def test_log_mean_exp_knows_products_of_zero() -> None:
    """Minus infinity counts as zero, and a mean of nothing but zeros is zero."""
    assert isclose(exp(log_mean_exp([-inf, log(4)])), 2.0)
    assert log_mean_exp([-inf, -inf]) == -inf


def test_log_mean_exp_refuses_an_empty_mean() -> None:
    """Without values there is no mean, and the error says so."""
    with pytest.raises(ValueError, match="values must hold at least one number"):
        log_mean_exp([])


@pytest.mark.parametrize("tolerance", [0.2, 0.999, 0.0, -1.0, 1000.1, inf, nan])
def test_a_tolerance_outside_its_range_is_refused(tolerance: float) -> None:
    """A tolerance is a ratio from 1 to 1000; 0.2 for "20 % worse" is the mistake that the error explains."""
    with pytest.raises(ValueError, match=r"tolerance must be a ratio from 1 to 1000, got .*1\.2 tolerates"):
        require_tolerance(tolerance)


def test_the_ends_of_the_range_are_tolerances() -> None:
    """1 is strict, 1000 tolerates nearly everything."""
    assert require_tolerance(1.0) == 1.0
    assert require_tolerance(1000.0) == 1000.0

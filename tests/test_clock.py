"""The clock that a user may pass: a Clock, a callable of seconds, or nothing."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from agent_canary import Clock
from agent_canary.clock import CallableClock, SystemClock, as_clock
from agent_canary.testing import ManualClock


def test_without_a_clock_it_is_the_hosts_time() -> None:
    """Wall time is that of time.time, monotonic time that of time.monotonic."""
    clock = as_clock(None)
    assert abs(clock.wall() - time.time()) < 60.0
    assert abs(clock.monotonic() - time.monotonic()) < 60.0
    assert clock.monotonic() <= clock.monotonic()


def test_the_hosts_clock_costs_no_python_call() -> None:
    """The request path reads the clock twice, so these are the functions in C themselves."""
    assert SystemClock.wall is time.time
    assert SystemClock().monotonic is time.monotonic


def test_a_clock_is_used_as_it_is() -> None:
    """An object with wall and monotonic time comes back unchanged."""
    clock = ManualClock(5.0)
    assert as_clock(clock) is clock
    assert isinstance(clock, Clock)


def test_a_callable_is_both_wall_and_monotonic_time() -> None:
    """Each reading calls it anew, and nothing is remembered."""
    readings = iter([1.0, 2.5, 4.0])
    clock = as_clock(lambda: next(readings))
    assert clock.wall() == 2.5
    assert clock.monotonic() == 4.0
    assert isinstance(clock, Clock)
    assert isinstance(CallableClock(time.time), Clock)


def test_a_callable_of_whole_seconds_is_a_clock() -> None:
    """Seconds may be integers."""
    assert as_clock(lambda: 7).wall() == 7


def test_an_object_that_is_callable_and_a_clock_is_taken_as_a_clock() -> None:
    """What has both times is not reduced to one."""

    class Both(ManualClock):
        def __call__(self) -> float:
            return -1.0

    clock = Both(5.0)
    assert as_clock(clock) is clock


@pytest.mark.parametrize(
    "clock", [5.0, "now", object(), ManualClock, time], ids=["number", "text", "object", "class", "module"]
)
def test_what_is_no_clock_is_refused(clock: Any) -> None:
    """A class instead of its object, and a module with other names, are plausible mistakes."""
    with pytest.raises(ValueError, match=r"clock must be a Clock .*a callable that returns seconds, or None, got"):
        as_clock(clock)


@pytest.mark.parametrize(
    "reading",
    [float("nan"), float("inf"), "12:00", None, True, Decimal(5), time.gmtime(0)],
    ids=lambda reading: type(reading).__name__,
)
def test_a_callable_that_returns_no_seconds_is_refused(reading: Any) -> None:
    """It is called once at construction, so that datetime.now in place of time.time is found there."""
    with pytest.raises(ValueError, match=r"clock must return seconds as a finite number, as time\.time does, got"):
        as_clock(lambda: reading)


def test_a_manual_clock_moves_only_when_told() -> None:
    """Both its times are the same number, which is exact."""
    clock = ManualClock(100.0)
    assert (clock.wall(), clock.monotonic()) == (100.0, 100.0)
    clock.advance(0.25)
    assert (clock.wall(), clock.monotonic()) == (100.25, 100.25)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_manual_clock_goes_forward_only(seconds: float) -> None:
    """Monotonic time never goes back."""
    clock = ManualClock(100.0)
    with pytest.raises(ValueError, match="seconds must be a finite number >= 0, got"):
        clock.advance(seconds)
    assert clock.wall() == 100.0

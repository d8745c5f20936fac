"""The clock that a user may pass: a Clock, a callable of seconds, or nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from agent_canary import Clock
from agent_canary.clock import CallableClock, Rests, SystemClock, as_clock
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


@pytest.fixture
def another_thread() -> Iterator[None]:
    """Somebody who may want the interpreter."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait, args=(30,))
    thread.start()
    yield
    done.set()
    thread.join(timeout=30)


def rests_of(steps: list[int]) -> list[float]:
    """How long a work with parts of so many steps slept."""
    slept: list[float] = []
    rests = Rests(every=10, seconds=0.5, sleep=slept.append)
    for size in steps:
        rests(size)
    return slept


@pytest.mark.usefixtures("another_thread")
def test_a_long_work_rests_every_so_many_steps() -> None:
    """However its parts are cut; a short one does not."""
    assert rests_of([1] * 9) == []
    assert rests_of([1] * 10) == [0.5]
    assert rests_of([4] * 9) == [0.5] * 3
    assert rests_of([1000, 9, 1]) == [0.5] * 2


def test_nobody_rests_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the only thread of a process there is no one to give way to."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert rests_of([1000, 1000]) == []


@pytest.mark.usefixtures("another_thread")
def test_an_event_loop_does_not_rest_in_its_own_thread() -> None:
    """Its tasks would only wait the longer; in another thread the same work rests."""

    async def work(in_thread: bool) -> list[float]:
        return await asyncio.to_thread(rests_of, [10]) if in_thread else rests_of([10])

    assert asyncio.run(work(in_thread=False)) == []
    assert asyncio.run(work(in_thread=True)) == [0.5]


@pytest.mark.usefixtures("another_thread")
def test_a_rest_is_a_real_one() -> None:
    """By default it sleeps, so that who waits can wake up."""
    started = time.perf_counter()
    Rests(every=1, seconds=0.01)(1)
    assert time.perf_counter() - started >= 0.009

"""Where time comes from: one injected object, so that nothing else in the library reads a clock."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """Two readings of time, both in seconds."""

    def wall(self) -> float:
        """Seconds since the Unix epoch, as :func:`time.time`: for events, which people and other hosts read."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never going back, as :func:`time.monotonic`: for durations."""
        ...


class SystemClock:
    """The time of this host."""

    # Plain C functions, not methods: the request path reads the clock twice per request.
    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class CallableClock:
    """One callable that is both the wall clock and the monotonic clock.

    Args:
        read: Returns seconds as :func:`time.time` does.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read

    def wall(self) -> float:
        """Seconds, as the callable returns them."""
        return self._read()

    def monotonic(self) -> float:
        """Seconds, as the callable returns them."""
        return self._read()


_SYSTEM_CLOCK = SystemClock()


def as_clock(clock: Clock | Callable[[], float] | None) -> Clock:
    """Return the clock to use for what a user passed as ``clock=``.

    Args:
        clock: None for the host's time; a :class:`Clock`, returned as it is; or a callable that returns seconds, which
            is then both wall and monotonic time. The callable is called once, to see what it returns.

    Raises:
        ValueError: Neither of these, or a callable that returns no finite number.
    """
    if clock is None:
        return _SYSTEM_CLOCK
    if not isinstance(clock, type):
        if callable(getattr(clock, "wall", None)) and callable(getattr(clock, "monotonic", None)):
            return cast("Clock", clock)
        if callable(clock):
            return _from_callable(clock)
    raise ValueError(
        f"clock must be a Clock (an object with wall() and monotonic()), a callable that returns seconds, or None, "
        f"got {clock!r}"
    )


def _from_callable(read: Callable[[], object]) -> Clock:
    now = read()
    if isinstance(now, bool) or not isinstance(now, int | float) or not math.isfinite(now):
        raise ValueError(f"clock must return seconds as a finite number, as time.time does, got {now!r} from {read!r}")
    return CallableClock(cast("Callable[[], float]", read))


class Rests:
    """Lets other threads have the interpreter during a long work: called between its parts, it sleeps every so often.

    Python takes the interpreter from a thread that wants to keep it only after 5 ms (``sys.getswitchinterval``), and
    one answer in an event loop may need it several times. To give it up for no time (``time.sleep(0)``) is not enough:
    who waits has to wake up first, and finds it taken again. Where nobody can wait, in the only thread, nothing sleeps;
    nor in an event loop's own thread, whose tasks would wait the longer.

    Args:
        every: Sleep after so many steps of some 0.1 microseconds.
        seconds: How long to sleep.
        sleep: Called with *seconds*.
    """

    __slots__ = ("_done", "_every", "_seconds", "_sleep")

    def __init__(
        self, every: int = 60, seconds: float = 0.000_05, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._every = every
        self._seconds = seconds
        self._sleep = sleep
        self._done = 0

    def __call__(self, steps: int) -> None:
        """Note that *steps* were done, and sleep if it is time."""
        self._done += steps
        if self._done >= self._every:
            self._done = 0
            if threading.active_count() > 1 and not _in_event_loop():
                self._sleep(self._seconds)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

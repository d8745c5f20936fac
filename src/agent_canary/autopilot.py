"""The thread that ticks."""

from __future__ import annotations

import threading
import weakref
from typing import Protocol


class Ticking(Protocol):
    """What an autopilot drives."""

    def tick_safely(self) -> None:
        """Do one tick; never raise."""
        ...


class Autopilot:
    """Ticks an object at an interval, in a daemon thread that keeps neither it nor an interpreter alive.

    No thread exists before :meth:`start`. It ends with :meth:`stop`, or when nobody else holds the target.

    Args:
        target: It is ticked.
        name: The thread's name.
    """

    def __init__(self, target: Ticking, name: str) -> None:
        self._target = weakref.ref(target)
        self._name = name
        self._thread: threading.Thread | None = None
        self._interval = 0.0
        self.forked()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def interval(self) -> float | None:
        """Seconds from the end of a tick to the next; None while it does not tick."""
        return self._interval if self.is_alive else None

    def start(self, interval: float) -> None:
        """Tick every *interval* seconds from now on."""
        if self.interval not in (None, interval):
            self.stop()
        with self._lock:
            if self.is_alive:
                return
            self._interval = interval
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=_run, args=(self._target, interval, self._stop), name=self._name, daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, unless it is the caller's own."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def forked(self) -> None:
        """Begin anew in a forked child, where the parent's thread does not exist."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = None


def _run(target: weakref.ref[Ticking], interval: float, stop: threading.Event) -> None:
    while not stop.wait(interval):
        ticking = target()
        if ticking is None:
            return
        ticking.tick_safely()
        del ticking

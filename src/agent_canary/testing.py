"""For tests: a clock moved by hand, and switches that force a version.

``force_version("v2")`` and ``disabled()`` are context managers; both hold in all threads of the process and restore the
state that was there before.
"""

from __future__ import annotations

import threading

from .errors import require_non_negative
from .switches import disabled, force_version

__all__ = ["ManualClock", "disabled", "force_version"]


class ManualClock:
    """A clock that moves only when told to.

    Args:
        start: Seconds since the Unix epoch at which it begins.
    """

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return self._now

    def monotonic(self) -> float:
        """The same number: durations are exact."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward.

        Args:
            seconds: At least 0.

        Raises:
            ValueError: *seconds* is negative, infinite or NaN.
        """
        with self._lock:
            self._now += require_non_negative("seconds", seconds)

"""The last outcomes of a version, bounded by number and, when wanted, by age.

An outcome is kept as one *signed latency*: milliseconds when it succeeded, :data:`FAILED_ZERO` minus the milliseconds
when it failed, so that a failure is negative even at zero milliseconds. A plain float costs neither a tuple nor the
garbage collector's attention. ``FAILED_ZERO - signed`` gives the latency of a failure back: the smallest double is lost
in the rounding of any latency above 1e-300.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

from ..errors import require_fraction

FAILED_ZERO = -math.ulp(0.0)
"""The signed latency of a failure after zero milliseconds: the largest negative double."""


class RollingWindow:
    """Signed latencies of the last outcomes. Not thread-safe: whoever owns it locks.

    Args:
        size: Most outcomes that are kept.
        seconds: Age above which an outcome does not count; None for no limit of age.
    """

    __slots__ = ("_outcomes", "_seconds", "_stamps")

    def __init__(self, size: int, seconds: float | None = None) -> None:
        self._outcomes: deque[float] = deque(maxlen=size)
        self._stamps: deque[float] = deque(maxlen=size)
        self._seconds = seconds

    def extend(self, outcomes: Sequence[float]) -> None:
        """Add signed latencies, oldest first, to a window without a limit of age."""
        self._outcomes.extend(outcomes)

    def extend_stamped(self, outcomes: Iterable[float], stamps: Iterable[float]) -> None:
        """Add signed latencies, oldest first, with the monotonic seconds at which each was recorded."""
        self._outcomes.extend(outcomes)
        self._stamps.extend(stamps)

    def outcomes(self, now: float) -> list[float]:
        """Return a copy of the signed latencies, without those that are too old at *now* (monotonic seconds)."""
        if self._seconds is None:
            return list(self._outcomes)
        oldest = now - self._seconds
        while self._stamps and self._stamps[0] < oldest:
            self._stamps.popleft()
            self._outcomes.popleft()
        # Threads that record at the same moment may leave their stamps in another order than that of time.
        return [outcome for outcome, stamp in zip(self._outcomes, self._stamps, strict=True) if stamp >= oldest]


def signed(outcomes: Iterable[tuple[bool, float]]) -> list[float]:
    """Return the signed latencies of pairs of success and milliseconds."""
    return [latency if success else FAILED_ZERO - latency for success, latency in outcomes]


def latencies(outcomes: Iterable[float]) -> list[float]:
    """Return the milliseconds of signed latencies, in the same order."""
    return [outcome if outcome >= 0.0 else FAILED_ZERO - outcome for outcome in outcomes]


def success_rate(outcomes: Sequence[float]) -> float:
    """Return the share in [0, 1] of successes among signed latencies; 1.0 when there are none."""
    if not outcomes:
        return 1.0
    return sum(1 for outcome in outcomes if outcome >= 0.0) / len(outcomes)


def percentile(ascending: Sequence[float], p: float) -> float:
    """Return the *p*-quantile of sorted values by linear interpolation; 0.0 when there are none.

    The quantile lies at position *p* x (n - 1), counted from 0, between its two neighbours: definition 7 of Hyndman and
    Fan, "Sample quantiles in statistical packages", The American Statistician 50 (1996), and the default of NumPy.

    Raises:
        ValueError: *p* is outside of [0, 1].
    """
    p = require_fraction("p", p)
    if not ascending:
        return 0.0
    position = p * (len(ascending) - 1)
    lower = math.floor(position)
    low, high = ascending[lower], ascending[min(lower + 1, len(ascending) - 1)]
    return min(low + (high - low) * (position - lower), high)

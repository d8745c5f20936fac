"""What was assigned to one arm, in one stage or in the whole run."""

from __future__ import annotations

from collections.abc import Sequence

from .histogram import Histogram
from .totals import MICRO_DOLLARS, Totals
from .units import Pause, no_pause

_HISTOGRAM = 400
"""What adding a histogram takes, in the steps of a pause."""


class StageTotals:
    """What was assigned to one arm and counts, in one stage or in the whole run.

    Args:
        parts: By worker and slice.
        pause: Called between the steps of long works.
    """

    def __init__(self, parts: Sequence[Totals], pause: Pause = no_pause) -> None:
        self._parts = parts
        self._pause = pause
        self._histograms: dict[str, Histogram] = {}
        self.succeeded = sum(part.succeeded for part in parts)
        self.failed = sum(part.failed for part in parts)

    @property
    def total(self) -> int:
        """Requests that succeeded or failed."""
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float:
        """Share in [0, 1] of succeeded among succeeded and failed requests; 1.0 when there are none."""
        return self.succeeded / self.total if self.total else 1.0

    @property
    def p95_ms(self) -> float:
        """95th percentile of the latency in milliseconds, within 0.54 %; 0.0 when there are no requests."""
        return self.quantile("latency", 0.95)[1]

    def quantile(self, amount: str, p: float) -> tuple[int, float]:
        """How many answers tell of an amount, and its *p*-quantile within 0.54 %, 0.0 without any.

        Args:
            amount: ``latency`` or ``first_token`` (milliseconds), ``cost`` (US dollars), ``tokens``.
            p: In [0, 1].
        """
        histogram = self._histogram(amount)
        return histogram.count, histogram.quantile(p) / _unit(amount)

    def mean(self, amount: str) -> float:
        """The mean of an amount over the answers that tell of it; 0.0 without any."""
        histogram = self._histogram(amount)
        return histogram.sum / histogram.count / _unit(amount) if histogram.count else 0.0

    def _histogram(self, amount: str) -> Histogram:
        known = self._histograms.get(amount)
        if known is None:
            told: list[Histogram] = [found for part in self._parts if (found := getattr(part, amount)).count]
            known = told[0] if len(told) == 1 else Histogram()
            for histogram in told if len(told) > 1 else ():
                known.merge(histogram)
                self._pause(_HISTOGRAM)
            self._histograms[amount] = known
        return known


def _unit(amount: str) -> float:
    """How many of what a histogram counts are one of the amount's unit."""
    return MICRO_DOLLARS if amount == "cost" else 1.0

"""What one run found: a row for each comparison, and what could not be measured."""

from __future__ import annotations

from dataclasses import dataclass

from .ratios import Spread

TIMES = "×"
MS = "ms"
MIB = "MiB"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        path: What of agent_canary was measured; in a row for scale, what else was.
        against: What it is a ratio of, or the circumstances.
        value: What came out.
        unit: ``×``, ``ms`` or ``MiB``.
        at_most: The budget; None for a row that only gives the scale.
        absolute: The times behind the ratio, or how the result was checked.
        reason: Why the budget is missed; shown only when it is.
    """

    path: str
    against: str
    value: Spread
    unit: str = TIMES
    at_most: float | None = None
    absolute: str = ""
    reason: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether the median is above the budget."""
        return self.at_most is not None and self.value.median > self.at_most

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, or nothing in a row for scale."""
        if self.at_most is None:
            return ""
        return "missed" if self.is_missed else "met"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A comparison that this run did not make.

    Attributes:
        path: What would have been measured.
        reason: Why it was not.
    """

    path: str
    reason: str


Rows = list[Row | Skipped]


def duration(seconds: float) -> str:
    """Return a duration as text in the unit that fits."""
    if seconds < 1e-5:
        return f"{seconds * 1e9:,.0f} ns"
    if seconds < 1e-2:
        return f"{seconds * 1e6:,.1f} µs"
    return f"{seconds * 1e3:,.1f} ms"

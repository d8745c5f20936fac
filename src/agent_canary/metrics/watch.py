"""What is counted of an amount."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watch:
    """An amount of which the answers above a limit are counted, from the next slice on.

    Attributes:
        metric: The name under which they are counted, such as ``latency_p95``.
        amount: ``latency`` or ``first_token`` (milliseconds), ``cost`` (US dollars), ``tokens`` (read and written).
        stable_limit: Stable's answers above it count, in the amount's unit.
        canary_limit: The canary's answers above it count.
    """

    metric: str
    amount: str
    stable_limit: float
    canary_limit: float

    def limit_of(self, is_canary: bool) -> float:
        """The limit of one arm."""
        return self.canary_limit if is_canary else self.stable_limit

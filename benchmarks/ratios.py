"""Ratios of times that were measured round by round, and how far they spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """One number per round.

    Attributes:
        median: What is compared with a budget.
        low: 10th percentile of the rounds.
        high: 90th percentile of the rounds.
        rounds: How many rounds there were.
    """

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one value per round.

        Raises:
            ValueError: There are no values.
        """
        if not values:
            raise ValueError("values must hold one number per round, got none")
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        deciles = statistics.quantiles(values, n=10, method="inclusive")
        return cls(statistics.median(values), deciles[0], deciles[-1], len(values))

    @classmethod
    def fixed(cls, value: float) -> Spread:
        """A number that was counted, not timed."""
        return cls.of([value])


def ratios(numerators: Sequence[float], denominators: Sequence[float], less: Sequence[float] | None = None) -> Spread:
    """Return the spread of the ratio of two times within each round.

    Both times of one ratio come from the same round, a few milliseconds apart, so that what slows the whole machine
    down for a while slows both. A round in which *less* took longer than what contains it was disturbed from outside,
    says nothing, and is left out: the result's ``rounds`` tell how many were not.

    Args:
        numerators: One time per round.
        denominators: The same number of times, in the same order.
        less: What to take away from both sides first: an empty loop, or the app that both middlewares wrap.

    Raises:
        ValueError: The rounds differ in number, or more than half of them say nothing.
    """
    if less is None:
        less = [0.0] * len(numerators)
    if not len(numerators) == len(denominators) == len(less):
        raise ValueError(
            f"each round must have one time of each kind, got {len(numerators)}, {len(denominators)} and {len(less)}"
        )
    values = [
        (numerator - base) / (denominator - base)
        for numerator, denominator, base in zip(numerators, denominators, less, strict=True)
        if denominator > base
    ]
    if 2 * len(values) < len(denominators):
        raise ValueError(f"only {len(values)} of {len(denominators)} rounds are usable: take longer samples")
    return Spread.of(values)


def added(times: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of what *times* have on top of *base*, in the same unit."""
    return statistics.median(time - under for time, under in zip(times, base, strict=True))


def quantile(values: Sequence[float], p: float) -> float:
    """Return the smallest of *values* that at least a share *p* of them does not exceed.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("values must have at least one number, got none")
    ascending = sorted(values)
    rank = math.ceil(round(p * len(ascending), 9))
    return ascending[min(max(rank, 1), len(ascending)) - 1]

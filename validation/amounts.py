"""What an answer can have: laws of latencies, costs, tokens and scores.

Each is a function of the answer's luck. Both versions get the same luck, so that a request that would be slow on one is
slow on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import NamedTuple, Protocol

import numpy as np

from .users import Floats


class Luck(NamedTuple):
    """Two numbers for each answer.

    Attributes:
        normal: Standard normal numbers.
        uniform: Numbers in [0, 1).
    """

    normal: Floats
    uniform: Floats


class Amount(Protocol):
    """A law that an answer's number follows."""

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    value: float

    def of(self, luck: Luck) -> Floats:
        """Return it for each answer."""
        return np.full(len(luck.normal), self.value)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Positive and skewed, as latencies and costs are.

    Attributes:
        median: The median.
        sigma: Standard deviation of its logarithm.
    """

    median: float
    sigma: float

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        return np.exp(log(self.median) + self.sigma * luck.normal)


@dataclass(frozen=True, slots=True)
class Normal:
    """A bell.

    Attributes:
        mean: The mean.
        deviation: The standard deviation.
    """

    mean: float
    deviation: float

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        return self.mean + self.deviation * luck.normal


@dataclass(frozen=True, slots=True)
class NearlyOne:
    """Between 0 and 1 and mostly near 1, as judges' scores are: the beta law of (*power*, 1)."""

    power: float = 8.0

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        return probability(luck.normal) ** (1.0 / self.power)


@dataclass(frozen=True, slots=True)
class YesNo:
    """1 in a share of the answers, else 0.

    Attributes:
        rate: The share of ones.
    """

    rate: float

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        return (probability(luck.normal) < self.rate).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Mixed:
    """One law for a share of the answers, another for the rest: cached and not, in time and timed out.

    Attributes:
        share: Of the answers that follow *first*, inside (0, 1).
        first: A law.
        second: Another.
    """

    share: float
    first: Amount
    second: Amount

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        first = self.first.of(luck._replace(uniform=luck.uniform / self.share))
        second = self.second.of(luck._replace(uniform=(luck.uniform - self.share) / (1.0 - self.share)))
        return np.where(luck.uniform < self.share, first, second)


@dataclass(frozen=True, slots=True)
class Scaled:
    """A law with a factor, for all answers or a share of them.

    Attributes:
        amount: The law.
        factor: By how much.
        share: Of the answers that it concerns, in [0, 1]: those of the highest uniform numbers.
    """

    amount: Amount
    factor: float
    share: float = 1.0

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        plain = self.amount.of(luck)
        return np.where(luck.uniform >= 1.0 - self.share, self.factor * plain, plain)


@dataclass(frozen=True, slots=True)
class Shifted:
    """A law with a summand.

    Attributes:
        amount: The law.
        by: What is added.
    """

    amount: Amount
    by: float

    def of(self, luck: Luck) -> Floats:
        """Return the number of each answer."""
        return self.amount.of(luck) + self.by


def probability(normal: Floats) -> Floats:
    """Return the probability that a standard normal number is below each: uniform ones, to 1e-7.

    Abramowitz and Stegun (1964), "Handbook of Mathematical Functions", 26.2.17.
    """
    size = np.abs(normal)
    t = 1.0 / (1.0 + 0.2316419 * size)
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    above = np.exp(-0.5 * size * size) / np.sqrt(2.0 * np.pi) * series
    return np.where(normal >= 0.0, 1.0 - above, above)

"""Two means compared within strata: what is common to all ways of finding the variance.

A stratum is a time in which both arms met the same: a stage, or a slice with one traffic share. Compared over all of it
at once, a shared drift during a ramp would look like a difference between the arms. So each stratum is compared in
itself and counts with w = n_c n_s / (n_c + n_s), the weights with the smallest variance if all answers are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Contrast:
    """The canary's mean against stable's, from all strata in which both arms have answers.

    Attributes:
        difference: canary_mean - ratio * stable_mean.
        variance: Of the difference, with its guards; 0 when all answers are alike.
        canary_mean: The weighted mean of the strata's means; after adjustment where a covariate is used.
        stable_mean: The same of stable, with the same weights.
        deviation: The standard deviation of one answer within its stratum, both arms together, not adjusted.
        canary_answers: How many answers of the canary it rests on.
        stable_answers: How many of stable.
        canary_units_effective: As many equally active users as the canary's traffic is worth, at most canary_answers.
        design_effect: How many times the variance is that of as many independent answers; 1 when all are alike.
        refusal: Why it must not be judged yet, in a few words with the number; None when it may.
    """

    difference: float
    variance: float
    canary_mean: float
    stable_mean: float
    deviation: float
    canary_answers: int
    stable_answers: int
    canary_units_effective: float
    design_effect: float
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """What one stratum, with answers of both arms, adds to a contrast.

    Attributes:
        canary_answers: How many, at least 1.
        stable_answers: How many, at least 1.
        canary_mean: Of the stratum.
        stable_mean: Of the stratum.
        variance: Of the stratum's difference, with its guards.
        variance_of_one: Of one answer about the mean of both arms.
        unexplained: Which share of it is left after adjustment for a covariate.
    """

    canary_answers: float
    stable_answers: float
    canary_mean: float
    stable_mean: float
    variance: float
    variance_of_one: float
    unexplained: float = 1.0

    @property
    def weight(self) -> float:
        """How much the stratum counts."""
        return self.canary_answers * self.stable_answers / (self.canary_answers + self.stable_answers)

    def independent(self, ratio: float) -> float:
        """The variance of the stratum's difference if its answers were independent, and alike in both arms."""
        spread = 1.0 / self.canary_answers + ratio * ratio / self.stable_answers
        return self.unexplained * self.variance_of_one * spread


def combine(
    parts: Sequence[Part], ratio: float, least_variance: float, effective: float, refusal: str | None
) -> Contrast:
    """The weighted mean of at least one stratum; its variance at least *least_variance*, the rest as it is given."""
    weights = [part.weight for part in parts]
    total = sum(weights)
    squared = [(weight / total) ** 2 for weight in weights]
    rows = list(zip(weights, squared, parts, strict=True))
    canary_mean = sum(weight * part.canary_mean for weight, _, part in rows) / total
    stable_mean = sum(weight * part.stable_mean for weight, _, part in rows) / total
    variance = max(least_variance, sum(square * part.variance for _, square, part in rows))
    independent = sum(square * part.independent(ratio) for _, square, part in rows)
    canary, stable = sum(part.canary_answers for part in parts), sum(part.stable_answers for part in parts)
    squares = sum((part.canary_answers + part.stable_answers) * part.variance_of_one for part in parts)
    return Contrast(
        difference=canary_mean - ratio * stable_mean,
        variance=variance,
        canary_mean=canary_mean,
        stable_mean=stable_mean,
        deviation=sqrt(squares / (canary + stable)),
        canary_answers=round(canary),
        stable_answers=round(stable),
        canary_units_effective=min(canary, effective),
        design_effect=variance / independent if independent else 1.0,
        refusal=refusal,
    )


def require_ratio(ratio: float) -> float:
    """The ratio as it is, if it is one that a mean can be compared at.

    Raises:
        ValueError: The ratio is not above 0, or above 1000.
    """
    if not 0.0 < ratio <= 1000.0:
        raise ValueError(f"ratio must be in (0, 1000], got {ratio!r}: 1 compares the means, 1.2 tolerates 20 % more")
    return ratio

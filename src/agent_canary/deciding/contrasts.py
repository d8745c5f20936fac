"""The canary's mean against stable's, by the hash-bucket variance, from the clusters of all stages."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter

from ..metrics.arms import SliceKey
from ..metrics.clusters import ArmClusters, ClusterSums
from ..statistics import ArmSums, Contrast, Stratum, contrast, log_e_one_sided, radius

_SMALLEST_EFFECT = 0.2
"""The effect that the mixture looks for, in standard deviations of one answer (B.4.1's default tau)."""


def contrast_of(slices: Mapping[SliceKey, ArmClusters], ratio: float = 1.0) -> Contrast | None:
    """Return canary minus *ratio* times stable over the slices that have both; None when none has."""
    strata = [
        Stratum(_sums(arms.canary), _sums(arms.stable))
        for _, arms in sorted(slices.items(), key=itemgetter(0))
        if arms.canary.answers and arms.stable.answers
    ]
    return contrast(strata, ratio) if strata else None


def log_evidence(found: Contrast | None, excess: float) -> float:
    """Return the log evidence that *excess*, with the contrast's variance, is truly above 0; 0 while refused."""
    if found is None or found.refusal is not None or not found.variance > 0.0:
        return 0.0
    return log_e_one_sided(excess, found.variance, tau_squared_of(found))


def tau_squared_of(found: Contrast) -> float:
    """The variance of the effects that the mixture looks for."""
    return (_SMALLEST_EFFECT * found.deviation) ** 2


def error_of(found: Contrast | None, alpha: float, effect: float = _SMALLEST_EFFECT) -> float | None:
    """Return the radius of the difference's interval, good however often one looks; None when there is none.

    Args:
        found: The difference.
        alpha: The probability that the interval ever misses.
        effect: Where the interval is to be narrowest, in standard deviations of one answer: smaller with more answers.
    """
    if found is None or not found.variance > 0.0 or not found.deviation > 0.0:
        return None
    return radius(found.variance, (effect * found.deviation) ** 2, alpha)


def log_evidence_below(found: Contrast | None, delta: float) -> float:
    """Return the log evidence that the canary's rate is less than *delta* above stable's; 0 while that is refused."""
    excess, variance, tau_squared = below(found, delta)
    return log_e_one_sided(excess, variance, tau_squared) if variance > 0.0 else 0.0


def below(found: Contrast | None, delta: float) -> tuple[float, float, float]:
    """Return by how much the canary's rate is less than *delta* above stable's, the variance of that, and tau squared.

    The variance is never taken below that at a difference of *delta*, of answers as alike as they are here: a canary
    without a bad answer has none of its own. C. P. Farrington and G. Manning (1990), "Test statistics and sample size
    formulae for comparative binomial trials with null hypothesis of non-zero risk difference or non-unity relative
    risk". All 0 while it may not be judged.
    """
    if found is None or found.refusal is not None:
        return 0.0, 0.0, 0.0
    stable = min(1.0, max(0.0, found.stable_mean))
    canary = min(1.0, stable + delta)
    variance_of_one = canary * (1.0 - canary)
    independent = variance_of_one / found.canary_answers + stable * (1.0 - stable) / found.stable_answers
    least = max(1.0, found.design_effect) * independent
    tau_squared = _SMALLEST_EFFECT**2 * max(variance_of_one, found.deviation**2)
    return delta - found.difference, max(found.variance, least), tau_squared


def _sums(arm: ClusterSums) -> ArmSums:
    return ArmSums(arm.n, arm.y, arm.yy, arm.m, arm.x)

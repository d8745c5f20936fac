"""How often the canary's answers are bad against stable's, slice by slice: never over different shares.

A shared drift would confound a comparison over slices: see N. Mantel and W. Haenszel (1959), "Statistical aspects of
the analysis of data from retrospective studies of disease"; for risks and their error, S. Greenland and J. Robins
(1985), "Estimation of a common effect parameter from sparse follow-up data".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..metrics.arms import BinaryCounts

_ERRORS = 1.645


def risk_ratio(slices: Iterable[BinaryCounts]) -> float | None:
    """How many times as often the canary's answer was bad; None when undefined, infinite where stable's never was."""
    canary, stable, _ = _sums(slices)
    if not canary and not stable:
        return None
    return canary / stable if stable else math.inf


def is_surely_above(slices: Iterable[BinaryCounts], tolerance: float) -> bool:
    """Whether the risk ratio, less 1.645 of its standard errors, is above *tolerance*."""
    canary, stable, variance = _sums(slices)
    if not canary or not stable:
        return canary > 0.0
    error = math.sqrt(max(0.0, variance) / (canary * stable))
    return math.log(canary / stable) - _ERRORS * error > math.log(tolerance)


def total_of(slices: Iterable[BinaryCounts]) -> BinaryCounts:
    """Return the sum of all slices."""
    total = BinaryCounts()
    for counts in slices:
        total.merge(counts)
    return total


def _sums(slices: Iterable[BinaryCounts]) -> tuple[float, float, float]:
    canary = stable = variance = 0.0
    for counts in slices:
        whole = counts.canary_total + counts.stable_total
        if counts.canary_total and counts.stable_total:
            canary += counts.canary_bad * counts.stable_total / whole
            stable += counts.stable_bad * counts.canary_total / whole
            variance += counts.bad * counts.canary_total * counts.stable_total / whole**2
            variance -= counts.canary_bad * counts.stable_bad / whole
    return canary, stable, variance

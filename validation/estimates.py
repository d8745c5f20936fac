"""What a share of so many runs tells."""

from __future__ import annotations

from math import sqrt

TOO_MANY_ERRORS = 3.0
"""Monte-Carlo errors above alpha from which on a cell is said to be above it."""


def error(count: int, runs: int) -> float:
    """Return the Monte-Carlo standard error of a share by the binomial law; 0 where none or all were counted."""
    share = count / runs
    return sqrt(share * (1.0 - share) / runs)


def interval(count: int, runs: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of a share: E. B. Wilson (1927), "Probable inference, the law of succession", JASA 22.

    Args:
        count: How often it happened.
        runs: Of how many.
        z: Standard errors; 1.96 for 95 %.
    """
    share, spread = count / runs, z * z / runs
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = sqrt(share * (1.0 - share) * spread + spread * spread / 4.0) / (1.0 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def is_above(count: int, runs: int, alpha: float) -> bool:
    """Return whether the share is above *alpha* by more than three of the errors it has if alpha is the truth."""
    return count / runs - alpha > TOO_MANY_ERRORS * sqrt(alpha * (1.0 - alpha) / runs)

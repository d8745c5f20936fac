"""The harms that a test bets on, and the average over them.

A test statistic that multiplies over time bets on one alternative: "the canary fails w times as often". Nobody knows w
beforehand, so every test of this room keeps one product for each alternative of a shared grid and judges their mean.
The mean of e-values is an e-value (H. Robbins, 1970, "Statistical methods related to the law of the iterated
logarithm", for mixtures; A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, 2023, "Game-theoretic statistics and safe
anytime-valid inference", for e-values), and by Ville's inequality (J. Ville, 1939) it reaches 1/alpha with probability
at most alpha, ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, fsum, isinf, log

_MILDEST, _GRAVEST, _SIZE = 1.1, 50.0, 16
LARGEST_TOLERANCE = 1000.0

HARM_RATIOS: tuple[float, ...] = tuple(
    _MILDEST * (_GRAVEST / _MILDEST) ** (step / (_SIZE - 1)) for step in range(_SIZE)
)
"""How many times worse than tolerated an alternative is: 16 numbers from 1.1 to 50, evenly spaced on a log scale."""


def require_tolerance(tolerance: float) -> float:
    """The tolerance as it is, if it is a ratio from 1 (strict) to 1000.

    Raises:
        ValueError: for anything else, NaN included.
    """
    if not 1.0 <= tolerance <= LARGEST_TOLERANCE:
        raise ValueError(
            f"tolerance must be a ratio from 1 to {LARGEST_TOLERANCE:g}, got {tolerance!r}: "
            "1 is strict, 1.2 tolerates a canary that is 20 % worse"
        )
    return tolerance


def log_mean_exp(values: Iterable[float]) -> float:
    """log of the mean of exp(value), without overflow: the logs of products in, the log of their mean out.

    The result lies between the mean and the largest of the values and does not depend on their order. Minus infinity
    stands for a product of zero.

    Raises:
        ValueError: if there are no values.
    """
    logs = tuple(values)
    if not logs:
        raise ValueError("values must hold at least one number, got none: the mean of nothing is undefined")
    largest = max(logs)
    if isinf(largest):
        return largest
    return largest + log(fsum(exp(value - largest) for value in logs) / len(logs))

"""Are answers worse where the draw of buckets put the canary? A test of the draw itself, user by user.

It is not part of the library: `compare_evidence` compares it with what is.

A user's bucket is uniform on [0, 1) and has nothing to do with what the user answers if both versions do the same (the
sharp null). So what every user met and got is taken as given, and only the buckets as drawn. With n answers of user u
in stage k and m_k the mean of all answers of the stage, whichever version gave them,

    z_uk = (sum of y - m_k n) / sqrt(n),           G_u(b) = sum of z_uk over the stages with a share above b,

G_u(B_u) is how much worse than the mean the user's answers were while on the canary, and G_u(b) what it would have been
with the bucket b. For lambda > 0,

    e = product over users of exp(lambda G_u(B_u)) / integral over b in [0, 1) of exp(lambda G_u(b)) db

has expectation 1. lambda = c / sqrt(V), V = sum over users of the variance of G_u(b) over b, puts the bet where the sum
of the G_u is c standard deviations above its mean; the mean over c in {1.5, 2.5, 3.5, 4.5} is taken.

It is exact at each analysis, but no martingale from one to the next, since m_k and V change: with J planned analyses it
fails at e >= J / alpha (union bound). It does not care how often a version is used. It needs n and the sum of y of
every user in every stage, and knows no tolerance: any difference is one.

Kin: R. A. Fisher (1935), "The design of experiments" (the draw as the only source of chance); A. Ramdas, P. Grünwald,
V. Vovk, G. Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference" (e-values).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum, log, sqrt

DEVIATIONS = (1.5, 2.5, 3.5, 4.5)
"""How many standard deviations above its mean the bets look for the canary's sum."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a user met and got.

    Attributes:
        bucket: In [0, 1): on the canary in every stage with a share above it.
        answers: How many answers in each stage, of either version.
        totals: The sums of their values; higher is worse.
    """

    bucket: float
    answers: Sequence[float]
    totals: Sequence[float]


def log_e_randomisation(shares: Sequence[float], units: Sequence[Unit]) -> float:
    """Log of the evidence that answers are worse on the canary, at one analysis.

    If the version makes no difference to any answer, the chance that the value is at least log(x) is at most 1 / x,
    whatever users do: correlated, heavy-tailed, drifting.

    Args:
        shares: the traffic share of each stage, in [0, 1], in any order.
        units: all users, in any order.

    Returns:
        A natural logarithm; 0 while no draw could have made a difference.

    Raises:
        ValueError: if a unit has not as many numbers as there are stages.
    """
    widths, stages = _segments(shares)
    means = _means(len(shares), units)
    paths = [_path(unit, means, stages) for unit in units]
    variance = fsum(_variance(path, widths) for path in paths)
    if not variance > 0.0:
        return 0.0
    edges = sorted(set(shares))
    actual = fsum(path[sum(edge <= unit.bucket for edge in edges)] for unit, path in zip(units, paths, strict=True))
    logs = [_log_e(c / sqrt(variance), actual, paths, widths) for c in DEVIATIONS]
    largest = max(logs)
    return largest + log(fsum(exp(value - largest) for value in logs) / len(logs))


def log_threshold(alpha: float, analyses: int) -> float:
    """What `log_e_randomisation` must reach at any of so many planned analyses to fail at alpha."""
    return log(analyses / alpha)


def _segments(shares: Sequence[float]) -> tuple[list[float], list[list[int]]]:
    """The widths of the intervals of buckets between the shares, and on the canary in which stages they are."""
    ends = [*sorted(set(shares)), 1.0]
    starts = [0.0, *ends[:-1]]
    widths = [end - start for start, end in zip(starts, ends, strict=True)]
    return widths, [[k for k, share in enumerate(shares) if share > start] for start in starts]


def _means(stages: int, units: Sequence[Unit]) -> list[float]:
    """The mean of all answers in each stage."""
    means: list[float] = []
    for k in range(stages):
        answers = fsum(unit.answers[k] for unit in units)
        means.append(fsum(unit.totals[k] for unit in units) / answers if answers else 0.0)
    return means


def _path(unit: Unit, means: Sequence[float], stages: Sequence[Sequence[int]]) -> list[float]:
    """G_u in each segment of buckets."""
    rows = zip(unit.answers, unit.totals, means, strict=True)
    z = [(total - mean * n) / sqrt(n) if n else 0.0 for n, total, mean in rows]
    return [fsum(z[k] for k in on_canary) for on_canary in stages]


def _variance(path: Sequence[float], widths: Sequence[float]) -> float:
    mean = fsum(width * g for g, width in zip(path, widths, strict=True))
    return fsum(width * (g - mean) ** 2 for g, width in zip(path, widths, strict=True))


def _log_e(bet: float, actual: float, paths: Sequence[Sequence[float]], widths: Sequence[float]) -> float:
    """The log of one bet's product."""
    expected = fsum(log(fsum(width * exp(bet * g) for g, width in zip(path, widths, strict=True))) for path in paths)
    return bet * actual - expected

"""Are there too many failing users on the canary? Exact under sticky hashing, whatever users do.

A unit (a sticky key) is on the canary while its bucket, uniform on [0, 1), is below the traffic share. If the canary is
no worse than stable, the bucket has nothing to do with failing. So two numbers tell all that a unit's failures say
about the versions: `lo`, the largest share at which it failed on stable (0: never), and `hi`, the smallest at which it
failed on the canary (None: never). Then lo <= bucket < hi, and the bucket is still uniform there.

With D_w(x) = 1 + (w - 1) x the test bets that failing units have the bucket density w / D_w(b)^2: at any share x it
puts w x / D_w(x) of them on the canary, which is what a canary that fails w times as often does. The likelihood ratio
of what was seen against the uniform bucket is the mean of that density over [lo, hi),

    LR_w = w / (D_w(lo) D_w(hi))   if the unit failed on the canary,
    LR_w = 1 / D_w(lo)             if it did not (as with hi = 1, since D_w(1) = w).

The mean over an interval that only narrows is a martingale with expectation 1, whatever sequence of shares and failures
a unit meets: order, pauses and falling shares do not matter. Units have independent buckets, so their ratios multiply.

Kin: M. Lindon, A. Malek (2022), "Anytime-valid inference for multinomial count data" (failures split like the traffic);
J. ter Schure, M. F. Pérez-Ortiz, A. Ly, P. Grünwald (2020), "The safe logrank test" (first events).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import fsum, log, log1p

from .alternatives import HARM_RATIOS, log_mean_exp, require_tolerance

_WHOLE_SET_WEIGHT, _SAMPLES_WEIGHT = 0.9, 0.1


def log_e_value(groups: Mapping[tuple[float, float | None], int], tolerance: float = 1.2) -> float:
    """Log of the evidence that failing on the canary is more than `tolerance` times as likely as on stable.

    The mean over w in tolerance * HARM_RATIOS of the product over units of LR_w / LR_tolerance. Units meet in groups,
    so the cost depends on the number of groups only.

    Guards the chance of a false alarm: for a canary within the tolerance, the chance that the value ever reaches
    log(1/alpha) is at most alpha, however often anyone looks (J. Ville, 1939). Assumes uniform, independent buckets and
    shares that do not follow from which arm a unit without failures is in. Exact with tolerance 1, for a canary that
    fails the same visits as stable would. Above 1 the expectation is at most 1 at any one time if on every visit of a
    unit the canary is at most `tolerance` times as likely to fail, whatever happened on its other visits; that this
    bounds the chance over all times too is seen in simulation, not proven.

    It sees who fails, not how often: a canary that is merely used more has more failing users; see `usage_ratio`.

    Args:
        groups: (lo, hi) to the number of units: lo in [0, 1], hi in (0, 1] or None, the number at least 0. Both are
            traffic shares at the assignment, as fractions. That lo < hi, as one bucket per unit implies, is not
            checked.
        tolerance: the risk ratio that is still accepted, from 1 (strict) to 1000.

    Returns:
        A natural logarithm; 0 when nobody failed.

    Raises:
        ValueError: if a share, a number of units or the tolerance is outside its range.
    """
    require_tolerance(tolerance)
    for (lo, hi), units in groups.items():
        _require_group(lo, hi, units)
    shares = _failures_by_share(groups)
    canary_units = sum(units for (_, hi), units in groups.items() if hi is not None)
    under_tolerance = _log_likelihood(tolerance, shares, canary_units)
    return log_mean_exp(
        _log_likelihood(tolerance * ratio, shares, canary_units) - under_tolerance for ratio in HARM_RATIOS
    )


def usage_ratio(slices: Iterable[tuple[float, int, int]]) -> float:
    """How many times as much the canary is used as its share of the users says: the odds of its answers over its own.

    Who uses a canary g times as much is at most g times as likely to meet a failure on it, at the same failure rate:
    1 - exp(-g x) <= g (1 - exp(-x)) for g >= 1. So judge a canary that is used more at tolerance * max(1, this ratio).
    Over slices by the estimator of N. Mantel and W. Haenszel (1959), "Statistical aspects of the analysis of data from
    retrospective studies of disease". It is an estimate, noisy where few users make the traffic: how well it protects
    is known from simulation.

    Args:
        slices: (share, answers of the canary, answers of stable) of each time with one traffic share, the share as a
            fraction in [0, 1].

    Returns:
        1.0 if both versions are used alike, or nothing is known.

    Raises:
        ValueError: if a share or a number of answers is outside its range.
    """
    more = less = 0.0
    for share, canary, stable in slices:
        if not (0.0 <= share <= 1.0 and canary >= 0 and stable >= 0):
            raise ValueError(
                "slices must be of a share in [0, 1] and of numbers of answers that are at least 0, "
                f"got {share!r}, {canary!r}, {stable!r}"
            )
        more += canary * (1.0 - share)
        less += stable * share
    return more / less if more and less else 1.0


def log_sampling_weight(level: int) -> float:
    """Log of v_level, by which an e-value from a sample of the units counts: v_0 = 0.9, v_j = 0.1 * 2^-j.

    At level j only the units with a hash below 2^-j are kept, one in 2^j. The weights of all levels add up to 1, so the
    weighted mean of the levels' e-values is an e-value, and each of its terms v_j * e_j alone reaches 1 / alpha with
    probability at most alpha, even if the level is chosen after the data (A. Ramdas and others, 2023, "Game-theoretic
    statistics and safe anytime-valid inference"). Add the result to `log_e_value` of the sample.

    Raises:
        ValueError: if the level is negative.
    """
    if level < 0:
        raise ValueError(f"level must be at least 0, got {level!r}: 0 is the whole set, each further level halves it")
    if level == 0:
        return log(_WHOLE_SET_WEIGHT)
    return log(_SAMPLES_WEIGHT) - level * log(2.0)


def _require_group(lo: float, hi: float | None, units: int) -> None:
    if not 0.0 <= lo <= 1.0:
        raise ValueError(
            f"lo must be a traffic share in [0, 1], got {lo!r}: use 0 for a unit that never failed on stable"
        )
    if hi is not None and not 0.0 < hi <= 1.0:
        raise ValueError(
            f"hi must be a traffic share in (0, 1], got {hi!r}: use None for a unit that never failed on canary"
        )
    if not units >= 0:
        raise ValueError(f"the number of units in group ({lo!r}, {hi!r}) must be at least 0, got {units!r}")


def _failures_by_share(groups: Mapping[tuple[float, float | None], int]) -> dict[float, int]:
    """How often each share stands in a denominator: a handful of shares, however many pairs of them occur."""
    shares: dict[float, int] = {}
    for (lo, hi), units in groups.items():
        shares[lo] = shares.get(lo, 0) + units
        if hi is not None:
            shares[hi] = shares.get(hi, 0) + units
    return shares


def _log_likelihood(w: float, shares: Mapping[float, int], canary_units: int) -> float:
    denominators = fsum(count * log1p((w - 1.0) * share) for share, count in shares.items())
    return canary_units * log(w) - denominators

"""Does the canary fail more often? Fisher's exact test of two failure rates as an e-value per slice of time.

Of the failures f of both arms in a slice, given how many there were, the canary's number f_c follows Fisher's
noncentral hypergeometric law with the odds ratio w of failing,

    P_w(k) = C(n_c, k) C(n_s, f - k) w^k / S(w),      S(w) = sum over j of C(n_c, j) C(n_s, f - j) w^j,

whatever the failure rate itself is: an outage that hits both versions cancels out. The slice's e-value for w against
the tolerated w0 is P_w(f_c) / P_w0(f_c). Slices multiply.

Sources: R. A. Fisher (1935), "The logic of inductive inference" (the law); A. Wald (1947), "Sequential Analysis" (the
sequential conditional test of two proportions); H. Robbins (1970), "Statistical methods related to the law of the
iterated logarithm" (mixtures); J. G. Liao, O. Rosen (2001), "Fast and stable algorithms for computing and sampling from
the noncentral hypergeometric distribution" (mode, summation outward from it).
"""

from __future__ import annotations

from math import lgamma, log, sqrt

from .alternatives import HARM_RATIOS, require_tolerance

_NO_EVIDENCE = (0.0,) * len(HARM_RATIOS)
_NEGLIGIBLE = 1e-18


def log_likelihood_ratios(
    canary_total: int, canary_failures: int, stable_total: int, stable_failures: int, tolerance: float
) -> tuple[float, ...]:
    """log P_w(f_c | f) / P_w0(f_c | f) of one slice, for each w in tolerance * HARM_RATIOS, w0 = tolerance.

    Add them up alternative by alternative over the slices; `log_mean_exp` of the sums is the log e-value. Slices must
    end where the traffic share changes, and each assignment belongs to the slice it was assigned in.

    Guards the chance of a false alarm: for a canary within the tolerance, the chance that the log e-value ever reaches
    log(1 / alpha) is at most alpha, however often anyone looks (J. Ville, 1939). With tolerance 1 it assumes only that
    within a slice it does not depend on the outcome which arm an answer came from. Above 1 it assumes independent
    answers with one failure rate per arm and slice, and covers every odds ratio up to the tolerance, since P_w / P_w0
    grows with f_c. Requests of one user are correlated, so as counts take one answer for each user, or traffic without
    users.

    Args:
        canary_total: answers of the canary in the slice, at least 0.
        canary_failures: how many of them failed, in [0, canary_total].
        stable_total: answers of stable in the slice, at least 0.
        stable_failures: how many of them failed, in [0, stable_total].
        tolerance: the odds ratio that is still accepted, from 1 (strict) to 1000.

    Returns:
        One natural logarithm for each of HARM_RATIOS. All 0 if the slice tells nothing: an arm without answers, no
        failure, or nothing but failures.

    Raises:
        ValueError: if a count or the tolerance is outside its range.
    """
    require_tolerance(tolerance)
    _require_counts("canary", canary_total, canary_failures)
    _require_counts("stable", stable_total, stable_failures)
    failures = canary_failures + stable_failures
    if canary_total == 0 or stable_total == 0 or failures == 0 or failures == canary_total + stable_total:
        return _NO_EVIDENCE
    under_tolerance = _log_probability(canary_failures, canary_total, stable_total, failures, tolerance)
    return tuple(
        _log_probability(canary_failures, canary_total, stable_total, failures, tolerance * ratio) - under_tolerance
        for ratio in HARM_RATIOS
    )


def _require_counts(arm: str, total: int, failures: int) -> None:
    if not 0 <= failures <= total:
        raise ValueError(
            f"{arm}_failures must be in [0, {arm}_total], got {failures!r} of {total!r}: "
            "count failures and answers over the same assignments"
        )


def _log_probability(canary_failures: int, canary_total: int, stable_total: int, failures: int, odds: float) -> float:
    """log P_odds(canary_failures), up to a term that does not depend on the odds."""
    mode = _mode(canary_total, stable_total, failures, odds)
    canary_rest, stable_failures = canary_total - mode, failures - mode
    stable_rest = stable_total - stable_failures
    log_weight_at_mode = -(
        lgamma(mode + 1) + lgamma(canary_rest + 1) + lgamma(stable_failures + 1) + lgamma(stable_rest + 1)
    )
    above = _sum_outward(odds, canary_rest, stable_failures, mode + 1, stable_rest + 1)
    below = _sum_outward(1.0 / odds, mode, stable_rest, canary_rest + 1, stable_failures + 1)
    return (canary_failures - mode) * log(odds) - log_weight_at_mode - log(1.0 + above + below)


def _mode(canary_total: int, stable_total: int, failures: int, odds: float) -> int:
    """The most likely number of canary failures: where successive probabilities are equal, a root of a quadratic.

    The form of the root that adds, instead of subtracting, keeps it exact near odds 1, where the quadratic is linear.
    """
    linear = odds * (canary_total + failures + 2) + stable_total - failures
    constant = odds * (canary_total + 1) * (failures + 1)
    root = 2.0 * constant / (linear + sqrt(linear * linear - 4.0 * (odds - 1.0) * constant))
    return max(0, failures - stable_total, min(int(root), failures, canary_total))


def _sum_outward(odds: float, a: float, b: float, c: float, d: float) -> float:
    """Sum of the probabilities on one side of the mode, in units of the mode's.

    Each is odds * a b / (c d) times the one before, one step further out; they fall faster and faster, so what lies
    beyond the first negligible one does not count. The number of steps grows with the law's standard deviation only.
    """
    term, total = 1.0, 0.0
    while term > _NEGLIGIBLE:
        term *= odds * a * b / (c * d)
        total += term
        a -= 1.0
        b -= 1.0
        c += 1.0
        d += 1.0
    return total

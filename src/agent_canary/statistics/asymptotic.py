"""How sure is a difference of means, however often one looks? From an estimate and its variance alone.

For an estimate d of the true difference, with variance v, the evidence against "no difference" is the likelihood ratio
of d averaged over the effects that one expects, a normal distribution with variance tau^2 around 0:

    two-sided   log e = -1/2 log(1 + tau^2 / v) + z^2 / 2,    z = d / sqrt(v) * sqrt(tau^2 / (tau^2 + v)),
    one-sided   log e = (the same) + log(2 Phi(z)),           effects above 0 only: half of that distribution.

The information 1 / v is the time of the underlying Brownian motion, so shares may change on the way. tau near the
smallest effect that matters gives the narrowest intervals there: a fifth of the standard deviation of one answer is
usual.

Sources: H. Robbins (1970), "Statistical methods related to the law of the iterated logarithm" (the mixture);
S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence
sequences" (one-sided mixtures); I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas (2024), "Time-uniform
central limit theory and asymptotic confidence sequences" (with estimated variances).
"""

from __future__ import annotations

from math import erfc, isfinite, log, log1p, pi, sqrt

_LARGEST_DIRECT = 20.0


def log_e_one_sided(difference: float, variance: float, tau_squared: float) -> float:
    """Log of the evidence that the true difference is above 0.

    Guards the chance of a false alarm: while the true difference is at most 0, the chance that the value ever reaches
    log(1 / alpha) is about alpha at most, however often anyone looks. Asymptotic: it takes the estimate for normal and
    the variance for known, and is as good as these are. With rare events or heavy tails on a small arm they are not:
    see the guards of the variance in `hash_buckets`.

    Args:
        difference: the estimate, in the units of the answers, of either sign.
        variance: of the estimate, above 0.
        tau_squared: the variance of the effects that are looked for, above 0.

    Returns:
        A natural logarithm; negative while there is more evidence against than for.

    Raises:
        ValueError: if an argument is outside its range.
    """
    z, log_width = _standardised(difference, variance, tau_squared)
    if z > 0.0:
        return 0.5 * z * z + log(erfc(-z / sqrt(2.0))) - log_width
    return _log_scaled_erfc(-z / sqrt(2.0)) - log_width


def log_e_two_sided(difference: float, variance: float, tau_squared: float) -> float:
    """Log of the evidence that the true difference is not 0, of either sign.

    Assumptions, arguments and errors are those of `log_e_one_sided`; the null is a true difference of exactly 0.
    """
    z, log_width = _standardised(difference, variance, tau_squared)
    return 0.5 * z * z - log_width


def radius(variance: float, tau_squared: float, alpha: float) -> float:
    """How far from the estimate the true difference may be: the differences that `log_e_two_sided` does not exclude.

    The interval "estimate plus or minus radius" holds the true difference at all times at once with a probability of
    about 1 - alpha, as far as the estimate is normal and its variance known.

    Args:
        variance: of the estimate, above 0.
        tau_squared: the variance of the effects that are looked for, above 0.
        alpha: the chance that the interval ever misses, in (0, 1).

    Returns:
        In the units of the answers, above 0.

    Raises:
        ValueError: if an argument is outside its range.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must be a probability in (0, 1), got {alpha!r}: 0.01 is usual")
    _, log_width = _standardised(0.0, variance, tau_squared)
    return sqrt(2.0 * variance * (1.0 + variance / tau_squared) * (log_width - log(alpha)))


def _standardised(difference: float, variance: float, tau_squared: float) -> tuple[float, float]:
    """z and 1/2 log(1 + tau^2 / v)."""
    if not isfinite(difference):
        raise ValueError(f"difference must be finite, got {difference!r}")
    if not (variance > 0.0 and isfinite(variance)):
        raise ValueError(f"variance must be above 0, got {variance!r}: without spread nothing can be judged")
    if not (tau_squared > 0.0 and isfinite(tau_squared)):
        raise ValueError(f"tau_squared must be above 0, got {tau_squared!r}: take the square of an effect that matters")
    ratio = tau_squared / variance
    return difference / sqrt(variance * (1.0 + 1.0 / ratio)), 0.5 * log1p(ratio)


def _log_scaled_erfc(x: float) -> float:
    """log(exp(x^2) erfc(x)) for x >= 0, also where erfc(x) itself is too small for a float."""
    if x < _LARGEST_DIRECT:
        return log(erfc(x)) + x * x
    step = -0.5 / (x * x)
    series = 1.0 + step * (1.0 + 3.0 * step * (1.0 + 5.0 * step))
    return log(series / (x * sqrt(pi)))

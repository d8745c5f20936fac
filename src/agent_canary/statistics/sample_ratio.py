"""Did users split as they should? The evidence that the canary's share of users is not the configured one.

Of n = n_c + n_s users who were seen first while the share was pi, n_c is binomial if routing works. The e-value is the
likelihood ratio of a share from a Beta(C pi, C (1 - pi)) distribution around pi, C = 100, against pi itself:

    log e = log B(C pi + n_c, C (1 - pi) + n_s) - log B(C pi, C (1 - pi)) - n_c log pi - n_s log(1 - pi).

Source: M. Lindon, A. Malek (2022), "Anytime-valid inference for multinomial count data".
"""

from __future__ import annotations

from math import lgamma, log, log1p

_CONCENTRATION = 100.0


def log_e_sample_ratio(canary_units: int, stable_units: int, share: float) -> float:
    """Log of the evidence of one share; add those of several, each with its own units, up.

    Guards the chance of a false alarm: if every unit was on the canary with probability *share*, the chance that the
    sum ever reaches log(1 / alpha) is at most alpha, however often anyone looks (J. Ville, 1939). Exact for independent
    units: count each once, at its first sight ever, and not its requests. From a sample of units take the counts of the
    sample: counts scaled up from it would overstate the evidence.

    Args:
        canary_units: units first seen on the canary, at least 0.
        stable_units: units first seen on stable, at least 0.
        share: the canary's configured share of them, as a fraction in (0, 1).

    Returns:
        A natural logarithm; 0 without units, negative while the split is close to the share.

    Raises:
        ValueError: if an argument is outside its range.
    """
    if not (canary_units >= 0 and stable_units >= 0):
        raise ValueError(f"units must be at least 0, got {canary_units!r} on canary and {stable_units!r} on stable")
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must be a fraction in (0, 1), got {share!r}: at 0 and 1 there is nothing to split")
    a, b = _CONCENTRATION * share, _CONCENTRATION * (1.0 - share)
    expected = canary_units * log(share) + stable_units * log1p(-share)
    return _log_beta(a + canary_units, b + stable_units) - _log_beta(a, b) - expected


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)

"""Is the failure rate beyond a margin, or within it? Exact for two rates and a line between them.

The null is a half plane of rates, theta_c <= rho * theta_s + delta or the other side of that line; the alternative is
a point (t_c, t_s) beyond it. The slice's e-value is the likelihood ratio of the alternative against the point of the
line that is nearest to it,

    e = P(f_c; n_c, t_c) P(f_s; n_s, t_s) / (P(f_c; n_c, rho x + delta) P(f_s; n_s, x)),
    x minimises n_c KL(t_c || rho x + delta) + n_s KL(t_s || x),

whose expectation is at most 1 on the whole null: the condition for x to be the minimum says so for convex nulls.

`NonInferiority` bets with it that the canary is *not* worse by delta: the null is theta_c >= theta_s + delta, the
alternatives have t_s = the past rate of stable and t_c = t_s + kappa * delta, kappa in {0, 1/4, 1/2, 3/4}.

Sources: R. Turner, A. Ly, P. Grünwald (2024), "Generic E-variables for exact sequential k-sample tests that allow for
optional stopping"; R. Turner, P. Grünwald (2023), "Exact anytime-valid confidence intervals for contingency tables and
beyond" (lines as nulls).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt

from .alternatives import log_mean_exp

_KAPPAS = (0.0, 0.25, 0.5, 0.75)
_FEWEST_ANSWERS = 200
_BISECTIONS = 60


def log_e_margin(
    canary_total: int,
    stable_total: int,
    canary_failures: int,
    stable_failures: int,
    canary_rate: float,
    stable_rate: float,
    ratio: float,
    delta: float,
) -> float:
    """Log of the evidence of one slice for the rates (canary_rate, stable_rate), against those beyond a line.

    Slices multiply: add up their logs, for alternatives that were chosen before each slice. Guards the chance of a
    false alarm: while in every slice the true rates are on the other side of canary = ratio * stable + delta than the
    alternative, the chance that the sum ever reaches log(1 / alpha) is at most alpha (J. Ville, 1939). Exact for
    independent answers, at any counts.

    Args:
        canary_total: answers of the canary in the slice, at least 0.
        stable_total: answers of stable in the slice, at least 0.
        canary_failures: how many of the canary's failed, in [0, canary_total].
        stable_failures: how many of stable's failed, in [0, stable_total].
        canary_rate: the alternative's failure rate of the canary, in [0, 1].
        stable_rate: the alternative's failure rate of stable, in [0, 1].
        ratio: the line's slope rho, above 0.
        delta: the line's offset, in (-1, 1).

    Returns:
        A natural logarithm; 0 if an arm has no answers, minus infinity if the alternative rules out what was seen.

    Raises:
        ValueError: if an argument is outside its range, or the line has no rates in (0, 1).
    """
    _require_counts("canary", canary_total, canary_failures)
    _require_counts("stable", stable_total, stable_failures)
    _require_rates(canary_rate, stable_rate, ratio, delta)
    if not canary_total or not stable_total:
        return 0.0
    nearest = _nearest(canary_total, stable_total, canary_rate, stable_rate, ratio, delta)
    return _log_ratio(canary_failures, canary_total, canary_rate, ratio * nearest + delta) + _log_ratio(
        stable_failures, stable_total, stable_rate, nearest
    )


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The test that the canary is not worse by delta so far; without arguments, before the first slice.

    Attributes:
        log_products: The log of each alternative's product over the slices so far.
        stable_answers: How many answers of stable there were: its past failure rate is the next alternative.
        stable_failures: How many of them failed.
    """

    log_products: tuple[float, ...] = (0.0,) * len(_KAPPAS)
    stable_answers: int = 0
    stable_failures: int = 0

    @property
    def log_e(self) -> float:
        """Log of the evidence that the canary's failure rate is less than delta above stable's.

        Guards the chance of a wrong "not worse": while in every slice the canary's true rate is delta or more above
        stable's, the chance that the value ever reaches log(1 / alpha) is at most alpha, however often anyone looks
        (J. Ville, 1939). Exact for independent answers whose rates may drift from slice to slice. A canary that is
        worse by delta in some slices only may be found not worse.
        """
        return log_mean_exp(self.log_products)

    def to_list(self) -> list[float]:
        """Return plain numbers, from which :meth:`from_list` makes the same state."""
        return [self.stable_answers, self.stable_failures, *self.log_products]

    @classmethod
    def from_list(cls, numbers: Sequence[float]) -> NonInferiority:
        """Read what :meth:`to_list` wrote.

        Raises:
            ValueError: The list has another length.
        """
        if len(numbers) != 2 + len(_KAPPAS):
            raise ValueError(f"numbers must be {2 + len(_KAPPAS)} as to_list writes them, got {len(numbers)}")
        stable_answers, stable_failures, *log_products = numbers
        return cls(tuple(log_products), int(stable_answers), int(stable_failures))


def advance(
    state: NonInferiority,
    canary_total: int,
    canary_failures: int,
    stable_total: int,
    stable_failures: int,
    delta: float,
) -> NonInferiority:
    """The test after one more slice of time, of which it gets the counts.

    It bets from the slice on before which stable had 200 answers, and its failure rate was known with a standard error
    below delta: bets on a bad guess waste evidence (for power; the promise needs no such gate).

    Args:
        state: the test before it.
        canary_total: answers of the canary in the slice, at least 0.
        canary_failures: how many of them failed, in [0, canary_total].
        stable_total: answers of stable in the slice, at least 0.
        stable_failures: how many of them failed, in [0, stable_total].
        delta: by how much the canary's failure rate must not exceed stable's, in (0, 1). The same in every slice.

    Raises:
        ValueError: if an argument is outside its range.
    """
    _require_counts("canary", canary_total, canary_failures)
    _require_counts("stable", stable_total, stable_failures)
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta must be in (0, 1), got {delta!r}: 0.01 is one failure more in 100 answers")
    log_products = state.log_products
    rate = (state.stable_failures + 0.5) / (state.stable_answers + 1)
    if _may_bet(state.stable_answers, rate, delta):
        counts = (canary_total, stable_total, canary_failures, stable_failures)
        log_products = tuple(
            so_far + log_e_margin(*counts, rate + kappa * delta, rate, 1.0, delta)
            for so_far, kappa in zip(log_products, _KAPPAS, strict=True)
        )
    return NonInferiority(log_products, state.stable_answers + stable_total, state.stable_failures + stable_failures)


def _may_bet(answers: int, rate: float, delta: float) -> bool:
    return answers >= _FEWEST_ANSWERS and sqrt(rate * (1.0 - rate) / answers) < delta and rate + delta < 1.0


def _require_counts(arm: str, total: int, failures: int) -> None:
    if not 0 <= failures <= total:
        raise ValueError(
            f"{arm}_failures must be in [0, {arm}_total], got {failures!r} of {total!r}: "
            "count failures and answers over the same assignments"
        )


def _require_rates(canary_rate: float, stable_rate: float, ratio: float, delta: float) -> None:
    for name, rate in (("canary_rate", canary_rate), ("stable_rate", stable_rate)):
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"{name} must be in [0, 1], got {rate!r}: it is a failure rate")
    if not 0.0 < ratio < inf:
        raise ValueError(f"ratio must be above 0, got {ratio!r}: 1 compares the rates, 1.2 tolerates 20 % more")
    if not -min(1.0, ratio) < delta < 1.0:
        raise ValueError(
            f"delta must be in (-1, 1), and above -ratio, got {delta!r} with ratio {ratio!r}: "
            "else no pair of rates is on the line"
        )


def _nearest(
    canary_total: int, stable_total: int, canary_rate: float, stable_rate: float, ratio: float, delta: float
) -> float:
    """Stable's rate at the point of the line that is nearest to the alternative, by bisection of the slope.

    It lies between stable's own rate and the one at which the canary would be on the line with its own.
    """
    ends = (stable_rate, (canary_rate - delta) / ratio)
    low, high = max(min(ends), -delta / ratio, 0.0), min(max(ends), (1.0 - delta) / ratio, 1.0)
    for _ in range(_BISECTIONS):
        x = 0.5 * (low + high)
        y = ratio * x + delta
        slope = canary_total * ratio * (y - canary_rate) * x * (1.0 - x)
        if slope + stable_total * (x - stable_rate) * y * (1.0 - y) < 0.0:
            low = x
        else:
            high = x
    return 0.5 * (low + high)


def _log_ratio(failures: int, total: int, rate: float, null_rate: float) -> float:
    """log of the binomial likelihood of one rate over that of another."""
    return _part(failures, rate, null_rate) + _part(total - failures, 1.0 - rate, 1.0 - null_rate)


def _part(count: int, chance: float, null_chance: float) -> float:
    if not count:
        return 0.0
    return count * log(chance / null_chance) if chance > 0.0 else -inf

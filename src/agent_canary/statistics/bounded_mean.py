"""Is the canary's mean score lower? Exact for scores in [0, 1], at any number of answers, from sums per slice.

In a slice with n = n_c + n_s answers let h = n_c n_s / n, a_c = n_s / n, a_s = n_c / n. With psi(u) = -log(1 - u) - u
and centres m known before the slice (each arm's past mean), the slice's e-value for the bet lambda in (0, 1) is

    log e = lambda h (mean_s - mean_c - delta)
            - psi(lambda a_c) sum (y_c - m_c)^2 - psi(lambda a_s) sum (y_s - m_s)^2.

Its expectation is at most 1 if stable's true mean exceeds the canary's by delta or less: answer by answer,
exp(u x - psi(u) x^2) <= 1 + u x for every x >= -1, and what the means themselves are drops out, since
a_c n_c = a_s n_s = h. Slices multiply, and 12 bets from 0.01 to 0.9 are averaged.

Sources: X. Fan, I. Grama, Q. Liu (2015), "Exponential inequalities for martingales with applications" (the inequality);
S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence
sequences" (predictable centres); I. Waudby-Smith, A. Ramdas (2024), "Estimating means of bounded random variables by
betting".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p

from .alternatives import log_mean_exp
from .answer_sums import AnswerSums

_SMALLEST, _LARGEST, _SIZE = 0.01, 0.9, 12
_BETS = tuple(_SMALLEST * (_LARGEST / _SMALLEST) ** (step / (_SIZE - 1)) for step in range(_SIZE))


@dataclass(frozen=True, slots=True)
class BoundedMean:
    """The test so far; without arguments, before the first slice.

    Attributes:
        log_products: The log of each bet's product over the slices so far.
        canary_answers: How many answers of the canary there were: its past mean is the next centre.
        canary_sum: The sum of their scores.
        stable_answers: The same of stable.
        stable_sum: The sum of its scores.
    """

    log_products: tuple[float, ...] = (0.0,) * _SIZE
    canary_answers: int = 0
    canary_sum: float = 0.0
    stable_answers: int = 0
    stable_sum: float = 0.0

    @property
    def log_e(self) -> float:
        """Log of the evidence that stable's mean is more than delta above the canary's.

        Guards the chance of a false alarm: while in every slice the true means differ by delta or less, the chance that
        the value ever reaches log(1 / alpha) is at most alpha, however often anyone looks (J. Ville, 1939). Exact for
        independent scores in [0, 1] of any distribution, which may drift from slice to slice; conservative: it takes
        1.5 to 2.5 times the answers of `log_e_one_sided`.
        """
        return log_mean_exp(self.log_products)

    def to_list(self) -> list[float]:
        """Return plain numbers, from which :meth:`from_list` makes the same state."""
        return [self.canary_answers, self.canary_sum, self.stable_answers, self.stable_sum, *self.log_products]

    @classmethod
    def from_list(cls, numbers: Sequence[float]) -> BoundedMean:
        """Read what :meth:`to_list` wrote.

        Raises:
            ValueError: The list has another length.
        """
        if len(numbers) != 4 + _SIZE:
            raise ValueError(f"numbers must be {4 + _SIZE} as to_list writes them, got {len(numbers)}")
        canary_answers, canary_sum, stable_answers, stable_sum, *log_products = numbers
        return cls(tuple(log_products), int(canary_answers), canary_sum, int(stable_answers), stable_sum)


def advance(state: BoundedMean, slice_: tuple[AnswerSums, AnswerSums], delta: float) -> BoundedMean:
    """The test after one more slice of time.

    Args:
        state: the test before it.
        slice_: what (canary, stable) scored in it, each score in [0, 1]; higher is better. For scores that lie between
            other bounds, or of which lower is better, map them first.
        delta: by how much stable's mean may be above the canary's, in [0, 1). The same in every slice.

    Raises:
        ValueError: if delta or the sums are outside their range.
    """
    if not 0.0 <= delta < 1.0:
        raise ValueError(f"delta must be in [0, 1), got {delta!r}: 0.02 tolerates a mean that is 2 points of 100 lower")
    canary, stable = slice_
    _require_bounded("canary", canary)
    _require_bounded("stable", stable)
    gains = _gains(state, canary, stable, delta) if canary.n and stable.n else (0.0,) * _SIZE
    return BoundedMean(
        tuple(so_far + gain for so_far, gain in zip(state.log_products, gains, strict=True)),
        state.canary_answers + canary.n,
        state.canary_sum + canary.y,
        state.stable_answers + stable.n,
        state.stable_sum + stable.y,
    )


def _require_bounded(arm: str, sums: AnswerSums) -> None:
    slack = 1e-9 * (sums.n + 1)
    if not (-slack <= sums.yy <= sums.y + slack and sums.y <= sums.n + slack):
        raise ValueError(f"scores of {arm} must be in [0, 1], got {sums!r}: map them from their bounds first")


def _gains(state: BoundedMean, canary: AnswerSums, stable: AnswerSums, delta: float) -> tuple[float, ...]:
    share_c, share_s = canary.n / (canary.n + stable.n), stable.n / (canary.n + stable.n)
    drop = share_s * canary.n * (stable.mean - canary.mean - delta)
    scatter_c = _about(_past_mean(state.canary_sum, state.canary_answers), canary)
    scatter_s = _about(_past_mean(state.stable_sum, state.stable_answers), stable)
    return tuple(bet * drop - _psi(bet * share_s) * scatter_c - _psi(bet * share_c) * scatter_s for bet in _BETS)


def _past_mean(total: float, answers: int) -> float:
    """The mean so far, with half a point in one answer before the first."""
    return (total + 0.5) / (answers + 1)


def _about(centre: float, sums: AnswerSums) -> float:
    return sums.yy - 2.0 * centre * sums.y + sums.n * centre * centre


def _psi(u: float) -> float:
    return -log1p(-u) - u

"""What would settle a finding that is inconclusive: how much more data, at what was seen so far."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..statistics import log_e_one_sided
from . import wording
from .case import Case

_MOST = 30.0
"""How many times the data of now an estimate may ask for: what was seen so far tells nothing of more than that."""
_FEWEST_ANSWERS = 10
"""Canary answers below which nobody can say."""


def is_possible(case: Case) -> bool:
    """Whether more data to compare come in the present stage: at 0 and 100 % one version has no traffic."""
    return 0.0 < case.plan.stages[case.moment.stage_idx].percent < 1.0


def factor_by_growth(log_e: float, log_threshold: float) -> float:
    """How many times the data would reach the threshold if the evidence grows with them; infinite when it does not."""
    return log_threshold / log_e if log_e > 0.0 else math.inf


def factor_by_precision(difference: float, variance: float, tau_squared: float, log_threshold: float) -> float:
    """How many times the data would reach the threshold if the difference stays; infinite when it is no evidence."""
    if difference <= 0.0 or variance <= 0.0 or tau_squared <= 0.0:
        return math.inf

    def reaches(factor: float) -> bool:
        return log_e_one_sided(difference, variance / factor, tau_squared) >= log_threshold

    return _smallest(reaches)


def words(factor: float, answers: int, users: int, answers_per_second: float) -> str:
    """``about 1,900 more canary users, some 40 minutes at the present rate, would settle it``; empty when nobody knows.

    Args:
        factor: How many times the data of now it takes.
        answers: Answers of the canary that were compared.
        users: Users behind them; 0 when unknown. The estimate is in answers where they come twice or more on average.
        answers_per_second: How fast they come now.
    """
    if not 1.0 < factor < _MOST or answers < _FEWEST_ANSWERS:
        return ""
    # Where users come back, most of those to come are the same again. Users are counted at once, answers when they may
    # be judged, so there may be more of them.
    users = min(users, answers) if answers < 2 * users else 0
    more = wording.rounded((factor - 1.0) * (users or answers))
    amount = wording.users(more) if users else wording.answers(more)
    number, noun = amount.split(" ")
    if answers_per_second <= 0.0:
        return f"about {number} more canary {noun} would settle it"
    time = wording.duration((factor - 1.0) * answers / answers_per_second)
    return f"about {number} more canary {noun}, some {time} at the present rate, would settle it"


def _smallest(reaches: Callable[[float], bool]) -> float:
    if not reaches(_MOST):
        return math.inf
    low, high = 1.0, _MOST
    for _ in range(20):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high

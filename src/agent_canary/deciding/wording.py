"""Numbers as people read them."""

from __future__ import annotations

import math


def percent(part: float, whole: float) -> str:
    """``3.3 %``, with enough digits to see a small one; ``–`` of nothing."""
    if not whole:
        return "–"
    share = 100.0 * part / whole
    digits = 0 if share in (0.0, 100.0) else 1 if share >= 1 else 2 if share >= 0.1 else 3
    return f"{share:.{digits}f} %"


def as_often(ratio: float) -> str:
    """``3.4 times as often``; ``infinitely more often`` where the other never did."""
    if math.isinf(ratio):
        return "infinitely more often"
    return f"{ratio:.2g} times as often" if ratio < 10 else f"{ratio:,.0f} times as often"


def odds(log_value: float) -> str:
    """Evidence as ``1,520 to 1``, from its natural logarithm."""
    if log_value < 0:
        return "less than 1 to 1"
    if log_value > math.log(1e9):
        return f"10^{log_value / math.log(10):.0f} to 1"
    value = math.exp(log_value)
    return f"{value:.1f} to 1" if value < 10 else f"{value:,.0f} to 1"


def answers(number: int) -> str:
    """``1 answer``, ``212 answers``."""
    return f"{number:,} answer" if number == 1 else f"{number:,} answers"


def users(number: int) -> str:
    """``1 user``, ``12 users``."""
    return f"{number:,} user" if number == 1 else f"{number:,} users"

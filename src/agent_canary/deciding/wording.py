"""Numbers as people read them."""

from __future__ import annotations

import math

_DAY, _HOUR, _MINUTE = 86_400.0, 3_600.0, 60.0
_NONE = math.log(1.05)
"""Evidence below this is said to be none: it would read 1.0 to 1."""


def percent(part: float, whole: float) -> str:
    """``3.3 %``, with enough digits to see a small one; ``–`` of nothing."""
    return share(part / whole) if whole else "–"


def share(value: float) -> str:
    """A fraction as ``3.3 %``, with enough digits to see a small one."""
    value *= 100.0
    size = abs(value)
    digits = 0 if size in (0.0, 100.0) else 1 if size >= 1 else 2 if size >= 0.1 else 3
    return f"{value:.{digits}f} %"


def as_often(ratio: float) -> str:
    """``3.4 times as often``; ``infinitely more often`` where the other never did."""
    if math.isinf(ratio):
        return "infinitely more often"
    return f"{times(ratio)} as often"


def times(ratio: float) -> str:
    """``3.4 times``."""
    if ratio < 0.995:
        return f"{ratio:.2g} times"
    return f"{ratio:.1f} times" if ratio < 9.95 else f"{ratio:,.0f} times"


def odds(log_value: float) -> str:
    """Evidence as ``1,520 to 1``, from its natural logarithm."""
    if log_value < 0:
        return "less than 1 to 1"
    if log_value > math.log(1e9):
        return f"10^{log_value / math.log(10):.0f} to 1"
    value = math.exp(log_value)
    return f"{value:.1f} to 1" if value < 10 else f"{value:,.0f} to 1"


def evidence(log_e: float, log_threshold: float) -> str:
    """``evidence 1,520 to 1, alarm from 200 to 1``, from natural logarithms."""
    found = "no evidence yet" if log_e < _NONE else f"evidence {odds(log_e)}"
    return f"{found}, alarm from {odds(log_threshold)}"


def answers(number: int) -> str:
    """``1 answer``, ``212 answers``."""
    return f"{number:,} answer" if number == 1 else f"{number:,} answers"


def users(number: int) -> str:
    """``1 user``, ``12 users``."""
    return f"{number:,} user" if number == 1 else f"{number:,} users"


def rounded(number: float) -> int:
    """Two significant digits, upwards: an estimate is no count."""
    if number < 10.0:
        return max(1, math.ceil(number))
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return int(math.ceil(number / unit) * unit)


def duration(seconds: float) -> str:
    """``40 seconds``, ``35 minutes``, ``6 hours``, ``3 days``."""
    for size, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if seconds >= 2.0 * size:
            return f"{rounded(seconds / size):,} {name}"
    return f"{rounded(seconds):,} seconds"


def number(value: float, scale: float | None = None) -> str:
    """A value with three significant digits; with *scale*, as many decimals as a number of that size needs."""
    size = abs(value if scale is None else scale)
    if size == 0.0 or not math.isfinite(size):
        return f"{value:.3g}"
    decimals = max(0, 2 - math.floor(math.log10(size)))
    return f"{value:,.{min(decimals, 9)}f}"


def signed(value: float, decimals: int) -> str:
    """``−0.05``, ``+0.02``, with a true minus; ``0.00`` without any."""
    text = f"{value:+,.{decimals}f}"
    if not text.strip("+-0."):
        return text[1:]
    return text.replace("-", "−")


def decimals_of(value: float) -> int:
    """How many decimals show two digits of a number of this size: 2 of 0.83, 1 of 4.2, none of 86; 2 of nothing."""
    size = abs(value)
    return max(0, min(9, 1 - math.floor(math.log10(size)))) if 0.0 < size < math.inf else 2


def decimals_for(error: float) -> int:
    """How many decimals a number with this error deserves: the error's first digit, or its second below 3."""
    if error <= 0.0 or not math.isfinite(error):
        return 2
    first = -math.floor(math.log10(error))
    return max(0, min(9, first + (1 if error * 10.0**first < 3.0 else 0)))


def fewer_points(delta: float) -> str:
    """A share that a difference is below, as ``less than 1 point``."""
    size = f"{100.0 * delta:g}"
    return f"less than {size} {'point' if size == '1' else 'points'}"


def points(difference: float, error: float) -> str:
    """A difference of two shares and its error as ``+3.2 ± 1.1 points``."""
    decimals = decimals_for(100.0 * error)
    return f"{signed(100.0 * difference, decimals)} ± {100.0 * error:.{decimals}f} points"

"""Numbers as the terminal and the document say them."""

from __future__ import annotations

from .cell import Goal
from .estimates import error, interval
from .tally import Spread, Tally

AIMS = {
    "caught": "caught",
    "completed": "completed",
    "failed answers": "failed canary answers, on average",
    "canary answers": "canary answers, in the median",
    "canary users": "canary users, in the median",
}


def percent(share: float) -> str:
    """Return a share in per cent with as many digits as tell something."""
    value = 100.0 * share
    if 99.0 < value < 100.0:
        return f"{min(value, 99.9):.1f} %"
    return f"{value:.0f} %" if value >= 10.0 or value == round(value) else f"{value:.2g} %"


def rate(count: int, runs: int) -> str:
    """Return a share with its Monte-Carlo error; where none or all were counted, the end of its 95 % interval."""
    if not runs:
        return "no runs"
    if not count:
        return f"0 % (below {percent(interval(0, runs)[1])})"
    if count == runs:
        return f"100 % (above {percent(interval(count, runs)[0])})"
    return f"{percent(count / runs)} ± {100.0 * error(count, runs):.2g}"


def spread(values: Spread) -> str:
    """Return the median with the 10th and 90th percentile."""
    low, middle, high = values
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


def minutes(values: Spread) -> str:
    """Return the median of seconds, in minutes."""
    return f"{values[1] / 60.0:.1f}" if values[1] < 600.0 else f"{values[1] / 60.0:.0f}"


def goal(wanted: Goal) -> str:
    """Return what is promised."""
    if wanted.aim in ("caught", "completed"):
        return f"{AIMS[wanted.aim]} in at least {percent(wanted.value)}"
    return f"at most {wanted.value:g} {AIMS[wanted.aim]}"


def reached(wanted: Goal, tally: Tally) -> str:
    """Return what was seen of it."""
    if wanted.aim == "caught":
        return rate(tally.rolled_back, tally.runs)
    if wanted.aim == "completed":
        return rate(tally.completed, tally.runs)
    value = tally.reached(wanted)
    return "none was caught" if value is None else f"{value:,.3g}" if value < 100.0 else f"{value:,.0f}"

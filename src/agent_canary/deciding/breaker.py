"""The breaker: a canary that fails always is gone at once, where no test can be sure so soon.

It has no error control. A test by users can never decide from one user, nor with next to no stable traffic.
"""

from __future__ import annotations

from ..metrics.arms import BinaryCounts, CountsBySlice
from . import wording
from .finding import Finding, FindingStatus
from .memory import Streak, since

CONSECUTIVE_FAILURES = 20


def trip(slices: CountsBySlice, streak: Streak) -> Finding | None:
    """Return a failing finding when the canary fails always, else None; bring *streak* up to date.

    It trips when the canary has failed in each of its first 20 answers or more while stable is healthy (at most half
    of its answers failed), and, in stages where stable has no traffic, after 20 failures in a row.
    """
    _follow(streak, slices)
    now = _sum(slices)
    met = BinaryCounts(now.canary_total, now.canary_bad, streak.stable_total, streak.stable_bad)
    from_the_start = now.canary_bad == now.canary_total >= CONSECUTIVE_FAILURES
    if from_the_start and 2 * met.stable_bad <= met.stable_total:
        return _finding(f"each of the canary's {wording.answers(met.canary_bad)} failed, {_stable(met)}", met)
    if streak.canary_failures >= CONSECUTIVE_FAILURES:
        last = wording.answers(streak.canary_failures)
        return _finding(f"each of the canary's last {last} failed, {_stable(BinaryCounts())}", now)
    return None


def _follow(streak: Streak, slices: CountsBySlice) -> None:
    for key, now in slices.items():
        news = since(streak.before.get(key, BinaryCounts()), now)
        if news is None:
            continue
        streak.before[key] = now
        if news.canary_total:
            streak.stable_total += news.stable_total
            streak.stable_bad += news.stable_bad
        if news.canary_total > news.canary_bad:
            streak.canary_failures = 0
        elif key.share >= 1.0 or not now.stable_total:
            streak.canary_failures += news.canary_bad


def _sum(slices: CountsBySlice) -> BinaryCounts:
    total = BinaryCounts()
    for counts in slices.values():
        total = total.plus(counts)
    return total


def _stable(now: BinaryCounts) -> str:
    if not now.stable_total:
        return "stable has no traffic to compare with"
    answers = wording.answers(now.stable_total)
    return f"{wording.percent(now.stable_bad, now.stable_total)} of stable's {answers} failed"


def _finding(what: str, now: BinaryCounts) -> Finding:
    return Finding(
        guardrail="breaker",
        role="rollback",
        status=FindingStatus.FAIL,
        sentence=f"breaker: {what}",
        stable_total=now.stable_total,
        stable_bad=now.stable_bad,
        canary_total=now.canary_total,
        canary_bad=now.canary_bad,
    )

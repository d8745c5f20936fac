"""The breaker: a canary that fails always is gone at once, where no test can be sure so soon.

It has no error control. A test by users can never decide from one user, nor with next to no stable traffic.
"""

from __future__ import annotations

from ..metrics.run_totals import BinaryCounts
from . import wording
from .finding import Finding, FindingStatus
from .memory import Streak

CONSECUTIVE_FAILURES = 20


def trip(now: BinaryCounts, streak: Streak) -> Finding | None:
    """Return a failing finding when the canary fails always, else None; bring *streak* up to date.

    It trips when the canary has failed in each of its first 20 answers or more while stable is healthy (at most half
    of its answers failed), and, where stable has no traffic, after 20 failures in a row.
    """
    news = now.plus(streak.before, -1)
    streak.before = now
    _follow(streak, news)
    from_the_start = now.canary_bad == now.canary_total >= CONSECUTIVE_FAILURES
    healthy = 2 * now.stable_bad <= now.stable_total
    alone = streak.canary_failures >= CONSECUTIVE_FAILURES and not streak.stable_total
    if not (alone or (from_the_start and healthy)):
        return None
    failures = now.canary_bad if from_the_start else streak.canary_failures
    stable = (
        f"{wording.percent(now.stable_bad, now.stable_total)} of stable's {wording.answers(now.stable_total)} failed"
        if now.stable_total and not alone
        else "stable has no traffic to compare with"
    )
    which = "each of the canary's" if from_the_start else "each of the canary's last"
    return Finding(
        guardrail="breaker",
        role="rollback",
        status=FindingStatus.FAIL,
        sentence=f"breaker: {which} {wording.answers(failures)} failed, {stable}: rolled back",
        stable_total=now.stable_total,
        stable_bad=now.stable_bad,
        canary_total=now.canary_total,
        canary_bad=now.canary_bad,
    )


def _follow(streak: Streak, news: BinaryCounts) -> None:
    if news.canary_total > news.canary_bad:
        streak.canary_failures = streak.stable_total = 0
    else:
        streak.canary_failures += news.canary_bad
        streak.stable_total += news.stable_total if streak.canary_failures else 0

"""What tests of whole canaries share: keys of either version, traffic, and what was counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

from agent_canary import AgentCanary, Stage
from agent_canary.testing import ManualClock

STABLE, CANARY = "v1", "v2"

QUICK = {"min_duration_seconds": 10, "min_samples": 20, "success_threshold": 0.0}
STAGES = (Stage(0.05, **QUICK), Stage(0.25, **QUICK), Stage(0.5, **QUICK), Stage(1.0, **QUICK))
"""Stages of ten seconds, whose own success threshold never holds: what holds or rolls back is the evidence."""


def key_on(canary: AgentCanary, version: str, number: int = 0) -> str:
    """Return the *number*-th key that *version* gets by the traffic share of now."""
    wanted = (key for key in map("user-{}".format, count()) if canary.route(key) == version)
    return next(key for index, key in enumerate(wanted) if index == number)


def users(number: int) -> list[str]:
    """Return that many keys."""
    return [f"user-{index}" for index in range(number)]


def counted(canary: AgentCanary, version: str) -> tuple[int, int, int]:
    """Return successes, failures and cancellations that were booked for a version."""
    totals = canary.metrics(version).totals
    return totals.succeeded, totals.failed, totals.cancelled


def never(version: str, user: str) -> bool:
    """Nobody's request fails."""
    return False


def serve(
    canary: AgentCanary, keys: Iterable[str], fails: Callable[[str, str], bool] = never, *, score: str | None = None
) -> None:
    """Serve one request of each user.

    Args:
        canary: Routes them.
        keys: The users.
        fails: Whether the request of a user (second) on a version (first) fails.
        score: Instead of failing such requests, give all a 0/1 score of this name: 0 for the bad ones.
    """
    for key in keys:
        assignment = canary.assign(key)
        bad = fails(assignment.version, key)
        if score is not None:
            assignment.score(score, 0 if bad else 1)
            assignment.succeed()
        elif bad:
            assignment.fail("bad answer")
        else:
            assignment.succeed()


def let_run(
    canary: AgentCanary,
    clock: ManualClock,
    seconds: int,
    keys: Iterable[str] = (),
    fails: Callable[[str, str], bool] = never,
    *,
    per_second: int = 100,
    score: str | None = None,
) -> None:
    """Serve *per_second* users each second, in turn, and tick after each; stop when the rollout is over."""
    waiting = list(keys)
    for second in range(seconds):
        if waiting:
            turn = [waiting[(second * per_second + index) % len(waiting)] for index in range(per_second)]
            serve(canary, turn, fails, score=score)
        clock.advance(1)
        canary.tick()
        if canary.rollout.state.is_finished:
            return

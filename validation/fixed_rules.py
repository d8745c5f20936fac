"""What others would have decided on the very same traffic: pure functions of the requests and of the users' buckets.

Two rules, both on the success of answers alone, as theirs are:

* the original's: roll back when the canary's success rate, of its last 1,000 answers, is more than 5 points below
  stable's and the canary has given 50; leave a stage when its time is over, its samples are in, and the canary's
  success rate is at least 99 %;
* a fixed threshold, as Argo Rollouts and Flagger check it: each minute, the canary's success rate of that minute must
  be at least 99 %. A failed check holds the ramp where it is; the tenth rolls back. These are the numbers of the first
  example in Flagger's manual ("How it works": interval 1m, threshold 10, min 99). A minute without an answer of the
  canary is no failed check here (in Flagger it is), which is kind to the rule.

Both take the times and shares of the cell's stages, and see an answer when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent_canary import Rollout, Stage

from .outcome import CANARY, STABLE, End, Outcome, outcome_of
from .traffic import Answers, Traffic
from .users import Floats

MARGIN, MIN_ANSWERS, WINDOW, MIN_SUCCESS = 0.05, 50, 1000, 0.99
"""Of the original's rule, and the bar of its stages."""
SAMPLES = tuple(stage.min_samples for stage in Rollout.standard().stages)
"""Canary answers that the original asks for in each of its stages, of all that it has given."""

CHECK_SECONDS, CHECKED_SUCCESS, FAILED_CHECKS = 60.0, 0.99, 10
"""Of the fixed threshold."""

Verdict = tuple[bool, bool]
"""Whether to roll back, and whether the stage may be left when its time is over."""


def original(traffic: Traffic, buckets: Floats, stages: Sequence[Stage], seconds: float, tick: float) -> Outcome:
    """Return how the original's rule ends, asked every *tick* seconds."""
    samples = (*SAMPLES[: len(stages) - 1], *[SAMPLES[-2]] * (len(stages) - len(SAMPLES)), 0)

    def judge(seen: Counted, _now: float, stage: int) -> Verdict:
        canary, stable = seen.answered(CANARY), seen.answered(STABLE)
        success = _success(canary[-WINDOW:])
        worse = len(canary) >= MIN_ANSWERS and success < _success(stable[-WINDOW:]) - MARGIN
        return worse, len(canary) >= samples[stage] and success >= MIN_SUCCESS

    return _replay(traffic, buckets, stages, seconds, tick, judge)


def fixed_threshold(traffic: Traffic, buckets: Floats, stages: Sequence[Stage], seconds: float) -> Outcome:
    """Return how the fixed threshold ends."""
    failed_checks = 0

    def judge(seen: Counted, now: float, _stage: int) -> Verdict:
        nonlocal failed_checks
        is_good = _success(seen.answered(CANARY, since=now - CHECK_SECONDS)) >= CHECKED_SUCCESS
        failed_checks += not is_good
        return failed_checks >= FAILED_CHECKS, is_good

    return _replay(traffic, buckets, stages, seconds, CHECK_SECONDS, judge)


@dataclass(slots=True)
class Counted:
    """What has been answered up to now.

    Attributes:
        served: Who answered each request made so far.
        now: Seconds.
        arms: Both versions' answers, each in the order in which they end.
    """

    served: npt.NDArray[np.uint8]
    now: float
    arms: dict[int, Ordered]

    def answered(self, arm: int, since: float = -1.0) -> npt.NDArray[np.bool_]:
        """Return whether each answer of a version that ended after *since* has failed, in order."""
        answers = self.arms[arm]
        first, last = np.searchsorted(answers.ends, (since, self.now), side="right")
        requests = answers.requests[first:last]
        return answers.failed[first:last][self.served[requests] == arm]


@dataclass(frozen=True, slots=True)
class Ordered:
    """A version's answers in the order in which they end.

    Attributes:
        requests: Their requests.
        ends: When.
        failed: Whether they have failed.
    """

    requests: npt.NDArray[np.int64]
    ends: Floats
    failed: npt.NDArray[np.bool_]


def _ordered(traffic: Traffic, answers: Answers, horizon: float) -> Ordered:
    ends = traffic.at + np.minimum(answers.seconds, horizon)
    order = np.argsort(ends, kind="stable")
    return Ordered(order, ends[order], answers.failed[order])


def _replay(
    traffic: Traffic,
    buckets: Floats,
    stages: Sequence[Stage],
    seconds: float,
    interval: float,
    judge: Callable[[Counted, float, int], Verdict],
) -> Outcome:
    served = np.zeros(len(traffic), np.uint8)
    bucket, knows_it = buckets[traffic.who], np.zeros(len(buckets), np.bool_)
    arms = {
        STABLE: _ordered(traffic, traffic.stable, traffic.horizon),
        CANARY: _ordered(traffic, traffic.canary, traffic.horizon),
    }
    seen = Counted(served, 0.0, arms)
    stage, entered, begin = 0, 0.0, 0
    end: End = "going"
    for now in np.arange(1, int(seconds / interval) + 1) * interval:
        last = int(np.searchsorted(traffic.at, now))
        served[begin:last] = _serve(traffic, bucket, stages[stage].percent, knows_it, slice(begin, last))
        begin, seen.now = last, float(now)
        is_worse, may_leave = judge(seen, seen.now, stage)
        if is_worse:
            end = "rolled back"
            break
        if may_leave and now - entered >= stages[stage].min_duration_seconds:
            stage, entered = stage + 1, float(now)
            if stages[stage].percent >= 1.0:
                end = "completed"
                break
    return outcome_of(traffic, served[:begin], end, seen.now, alarms=end == "rolled back")


def _serve(
    traffic: Traffic, bucket: Floats, share: float, knows_it: npt.NDArray[np.bool_], requests: slice
) -> npt.NDArray[np.uint8]:
    """Who answers which request; whoever meets the canary here is noted in *knows_it*."""
    who, on_canary = traffic.who[requests], bucket[requests] < share
    canary_comes = np.where(knows_it[who], traffic.canary.comes[requests], traffic.first_comes[requests])
    comes = np.where(on_canary, canary_comes, traffic.stable.comes[requests])
    knows_it[who[on_canary & comes]] = True
    return np.where(on_canary, CANARY, STABLE).astype(np.uint8) * comes


def _success(failed: npt.NDArray[np.bool_]) -> float:
    return 1.0 - float(failed.mean()) if len(failed) else 1.0

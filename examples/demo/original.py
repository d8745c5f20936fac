"""The counterfactual: the original's rule on the very same traffic.

The rule looks at HTTP success alone: it rolls back when the canary's success rate is more than 5 points below stable's,
each over the last 1,000 answers, as soon as the canary has given 50; and it promotes when a stage's time, samples and
success threshold are met, on all that the canary has answered so far. It has no error control and sees no score.

Users, times and buckets are those of the recorded traffic, so nothing but the rule differs. What the rule would have
served to whom follows from its own decisions; what the user would have met follows from the versions, which answer the
same whenever they are asked. Two things are kind to the rule: it is asked as often as the library decides by itself,
and a rollback is final and complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent_canary import Rollout, Stage, VersionMetrics
from agent_canary.testing import ManualClock

from .hindsight import Grade, Request

SAFETY_MARGIN = 0.05
MIN_SAMPLES = 50
WINDOW = 1000


class Move(NamedTuple):
    """What the rule decided.

    Attributes:
        at: Seconds after the rollout began.
        share: The canary's share of users from then on, in [0, 1].
        answers: How many answers the canary had given.
        success: The canary's success rate that it looked at, in [0, 1].
    """

    at: float
    share: float
    answers: int
    success: float


@dataclass(frozen=True)
class Replay:
    """What the rule would have done.

    Attributes:
        moves: Its decisions, beginning with the first stage.
        served: For each request whether the canary would have served it.
        is_rolled_back: Whether it rolled back.
        gap: By how much stable succeeds more often than the canary when both are asked about every request, in [-1, 1].
    """

    moves: tuple[Move, ...]
    served: tuple[bool, ...]
    is_rolled_back: bool
    gap: float


class OriginalRule:
    """The original's rule, told of one request after the other.

    Args:
        stages: The rollout's.
        interval: Seconds between two decisions.
    """

    def __init__(self, stages: Sequence[Stage], interval: float) -> None:
        self._clock = ManualClock(0.0)
        self._rollout = Rollout(stages, clock=self._clock)
        self._interval = interval
        self._asked = 0
        self._stable, self._canary = VersionMetrics(WINDOW), VersionMetrics(WINDOW)
        self.moves = [self._move()]
        self.is_rolled_back = False

    def advance(self, at: float) -> None:
        """Decide at each interval up to *at* seconds."""
        while (self._asked + 1) * self._interval <= at:
            self._asked += 1
            self._clock.advance(max(0.0, self._asked * self._interval - self._clock.wall()))
            self._decide()

    def serve(self, request: Request) -> bool:
        """Return whether the canary serves the request, and book how that went."""
        on_canary = request.bucket < self._rollout.traffic_share
        metrics = self._canary if on_canary else self._stable
        metrics.record(request.grade(on_canary) is not Grade.FAILED, 0.0)
        return on_canary

    def _decide(self) -> None:
        if self.is_rolled_back:
            return
        canary = self._canary
        if canary.total >= MIN_SAMPLES and canary.success_rate < self._stable.success_rate - SAFETY_MARGIN:
            self._rollout.rollback()
            self.is_rolled_back = True
            self.moves.append(self._move())
        elif self._rollout.can_promote(canary) and self._rollout.promote():
            self.moves.append(self._move())

    def _move(self) -> Move:
        canary = self._canary
        return Move(self._clock.wall(), self._rollout.traffic_share, canary.total, canary.success_rate)


def replay(requests: Sequence[Request], stages: Sequence[Stage], interval: float) -> Replay:
    """Return what the original's rule would have done on the same traffic.

    Args:
        requests: In the order in which they were sent.
        stages: The rollout's.
        interval: Seconds between two decisions.
    """
    rule = OriginalRule(stages, interval)
    served: list[bool] = []
    for request in requests:
        rule.advance(request.at)
        served.append(rule.serve(request))
    return Replay(tuple(rule.moves), tuple(served), rule.is_rolled_back, _gap(requests))


def _gap(requests: Sequence[Request]) -> float:
    more = sum((request.canary is Grade.FAILED) - (request.stable is Grade.FAILED) for request in requests)
    return more / len(requests) if requests else 0.0

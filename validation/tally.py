"""What the runs of a cell add up to, for one who decides: the library at an alpha, or a fixed rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .cell import Goal
from .outcome import Outcome

QUANTILES = (0.1, 0.5, 0.9)
Spread = tuple[float, float, float]
"""The 10th, 50th and 90th percentile."""


@dataclass(frozen=True, slots=True)
class Caught:
    """The runs that were rolled back, at the rollback.

    Attributes:
        seconds: From the start.
        answers: Of the canary.
        users: Who met the canary.
        failed: Failed answers of the canary, on average.
        harmed: Users who met one, on average.
    """

    seconds: Spread
    answers: Spread
    users: Spread
    failed: float
    harmed: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What so many runs add up to.

    Attributes:
        runs: How many there were; of restarted ones, how many were restarted.
        rolled_back: How many were rolled back; of restarted ones, again.
        completed: How many went to everybody.
        failed: Failed answers of the canary until the end, on average over all runs.
        harmed: Users who met one, on average over all runs.
        by: How often each guardrail was among those that rolled back.
        caught: At the rollback; None when none was.
    """

    runs: int
    rolled_back: int
    completed: int
    failed: float
    harmed: float
    by: dict[str, int]
    caught: Caught | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Tally:
        """Read what :meth:`to_json` wrote."""
        caught = data["caught"]
        if caught is not None:
            spreads = {name: tuple(caught[name]) for name in ("seconds", "answers", "users")}
            caught = Caught(**{**caught, **spreads})
        return cls(**{**data, "caught": caught})

    @property
    def share(self) -> float:
        """The share of runs that were rolled back."""
        return self.rolled_back / self.runs if self.runs else 0.0

    def reached(self, goal: Goal) -> float | None:
        """Return what a goal is about; None when nothing was caught."""
        if goal.aim == "caught":
            return self.share
        if goal.aim == "completed":
            return self.completed / self.runs
        if self.caught is None:
            return None
        if goal.aim == "failed answers":
            return self.caught.failed
        return self.caught.answers[1] if goal.aim == "canary answers" else self.caught.users[1]

    def meets(self, goal: Goal) -> bool:
        """Return whether a goal is met."""
        reached = self.reached(goal)
        if goal.aim in ("caught", "completed"):
            return reached is not None and reached >= goal.value
        return reached is not None and reached <= goal.value


def tally(outcomes: Sequence[Outcome]) -> Tally:
    """Add up the runs of a cell."""
    return _tally(outcomes, [each for each in outcomes if each.end == "rolled back"])


def tally_again(outcomes: Sequence[Outcome]) -> Tally:
    """Add up the runs that were rolled back by themselves and restarted: how many were rolled back again?"""
    restarted = [each for each in outcomes if each.alarms]
    return _tally(restarted, [each for each in restarted if each.alarms > 1])


def _tally(outcomes: Sequence[Outcome], rolled_back: Sequence[Outcome]) -> Tally:
    return Tally(
        runs=len(outcomes),
        rolled_back=len(rolled_back),
        completed=sum(each.end == "completed" for each in outcomes),
        failed=_mean([each.failed for each in outcomes]),
        harmed=_mean([each.harmed for each in outcomes]),
        by=dict(sorted(Counter(name for each in rolled_back for name in each.by).items())),
        caught=_caught(rolled_back) if rolled_back else None,
    )


def _caught(outcomes: Sequence[Outcome]) -> Caught:
    return Caught(
        seconds=_spread([each.seconds for each in outcomes]),
        answers=_spread([each.answers for each in outcomes]),
        users=_spread([each.users for each in outcomes]),
        failed=_mean([each.failed for each in outcomes]),
        harmed=_mean([each.harmed for each in outcomes]),
    )


def _spread(values: Sequence[float]) -> Spread:
    low, middle, high = (round(float(each), 1) for each in np.quantile(values, QUANTILES))
    return low, middle, high


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 2) if values else 0.0

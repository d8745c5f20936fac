"""What an analysis must remember for the next one, as JSON in the store, so that any worker can take the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from ..metrics.arms import BinaryCounts, CountsBySlice, SliceKey
from ..metrics.totals import ScoreSums
from ..statistics import HARM_RATIOS, BoundedMean, NonInferiority
from .finding import Finding


def since(before: BinaryCounts, now: BinaryCounts) -> BinaryCounts | None:
    """Return what has come between two totals; None when they went back, as a late write of a worker lets them.

    What counted already comes again then, and must not count twice: wait for it.
    """
    news = now.plus(before, -1)
    went_on = 0 <= news.canary_bad <= news.canary_total and 0 <= news.stable_bad <= news.stable_total
    return news if went_on else None


@dataclass(slots=True)
class ExactTest:
    """The exact conditional test of one guardrail so far.

    Attributes:
        before: The totals that have counted: a slice is what has come since.
        log_ratios: The logs of the likelihood ratios so far, one for each alternative.
        not_worse: The test of the opposite, for promotion.
    """

    before: CountsBySlice = field(default_factory=dict[SliceKey, BinaryCounts])
    log_ratios: tuple[float, ...] = (0.0,) * len(HARM_RATIOS)
    not_worse: NonInferiority = field(default_factory=NonInferiority)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "before": _counts_to_json(self.before),
            "log_ratios": list(self.log_ratios),
            "not_worse": self.not_worse.to_list(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExactTest:
        """Read what :meth:`to_json` wrote."""
        before, not_worse = _counts_from_json(data["before"]), NonInferiority.from_list(data["not_worse"])
        return cls(before, tuple(data["log_ratios"]), not_worse)


@dataclass(slots=True)
class Streak:
    """How the canary fails without a success in between where stable has no traffic.

    Attributes:
        before: The totals that have counted.
        canary_failures: Failures since its last success, in stages without an answer of stable.
    """

    before: CountsBySlice = field(default_factory=dict[SliceKey, BinaryCounts])
    canary_failures: int = 0
    stable_total: int = 0
    stable_bad: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        numbers = (self.canary_failures, self.stable_total, self.stable_bad)
        return {"before": _counts_to_json(self.before), "numbers": numbers}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Streak:
        """Read what :meth:`to_json` wrote."""
        return cls(_counts_from_json(data["before"]), *data["numbers"])


ScoresBySlice = dict[SliceKey, tuple[ScoreSums, ScoreSums]]
"""The canary's and stable's scores without a key."""


@dataclass(slots=True)
class BoundedTest:
    """The exact test of a bounded score's mean so far.

    Attributes:
        before: The sums that have counted: a slice is what has come since.
        test: The test's state.
    """

    before: ScoresBySlice = field(default_factory=dict[SliceKey, tuple[ScoreSums, ScoreSums]])
    test: BoundedMean = field(default_factory=BoundedMean)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        before = [[*key, *astuple(canary), *astuple(stable)] for key, (canary, stable) in self.before.items()]
        return {"before": before, "test": self.test.to_list()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BoundedTest:
        """Read what :meth:`to_json` wrote."""
        before = {
            SliceKey(stage_idx, share): (ScoreSums(*sums[:3]), ScoreSums(*sums[3:]))
            for stage_idx, share, *sums in data["before"]
        }
        return cls(before, BoundedMean.from_list(data["test"]))


@dataclass(slots=True)
class AnalysisMemory:
    """The state of all tests of one run.

    Attributes:
        exact: By guardrail, or by metric of one.
        bounded: By score.
        streak: For the breaker.
        limits: What amounts are compared with, by metric: milliseconds, US dollars or tokens.
        limits_at: Seconds into the run at which they were taken.
        amounts: Their quantiles on stable and on the canary in the present stage, by metric, as of then.
        users: How many users met stable first, and the canary; None before they were counted.
        users_at: The watermark at which they were, wall seconds.
        sample_ratio: The last finding about who came.
        sample_ratio_at: The watermark that it saw, wall seconds.
    """

    exact: dict[str, ExactTest] = field(default_factory=dict[str, ExactTest])
    bounded: dict[str, BoundedTest] = field(default_factory=dict[str, BoundedTest])
    streak: Streak = field(default_factory=Streak)
    limits: dict[str, float] = field(default_factory=dict[str, float])
    limits_at: float = 0.0
    amounts: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    users: tuple[int, int] | None = None
    users_at: float = 0.0
    sample_ratio: Finding | None = None
    sample_ratio_at: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "exact": {name: test.to_json() for name, test in self.exact.items()},
            "bounded": {name: test.to_json() for name, test in self.bounded.items()},
            "streak": self.streak.to_json(),
            "limits": self.limits,
            "limits_at": self.limits_at,
            "amounts": self.amounts,
            "users": self.users,
            "users_at": self.users_at,
            "sample_ratio": None if self.sample_ratio is None else self.sample_ratio.to_json(),
            "sample_ratio_at": self.sample_ratio_at,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AnalysisMemory:
        """Read what :meth:`to_json` wrote."""
        sample_ratio = data["sample_ratio"]
        return cls(
            exact={name: ExactTest.from_json(test) for name, test in data["exact"].items()},
            bounded={name: BoundedTest.from_json(test) for name, test in data["bounded"].items()},
            streak=Streak.from_json(data["streak"]),
            limits=dict(data["limits"]),
            limits_at=data["limits_at"],
            amounts={metric: (stable, canary) for metric, (stable, canary) in data["amounts"].items()},
            users=None if data["users"] is None else (data["users"][0], data["users"][1]),
            users_at=data["users_at"],
            sample_ratio=None if sample_ratio is None else Finding.from_json(sample_ratio),
            sample_ratio_at=data["sample_ratio_at"],
        )


def _counts_to_json(slices: CountsBySlice) -> list[list[float]]:
    return [[*key, *astuple(counts)] for key, counts in slices.items()]


def _counts_from_json(data: Iterable[list[Any]]) -> CountsBySlice:
    return {SliceKey(stage_idx, share): BinaryCounts(*counts) for stage_idx, share, *counts in data}

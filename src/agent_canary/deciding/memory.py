"""What an analysis must remember for the next one, as JSON in the store, so that any worker can take the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from ..metrics.run_totals import BinaryCounts, CountsBySlice, SliceKey
from ..statistics import HARM_RATIOS


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
    """

    before: CountsBySlice = field(default_factory=dict[SliceKey, BinaryCounts])
    log_ratios: tuple[float, ...] = (0.0,) * len(HARM_RATIOS)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"before": _counts_to_json(self.before), "log_ratios": list(self.log_ratios)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExactTest:
        """Read what :meth:`to_json` wrote."""
        return cls(_counts_from_json(data["before"]), tuple(data["log_ratios"]))


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


@dataclass(slots=True)
class AnalysisMemory:
    """The state of all tests of one run.

    Attributes:
        exact: By guardrail.
        streak: For the breaker.
    """

    exact: dict[str, ExactTest] = field(default_factory=dict[str, ExactTest])
    streak: Streak = field(default_factory=Streak)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"exact": {name: test.to_json() for name, test in self.exact.items()}, "streak": self.streak.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AnalysisMemory:
        """Read what :meth:`to_json` wrote."""
        exact = {name: ExactTest.from_json(test) for name, test in data["exact"].items()}
        return cls(exact, Streak.from_json(data["streak"]))


def _counts_to_json(slices: CountsBySlice) -> list[list[float]]:
    return [[*key, *astuple(counts)] for key, counts in slices.items()]


def _counts_from_json(data: Iterable[list[Any]]) -> CountsBySlice:
    return {SliceKey(stage_idx, share): BinaryCounts(*counts) for stage_idx, share, *counts in data}

"""What an analysis must remember for the next one, as JSON in the store, so that any worker can take the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..metrics.run_totals import BinaryCounts, CountsBySlice, SliceKey
from ..statistics import HARM_RATIOS


@dataclass(slots=True)
class ExactTest:
    """The exact conditional test of one guardrail so far.

    Attributes:
        before: The totals at the last analysis: a slice is what has come since.
        log_ratios: The logs of the likelihood ratios so far, one for each alternative.
    """

    before: CountsBySlice = field(default_factory=dict[SliceKey, BinaryCounts])
    log_ratios: tuple[float, ...] = (0.0,) * len(HARM_RATIOS)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        before = [[*key, *asdict(counts).values()] for key, counts in self.before.items()]
        return {"before": before, "log_ratios": list(self.log_ratios)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExactTest:
        """Read what :meth:`to_json` wrote."""
        before = {SliceKey(stage, share): BinaryCounts(*counts) for stage, share, *counts in data["before"]}
        return cls(before, tuple(data["log_ratios"]))


@dataclass(slots=True)
class Streak:
    """How the canary has failed without a success in between, as seen from analysis to analysis."""

    before: BinaryCounts = field(default_factory=BinaryCounts)
    canary_failures: int = 0
    stable_total: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Streak:
        """Read what ``asdict`` wrote."""
        return cls(BinaryCounts(**data["before"]), data["canary_failures"], data["stable_total"])


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
        return {"exact": {name: test.to_json() for name, test in self.exact.items()}, "streak": asdict(self.streak)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AnalysisMemory:
        """Read what :meth:`to_json` wrote."""
        exact = {name: ExactTest.from_json(test) for name, test in data["exact"].items()}
        return cls(exact, Streak.from_json(data["streak"]))

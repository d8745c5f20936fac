"""What one worker, or all of them together, have seen of one run; mergeable, and only what may be judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from .outcome import Outcome
from .totals import Totals
from .units import FirstOutcome, Shares, UnitTable, failing_units, first_outcomes


class SliceKey(NamedTuple):
    """What the assignments of a slice were decided by: the stage, and the canary's share of keys."""

    stage_idx: int
    share: float


@dataclass(slots=True)
class Arms:
    """The totals of both versions over the same assignments in time."""

    stable: Totals = field(default_factory=Totals)
    canary: Totals = field(default_factory=Totals)

    def of(self, is_canary: bool) -> Totals:
        """The totals of one arm."""
        return self.canary if is_canary else self.stable

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of either arm."""
        return self.stable == Totals() and self.canary == Totals()

    def merge(self, other: Arms) -> None:
        """Add the totals of *other*."""
        self.stable.merge(other.stable)
        self.canary.merge(other.canary)

    def copy(self) -> Arms:
        """An independent copy."""
        return Arms(self.stable.copy(), self.canary.copy())


@dataclass(slots=True)
class BinaryCounts:
    """How many 0/1 outcomes each arm had, and how many of them were the bad one."""

    canary_total: int = 0
    canary_bad: int = 0
    stable_total: int = 0
    stable_bad: int = 0

    def add(self, is_canary: bool, total: int, bad: int) -> None:
        """Add outcomes of one arm."""
        if is_canary:
            self.canary_total += total
            self.canary_bad += bad
        else:
            self.stable_total += total
            self.stable_bad += bad

    def plus(self, other: BinaryCounts, sign: int = 1) -> BinaryCounts:
        """Return the sum, or with ``sign=-1`` the difference."""
        return BinaryCounts(
            self.canary_total + sign * other.canary_total,
            self.canary_bad + sign * other.canary_bad,
            self.stable_total + sign * other.stable_total,
            self.stable_bad + sign * other.stable_bad,
        )

    @classmethod
    def of_arms(cls, arms: Arms) -> BinaryCounts:
        """Failures among the answers of both arms."""
        return cls(arms.canary.total, arms.canary.failed, arms.stable.total, arms.stable.failed)


CountsBySlice = dict[SliceKey, BinaryCounts]


class FirstRequest(Protocol):
    """What a request tells of its unit's first outcome."""

    @property
    def unit(self) -> int | None: ...
    @property
    def wall_started_at(self) -> float: ...
    @property
    def stage_idx(self) -> int: ...
    @property
    def traffic_share(self) -> float: ...
    @property
    def is_canary(self) -> bool: ...
    @property
    def outcome(self) -> Outcome | None: ...


@dataclass(slots=True)
class RunTotals:
    """Everything that the analyses of one run need.

    Attributes:
        run: The run, from 1.
        watermark: Wall seconds before which no assignment of this worker is open any more.
        keyed: The settled slices of requests with a sticky key, by stage and share.
        unkeyed: What was recorded without a key, by stage and share.
        scored: 0/1 scores by name whose horizon has passed.
        failing: Which units failed, where and at what share: ``failures``, and 0/1 scores by name.
        first: Each unit's first outcome, also later than the watermark.
    """

    run: int
    watermark: float = 0.0
    keyed: dict[SliceKey, Arms] = field(default_factory=dict)
    unkeyed: dict[SliceKey, Arms] = field(default_factory=dict)
    scored: dict[str, CountsBySlice] = field(default_factory=dict)
    failing: dict[str, UnitTable[Shares]] = field(default_factory=dict)
    first: UnitTable[FirstOutcome] = field(default_factory=first_outcomes)

    def add_failing(self, name: str, share: float, units: Iterable[tuple[int, bool]]) -> None:
        """Note (unit, on the canary) pairs that failed at *share*."""
        table = self.failing.setdefault(name, failing_units())
        for unit, is_canary in units:
            table.put(unit, (0.0, share) if is_canary else (share, None))

    def add_first_outcomes(self, requests: Iterable[FirstRequest]) -> None:
        """Note requests of which some may be their unit's first; one without an outcome has timed out."""
        first = self.first
        limit = first.limit
        for request in requests:
            unit = request.unit
            if unit is None or unit >= limit:
                continue
            known = first.get(unit)
            assigned_at = request.wall_started_at
            if known is None or assigned_at < known[0]:
                failed = request.outcome is None or request.outcome is Outcome.FAILED
                first.put(unit, (assigned_at, request.stage_idx, request.traffic_share, request.is_canary, failed))
                limit = first.limit

    def merge(self, other: RunTotals) -> None:
        """Add another worker's; the watermark is the earlier one."""
        self.watermark = min(self.watermark, other.watermark)
        _merge_arms(self.keyed, other.keyed)
        _merge_arms(self.unkeyed, other.unkeyed)
        for name, slices in other.scored.items():
            mine = self.scored.setdefault(name, {})
            for key, counts in slices.items():
                mine[key] = mine.get(key, BinaryCounts()).plus(counts)
        for name, table in other.failing.items():
            self.failing.setdefault(name, failing_units()).merge(table)
        self.first.merge(other.first)

    def copy(self) -> RunTotals:
        """An independent copy."""
        twin = RunTotals(self.run, self.watermark)
        twin.keyed = {key: arms.copy() for key, arms in self.keyed.items()}
        twin.unkeyed = {key: arms.copy() for key, arms in self.unkeyed.items()}
        twin.scored = {
            name: {key: counts.plus(BinaryCounts()) for key, counts in slices.items()}
            for name, slices in self.scored.items()
        }
        twin.failing = {name: table.copy() for name, table in self.failing.items()}
        twin.first = self.first.copy()
        return twin

    def stage_totals(self, stage_idx: int, *, is_canary: bool) -> Totals:
        """What was assigned in one stage to one arm and counts, with and without a key."""
        total = Totals()
        for slices in (self.keyed, self.unkeyed):
            for key, arms in slices.items():
                if key.stage_idx == stage_idx:
                    total.merge(arms.of(is_canary))
        return total

    def outcomes(self) -> CountsBySlice:
        """Failures of requests with a key, by stage and share."""
        return {key: BinaryCounts.of_arms(arms) for key, arms in self.keyed.items()}

    def failing_table(self, name: str) -> UnitTable[Shares]:
        """The units that had a bad outcome of *name*; empty when none had."""
        return self.failing.get(name) or failing_units()

    def unkeyed_outcomes(self) -> CountsBySlice:
        """Failures of requests without a key, by stage and share."""
        return {key: BinaryCounts.of_arms(arms) for key, arms in self.unkeyed.items()}


def _merge_arms(mine: dict[SliceKey, Arms], others: Mapping[SliceKey, Arms]) -> None:
    for key, arms in others.items():
        mine.setdefault(key, Arms()).merge(arms)


def merged(parts: Iterable[RunTotals], run: int) -> RunTotals:
    """Return the totals of all workers of *run*; the watermark is the earliest, plus infinity without workers."""
    total = RunTotals(run, float("inf"))
    for part in parts:
        if part.run == run:
            total.merge(part)
    return total



"""What one worker has seen of one run: mergeable, and only what may be judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Protocol, TypeVar

from ..errors import require_count, require_non_negative
from .arms import Arms, BinaryCounts, CountsBySlice, SliceKey, merge_arms, merge_counts
from .clusters import ArmClusters
from .failing_units import FailingUnits
from .outcome import Outcome
from .reading import list_of, object_of, part_of, row_of
from .unit_json import failing_from_json, failing_to_json, first_from_json, first_to_json
from .units import FirstOutcome, UnitTable, first_outcomes

S = TypeVar("S")
R = TypeVar("R", bound="FirstRequest")

__all__ = ["Arms", "BinaryCounts", "ClustersBySlice", "CountsBySlice", "FirstRequest", "RunTotals", "SliceKey"]

ClustersBySlice = dict[SliceKey, ArmClusters]

MAX_SEEN = 512
"""The most units that are sampled to estimate how many have a score: within 4 % or so."""

FORMAT = 2
"""The format of :meth:`RunTotals.to_json`: another one is refused, since workers of two releases share a store."""


class FirstRequest(Protocol):
    """What a request tells of its unit's first outcome."""

    @property
    def started_at(self) -> float: ...
    @property
    def stage_idx(self) -> int: ...
    @property
    def traffic_share(self) -> float: ...
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
        unkeyed_counts: Of what was recorded without a key, the answers above a limit, by metric.
        clusters: Answers and their values by metric: ``failures``, scores whose horizon has passed, amounts above a
            limit.
        failing: Which units met a bad answer, where and at what share: ``failures``, 0/1 scores, and, of amounts above
            a limit, the units whose first answer was.
        seen: Which units have a score of a name, a small sample.
        first: Each unit's first outcome, also later than the watermark.
    """

    run: int
    watermark: float = 0.0
    keyed: dict[SliceKey, Arms] = field(default_factory=dict[SliceKey, Arms])
    unkeyed: dict[SliceKey, Arms] = field(default_factory=dict[SliceKey, Arms])
    unkeyed_counts: dict[str, CountsBySlice] = field(default_factory=dict[str, CountsBySlice])
    clusters: dict[str, ClustersBySlice] = field(default_factory=dict[str, ClustersBySlice])
    failing: dict[str, FailingUnits] = field(default_factory=dict[str, FailingUnits])
    seen: dict[str, FailingUnits] = field(default_factory=dict[str, FailingUnits])
    first: UnitTable[FirstOutcome] = field(default_factory=first_outcomes)

    def add_failing(self, name: str, share: float, units: Iterable[tuple[int, bool]]) -> None:
        """Note (unit, on the canary) pairs that failed at *share*."""
        table = self.failing.setdefault(name, FailingUnits())
        for unit, is_canary in units:
            table.put(unit, (0.0, share) if is_canary else (share, None))

    def merge_failing(self, name: str, units: FailingUnits) -> int:
        """Add units that met a bad answer; return the limit at and above which the sample has no room for any."""
        table = self.failing.setdefault(name, FailingUnits())
        table.merge(units)
        return table.limit

    def merge_seen(self, name: str, units: FailingUnits) -> int:
        """Add units that have a score; return the limit at and above which the sample has no room for any."""
        table = self.seen.setdefault(name, FailingUnits(MAX_SEEN))
        table.merge(units)
        return table.limit

    def clusters_of(self, metric: str, key: SliceKey) -> ArmClusters:
        """The sums of a metric in a slice, to add to."""
        return self.clusters.setdefault(metric, {}).setdefault(key, ArmClusters())

    def add_first_outcomes(
        self, requests: Sequence[R], units: Sequence[int], is_canary: bool, wall_offset: float
    ) -> list[R]:
        """Note requests of which some may be their unit's first; one without an outcome has timed out.

        Args:
            requests: Those with a key, of one arm.
            units: Their units.
            is_canary: Which arm.
            wall_offset: Wall time minus the monotonic time of their beginnings, seconds.

        Returns:
            Those of them that are the first of a unit that the sample had room for.
        """
        # These lines run for every request: nothing else of what is known already.
        first, news = self.first, list[R]()
        limit, known_of = first.limit, first.live.get
        if first.level:
            sampled = [unit < limit for unit in units]
            units, requests = list(compress(units, sampled)), list(compress(requests, sampled))
        for unit, request, known in zip(units, requests, map(known_of, units), strict=True):
            if known is None:
                if unit >= limit:
                    continue
                known = known_of(unit)  # another table than the map's, if the sample was cut meanwhile
            assigned_at = request.started_at + wall_offset
            if known is None:
                news.append(request)
            elif assigned_at >= known[0] and (known[5] or not is_canary):
                continue
            failed = request.outcome is None or request.outcome is Outcome.FAILED
            first.put(unit, (assigned_at, request.stage_idx, request.traffic_share, is_canary, failed, is_canary))
            limit, known_of = first.limit, first.live.get
        return news

    def merge(self, other: RunTotals) -> None:
        """Add another worker's; the watermark is the earlier one."""
        self.watermark = min(self.watermark, other.watermark)
        merge_arms(self.keyed, other.keyed)
        merge_arms(self.unkeyed, other.unkeyed)
        for name, counts in other.unkeyed_counts.items():
            merge_counts(self.unkeyed_counts.setdefault(name, {}), counts)
        for name, slices in other.clusters.items():
            for key, arms in slices.items():
                self.clusters_of(name, key).merge(arms)
        for name, table in other.failing.items():
            self.merge_failing(name, table)
        for name, table in other.seen.items():
            self.merge_seen(name, table)
        self.first.merge(other.first)

    def copy(self) -> RunTotals:
        """An independent copy."""
        twin = RunTotals(self.run, self.watermark)
        twin.keyed = {key: arms.copy() for key, arms in self.keyed.items()}
        twin.unkeyed = {key: arms.copy() for key, arms in self.unkeyed.items()}
        twin.unkeyed_counts = {
            name: {key: counts.plus(BinaryCounts()) for key, counts in slices.items()}
            for name, slices in self.unkeyed_counts.items()
        }
        twin.clusters = {
            name: {key: arms.copy() for key, arms in slices.items()} for name, slices in self.clusters.items()
        }
        twin.failing = {name: table.copy() for name, table in self.failing.items()}
        twin.seen = {name: table.copy() for name, table in self.seen.items()}
        twin.first = self.first.copy()
        return twin

    def to_json(self) -> dict[str, Any]:
        """Return the contents as an object that :func:`json.dumps` accepts; a watermark of plus infinity is null."""
        return {
            "format": FORMAT,
            "run": self.run,
            "watermark": None if self.watermark == math.inf else self.watermark,
            "keyed": [[*key, arms.to_json()] for key, arms in self.keyed.items()],
            "unkeyed": [[*key, arms.to_json()] for key, arms in self.unkeyed.items()],
            "unkeyed_counts": {
                name: [[*key, counts.to_json()] for key, counts in slices.items()]
                for name, slices in self.unkeyed_counts.items()
            },
            "clusters": {
                name: [[*key, arms.to_json()] for key, arms in slices.items()] for name, slices in self.clusters.items()
            },
            "failing": {name: failing_to_json(table) for name, table in self.failing.items()},
            "seen": {name: failing_to_json(table) for name, table in self.seen.items()},
            "first": first_to_json(self.first),
        }

    @classmethod
    def from_json(cls, data: object) -> RunTotals:
        """Return the totals that :meth:`to_json` described.

        Raises:
            ValueError: The format is another one, or a part is missing or not what :meth:`to_json` writes.
        """
        if part_of(data, "format") != FORMAT:
            raise ValueError(f"format of run totals must be {FORMAT}, got {part_of(data, 'format')!r}")
        watermark = part_of(data, "watermark")
        totals = cls(
            run=require_count("run", part_of(data, "run")),
            watermark=math.inf if watermark is None else require_non_negative("watermark", watermark),
            keyed=_slices("keyed", part_of(data, "keyed"), Arms.from_json),
            unkeyed=_slices("unkeyed", part_of(data, "unkeyed"), Arms.from_json),
            first=first_from_json(part_of(data, "first")),
        )
        for name, slices in object_of("unkeyed_counts", part_of(data, "unkeyed_counts")).items():
            totals.unkeyed_counts[name] = _slices(name, slices, BinaryCounts.from_json)
        for name, slices in object_of("clusters", part_of(data, "clusters")).items():
            totals.clusters[name] = _slices(name, slices, ArmClusters.from_json)
        for name, table in object_of("failing", part_of(data, "failing")).items():
            totals.failing[name] = failing_from_json(table)
        for name, table in object_of("seen", part_of(data, "seen")).items():
            totals.seen[name] = failing_from_json(table, MAX_SEEN)
        return totals


def _slices(what: str, data: object, read: Callable[[object], S]) -> dict[SliceKey, S]:
    rows = [row_of("a slice", ("stage_idx", "share", "contents"), row) for row in list_of(what, data)]
    slices = {SliceKey.checked(stage_idx, share): read(contents) for stage_idx, share, contents in rows}
    if len(slices) < len(rows):
        raise ValueError(f"{what} must have each slice once, got {[row[:2] for row in rows]}")
    return slices

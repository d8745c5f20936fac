"""What one worker has seen of one run: mergeable, and only what may be judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ..errors import require_count, require_non_negative
from .arms import Arms, BinaryCounts, CountsBySlice, SliceKey, merge_arms, merge_counts
from .failing_units import FailingUnits
from .outcome import Outcome
from .reading import list_of, object_of, part_of, row_of
from .unit_json import failing_from_json, failing_to_json, first_from_json, first_to_json
from .units import FirstOutcome, UnitTable, first_outcomes, units_of

S = TypeVar("S")

__all__ = ["Arms", "BinaryCounts", "CountsBySlice", "FirstRequest", "RunTotals", "SliceKey"]

FORMAT = 1
"""The format of :meth:`RunTotals.to_json`: another one is refused, since workers of two releases share a store."""


class FirstRequest(Protocol):
    """What a request tells of its unit's first outcome."""

    @property
    def digest(self) -> bytes | None: ...
    @property
    def started_at(self) -> float: ...
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
    keyed: dict[SliceKey, Arms] = field(default_factory=dict[SliceKey, Arms])
    unkeyed: dict[SliceKey, Arms] = field(default_factory=dict[SliceKey, Arms])
    scored: dict[str, CountsBySlice] = field(default_factory=dict[str, CountsBySlice])
    failing: dict[str, FailingUnits] = field(default_factory=dict[str, FailingUnits])
    first: UnitTable[FirstOutcome] = field(default_factory=first_outcomes)

    def add_failing(self, name: str, share: float, units: Iterable[tuple[int, bool]]) -> None:
        """Note (unit, on the canary) pairs that failed at *share*."""
        table = self.failing.setdefault(name, FailingUnits())
        for unit, is_canary in units:
            table.put(unit, (0.0, share) if is_canary else (share, None))

    def add_first_outcomes(self, requests: Sequence[FirstRequest], wall_offset: float) -> None:
        """Note requests of which some may be their unit's first; one without an outcome has timed out.

        Args:
            requests: Those without a key tell nothing.
            wall_offset: Wall time minus the monotonic time of their beginnings, seconds.
        """
        # These lines run for every request: units from digests in bulk, and nothing else of what is known already.
        digests = [digest for request in requests if (digest := request.digest) is not None]
        if len(digests) < len(requests):
            requests = [request for request in requests if request.digest is not None]
        first = self.first
        limit, known_of = first.limit, first.live.get
        for unit, request in zip(units_of(digests), requests, strict=True):
            if unit >= limit:
                continue
            known = known_of(unit)
            assigned_at = request.started_at + wall_offset
            if known is None or assigned_at < known[0]:
                failed = request.outcome is None or request.outcome is Outcome.FAILED
                first.put(unit, (assigned_at, request.stage_idx, request.traffic_share, request.is_canary, failed))
                limit, known_of = first.limit, first.live.get

    def merge(self, other: RunTotals) -> None:
        """Add another worker's; the watermark is the earlier one."""
        self.watermark = min(self.watermark, other.watermark)
        merge_arms(self.keyed, other.keyed)
        merge_arms(self.unkeyed, other.unkeyed)
        for name, slices in other.scored.items():
            merge_counts(self.scored.setdefault(name, {}), slices)
        for name, table in other.failing.items():
            self.failing.setdefault(name, FailingUnits()).merge(table)
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

    def to_json(self) -> dict[str, Any]:
        """Return the contents as an object that :func:`json.dumps` accepts; a watermark of plus infinity is null."""
        return {
            "format": FORMAT,
            "run": self.run,
            "watermark": None if self.watermark == math.inf else self.watermark,
            "keyed": [[*key, arms.to_json()] for key, arms in self.keyed.items()],
            "unkeyed": [[*key, arms.to_json()] for key, arms in self.unkeyed.items()],
            "scored": {
                name: [[*key, counts.to_json()] for key, counts in slices.items()]
                for name, slices in self.scored.items()
            },
            "failing": {name: failing_to_json(table) for name, table in self.failing.items()},
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
        for name, slices in object_of("scored", part_of(data, "scored")).items():
            totals.scored[name] = _slices(name, slices, BinaryCounts.from_json)
        for name, table in object_of("failing", part_of(data, "failing")).items():
            totals.failing[name] = failing_from_json(table)
        return totals


def _slices(what: str, data: object, read: Callable[[object], S]) -> dict[SliceKey, S]:
    rows = [row_of("a slice", ("stage_idx", "share", "contents"), row) for row in list_of(what, data)]
    slices = {SliceKey.checked(stage_idx, share): read(contents) for stage_idx, share, contents in rows}
    if len(slices) < len(rows):
        raise ValueError(f"{what} must have each slice once, got {[row[:2] for row in rows]}")
    return slices

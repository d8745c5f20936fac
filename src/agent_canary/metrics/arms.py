"""Two versions over the same assignments in time: their totals, and their counts of 0/1 outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import require_count, require_fraction
from .reading import part_of, row_of
from .totals import Totals


class SliceKey(NamedTuple):
    """What the assignments of a slice were decided by: the stage, and the canary's share of keys."""

    stage_idx: int
    share: float

    @classmethod
    def checked(cls, stage_idx: object, share: object) -> SliceKey:
        """Return the key of two values read from JSON.

        Raises:
            ValueError: The stage is no integer of at least 0, or the share is outside of [0, 1].
        """
        return cls(require_count("stage_idx", stage_idx), require_fraction("share", share))


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

    def to_json(self) -> dict[str, Any]:
        """Return the contents as an object that :func:`json.dumps` accepts."""
        return {"stable": self.stable.to_json(), "canary": self.canary.to_json()}

    @classmethod
    def from_json(cls, data: object) -> Arms:
        """Return the arms that :meth:`to_json` described.

        Raises:
            ValueError: A part is missing or not what :meth:`to_json` writes.
        """
        return cls(Totals.from_json(part_of(data, "stable")), Totals.from_json(part_of(data, "canary")))


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

    def merge(self, other: BinaryCounts) -> None:
        """Add the counts of *other*."""
        self.canary_total += other.canary_total
        self.canary_bad += other.canary_bad
        self.stable_total += other.stable_total
        self.stable_bad += other.stable_bad

    def plus(self, other: BinaryCounts, sign: int = 1) -> BinaryCounts:
        """Return the sum, or with ``sign=-1`` the difference."""
        return BinaryCounts(
            self.canary_total + sign * other.canary_total,
            self.canary_bad + sign * other.canary_bad,
            self.stable_total + sign * other.stable_total,
            self.stable_bad + sign * other.stable_bad,
        )

    @property
    def total(self) -> int:
        """Outcomes of both arms."""
        return self.canary_total + self.stable_total

    @property
    def bad(self) -> int:
        """Bad outcomes of both arms."""
        return self.canary_bad + self.stable_bad

    def among(self, answers: BinaryCounts) -> BinaryCounts:
        """Return the same bad outcomes, out of all *answers*."""
        return BinaryCounts(
            max(answers.canary_total, self.canary_bad),
            self.canary_bad,
            max(answers.stable_total, self.stable_bad),
            self.stable_bad,
        )

    @classmethod
    def of_arms(cls, arms: Arms) -> BinaryCounts:
        """Failures among the answers of both arms."""
        return cls(arms.canary.total, arms.canary.failed, arms.stable.total, arms.stable.failed)

    def to_json(self) -> list[int]:
        """Return the four counts: the canary's total and bad ones, then stable's."""
        return [self.canary_total, self.canary_bad, self.stable_total, self.stable_bad]

    @classmethod
    def from_json(cls, data: object) -> BinaryCounts:
        """Return the counts that :meth:`to_json` described.

        Raises:
            ValueError: Not four counts, or more bad outcomes than outcomes.
        """
        counts = cls(*map(require_count, _COUNTS, row_of("counts", _COUNTS, data)))
        if counts.canary_bad > counts.canary_total or counts.stable_bad > counts.stable_total:
            raise ValueError(f"counts must not hold more bad outcomes than outcomes, got {counts}")
        return counts


CountsBySlice = dict[SliceKey, BinaryCounts]

_COUNTS = ("canary_total", "canary_bad", "stable_total", "stable_bad")


def merge_arms(mine: dict[SliceKey, Arms], others: Mapping[SliceKey, Arms]) -> None:
    """Add the arms of the same slices."""
    for key, arms in others.items():
        mine.setdefault(key, Arms()).merge(arms)


def merge_counts(mine: CountsBySlice, others: Mapping[SliceKey, BinaryCounts]) -> None:
    """Add the counts of the same slices."""
    for key, counts in others.items():
        mine.setdefault(key, BinaryCounts()).merge(counts)

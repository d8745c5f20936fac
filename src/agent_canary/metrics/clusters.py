"""Sums over 64 clusters of users: what the variance of a mean is made of when a user's answers are alike.

A user's cluster is six bits of its hash that routing does not use, so the answers of different clusters are independent.
The sums merge by addition, whatever the number of users.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import add
from typing import Any

from .columns import seconds_from_text, seconds_to_text
from .reading import list_of, part_of

CLUSTERS = 64

_COUNTS, _VALUES, _COVARIATES = ("n", "y"), ("n", "y", "yy"), ("n", "y", "yy", "m", "x")
_LAYOUTS = {len(names): names for names in (_COUNTS, _VALUES, _COVARIATES)}


def _zeros() -> array[float]:
    return array("d", bytes(8 * CLUSTERS))


class ClusterSums:
    """Sums of one arm's answers by cluster; what no answer needed is not kept.

    Attributes:
        columns: One for each sum: ``n`` answers and ``y``, the sum of their values (of 0/1 outcomes the bad ones);
            where values are real numbers ``yy``, the sum of their squares; where covariates are known ``m``, of how many
            answers, and ``x``, their sum.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Iterable[array[float]] = ()) -> None:
        self.columns: list[array[float]] = list(columns)

    def __eq__(self, other: object) -> bool:
        return self.columns == other.columns if isinstance(other, ClusterSums) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def n(self) -> Sequence[float]:
        """Answers by cluster."""
        return self.columns[0] if self.columns else _zeros()

    @property
    def y(self) -> Sequence[float]:
        """Sums of their values."""
        return self.columns[1] if self.columns else _zeros()

    @property
    def yy(self) -> Sequence[float] | None:
        """Sums of their squares; None for 0/1 outcomes."""
        return self.columns[2] if len(self.columns) > 2 else None

    @property
    def m(self) -> Sequence[float] | None:
        """Answers of which a covariate is known; None without any."""
        return self.columns[3] if len(self.columns) > 3 else None

    @property
    def x(self) -> Sequence[float] | None:
        """Sums of the covariates; None without any."""
        return self.columns[4] if len(self.columns) > 3 else None

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return int(sum(self.columns[0])) if self.columns else 0

    @property
    def total(self) -> float:
        """The sum of their values: of 0/1 outcomes, how many were bad."""
        return sum(self.columns[1]) if self.columns else 0.0

    @property
    def squares(self) -> float:
        """The sum of their squares."""
        return sum(self.yy or self.y)

    def count(self, answers: Counter[int], bad: Counter[int]) -> None:
        """Add 0/1 outcomes: how many answers, and how many bad ones, by cluster."""
        self._widen(len(_COUNTS))
        for column, counts in zip(self.columns, (answers, bad), strict=False):
            for cluster, number in counts.items():
                column[cluster] += number

    def add_value(self, cluster: int, value: float, covariate: float | None = None) -> None:
        """Add one answer with a real value, and with what the covariate of its user is."""
        row = (1.0, value, value * value)
        self.add_row(cluster, row if covariate is None else (*row, 1.0, covariate))

    def add_row(self, cluster: int, row: Sequence[float]) -> None:
        """Add one number to each of the first columns."""
        self._widen(len(row))
        for column, number in zip(self.columns, row, strict=False):
            column[cluster] += number

    def merge(self, other: ClusterSums) -> None:
        """Add the sums of *other*."""
        self._widen(len(other.columns))
        for index, column in enumerate(other.columns):
            self.columns[index] = array("d", map(add, self.columns[index], column))

    def copy(self) -> ClusterSums:
        """An independent copy."""
        return ClusterSums(column[:] for column in self.columns)

    def to_json(self) -> list[str]:
        """Return each column as text, to the last bit."""
        return [seconds_to_text(column) for column in self.columns]

    @classmethod
    def from_json(cls, data: object) -> ClusterSums:
        """Return the sums that :meth:`to_json` described.

        Raises:
            ValueError: Not what it writes.
        """
        columns = [array("d", seconds_from_text("a column of clusters", text)) for text in list_of("clusters", data)]
        if len(columns) not in (0, *_LAYOUTS) or any(len(column) != CLUSTERS for column in columns):
            raise ValueError(f"clusters must have {[0, *_LAYOUTS]} columns of {CLUSTERS} numbers, got {len(columns)}")
        if not all(isfinite(number) for column in columns for number in column):
            raise ValueError("clusters must hold finite numbers, got one that is not")
        return cls(columns)

    def _widen(self, width: int) -> None:
        if width > len(self.columns):
            # The squares of 0/1 outcomes are the outcomes.
            if len(self.columns) == len(_COUNTS):
                self.columns.append(self.columns[1][:])
            self.columns += [_zeros() for _ in range(width - len(self.columns))]


@dataclass(slots=True)
class ArmClusters:
    """The sums of both versions over the same assignments in time."""

    stable: ClusterSums = field(default_factory=ClusterSums)
    canary: ClusterSums = field(default_factory=ClusterSums)

    def of(self, is_canary: bool) -> ClusterSums:
        """The sums of one arm."""
        return self.canary if is_canary else self.stable

    def merge(self, other: ArmClusters) -> None:
        """Add the sums of *other*."""
        self.stable.merge(other.stable)
        self.canary.merge(other.canary)

    def copy(self) -> ArmClusters:
        """An independent copy."""
        return ArmClusters(self.stable.copy(), self.canary.copy())

    def to_json(self) -> dict[str, Any]:
        """Return the contents as an object that :func:`json.dumps` accepts."""
        return {"stable": self.stable.to_json(), "canary": self.canary.to_json()}

    @classmethod
    def from_json(cls, data: object) -> ArmClusters:
        """Return the arms that :meth:`to_json` described.

        Raises:
            ValueError: A part is missing or not what :meth:`to_json` writes.
        """
        return cls(ClusterSums.from_json(part_of(data, "stable")), ClusterSums.from_json(part_of(data, "canary")))


def united(parts: Sequence[ClusterSums]) -> ClusterSums:
    """Return the sums of all parts, by column over all of them at once: quicker than one by one."""
    if len(parts) == 1:
        return parts[0]
    width = max((len(part.columns) for part in parts), default=0)
    if any(len(part.columns) != width for part in parts):
        total = ClusterSums()
        for part in parts:
            total.merge(part)
        return total
    return ClusterSums(
        array("d", map(sum, zip(*(part.columns[index] for part in parts), strict=True))) for index in range(width)
    )

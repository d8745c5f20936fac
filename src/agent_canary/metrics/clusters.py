"""Sums over 64 clusters of users: what the variance of a mean is made of when a user's answers are alike.

A user's cluster is six bits of its hash that routing does not use, so the answers of different clusters are
independent. The sums merge by addition, whatever the number of users.

The 64 counts of a sum stand side by side in one integer of 64 x 64 bits: two such sums are added in a tenth of a
microsecond, and the sums of a hundred workers are united at every analysis.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import add, attrgetter, gt
from sys import byteorder
from typing import Any

from .columns import counts_from_text, counts_to_text, seconds_from_text, seconds_to_text
from .reading import list_of, part_of

CLUSTERS = 64

_BYTES = 8 * CLUSTERS
_BITS_PER_CLUSTER = 64
_counts_of, _values_of = attrgetter("_answers", "_bad", "_covered"), attrgetter("_values")


def _packed(counts: Mapping[int, int]) -> int:
    column = array("Q", bytes(_BYTES))
    for cluster, count in counts.items():
        column[cluster] = count
    return _joined(column)


def _joined(column: array[int]) -> int:
    if byteorder == "big":
        column.byteswap()
    return int.from_bytes(column, "little")


def counts_of(clusters: Iterable[int]) -> int:
    """How often each cluster occurs, side by side in one integer."""
    counts = Counter(clusters)
    return _packed(counts) if counts else 0


def _unpacked(counts: int) -> array[int]:
    column = array("Q", counts.to_bytes(_BYTES, "little"))
    if byteorder == "big":
        column.byteswap()
    return column


def _zeros() -> array[float]:
    return array("d", bytes(_BYTES))


class ClusterSums:
    """Sums of one arm's answers by cluster; what no answer needed is not kept.

    Outcomes are 0/1, counted as bad ones, or real values. An answer without a covariate is in neither ``m`` nor ``x``.
    """

    __slots__ = ("_answers", "_bad", "_covered", "_values")

    def __init__(self) -> None:
        self._answers = 0
        self._bad = 0
        self._covered = 0
        self._values: list[array[float]] = []

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClusterSums):
            return NotImplemented
        mine = (self._answers, self._bad, self._covered, self._values)
        return mine == (other._answers, other._bad, other._covered, other._values)

    __hash__ = None  # type: ignore[assignment]

    @property
    def n(self) -> Sequence[float]:
        """Answers by cluster."""
        return _unpacked(self._answers)

    @property
    def y(self) -> Sequence[float]:
        """Sums of their values; of 0/1 outcomes, how many were bad."""
        bad = _unpacked(self._bad)
        return list(map(add, bad, self._values[0])) if self._values else bad

    @property
    def yy(self) -> Sequence[float] | None:
        """Sums of the squares of their values; None for 0/1 outcomes, whose squares they are themselves."""
        return list(map(add, _unpacked(self._bad), self._values[1])) if self._values else None

    @property
    def m(self) -> Sequence[float] | None:
        """Of how many answers the covariate is known; None if of none."""
        return _unpacked(self._covered) if self._covered else None

    @property
    def x(self) -> Sequence[float] | None:
        """Sums of the covariates; None without any."""
        return self._values[2] if self._covered else None

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return sum(_unpacked(self._answers)) if self._answers else 0

    @property
    def total(self) -> float:
        """The sum of their values; of 0/1 outcomes, how many were bad."""
        bad = sum(_unpacked(self._bad)) if self._bad else 0
        return bad + sum(self._values[0]) if self._values else bad

    @property
    def squares(self) -> float:
        """The sum of their squares."""
        return sum(self.yy or self.y)

    def count(self, answers: Mapping[int, int], bad: Mapping[int, int]) -> None:
        """Add 0/1 outcomes: how many answers, and how many bad ones, by cluster."""
        self.add_counts(_packed(answers), _packed(bad) if bad else 0)

    def add_counts(self, answers: int, bad: int) -> None:
        """Add 0/1 outcomes by the :func:`counts_of` their clusters."""
        self._answers += answers
        self._bad += bad

    def add_value(self, cluster: int, value: float, covariate: float | None = None) -> None:
        """Add one answer with a real value, and with what the covariate of its user is."""
        one = 1 << _BITS_PER_CLUSTER * cluster
        self._answers += one
        self._widen(2 if covariate is None else 3)
        self._values[0][cluster] += value
        self._values[1][cluster] += value * value
        if covariate is not None:
            self._covered += one
            self._values[2][cluster] += covariate

    def merge(self, other: ClusterSums) -> None:
        """Add the sums of *other*."""
        self._answers += other._answers
        self._bad += other._bad
        self._covered += other._covered
        self._widen(len(other._values))
        for index, column in enumerate(other._values):
            self._values[index] = array("d", map(add, self._values[index], column))

    @classmethod
    def united(cls, parts: Sequence[ClusterSums]) -> ClusterSums:
        """Return the sums of all parts."""
        total = cls()
        total._answers, total._bad, total._covered = map(sum, zip(*map(_counts_of, parts), strict=True))
        values: list[list[array[float]]] = list(map(_values_of, parts))
        for index in range(max(map(len, values))):
            columns = [each[index] for each in values if len(each) > index]
            total._values.append(array("d", map(sum, zip(*columns, strict=True))))
        return total

    def copy(self) -> ClusterSums:
        """An independent copy."""
        twin = ClusterSums()
        twin._answers, twin._bad, twin._covered = self._answers, self._bad, self._covered
        twin._values = [column[:] for column in self._values]
        return twin

    def among(self, answers: ClusterSums) -> ClusterSums:
        """Return the same bad outcomes out of all *answers*."""
        bad = _unpacked(self._bad)
        twin = ClusterSums()
        twin._answers = _joined(array("Q", map(max, _unpacked(answers._answers), bad)))
        twin._bad = self._bad
        return twin

    def to_json(self) -> list[str]:
        """Return ``[answers, bad, covered, *values]``, each as text, to the last bit."""
        counts = [counts_to_text(_unpacked(count)) for count in (self._answers, self._bad, self._covered)]
        return counts + [seconds_to_text(column) for column in self._values]

    @classmethod
    def from_json(cls, data: object) -> ClusterSums:
        """Return the sums that :meth:`to_json` described.

        Raises:
            ValueError: Not what it writes.
        """
        texts = list_of("clusters", data)
        counts = [counts_from_text("counts by cluster", text, CLUSTERS) for text in texts[:3]]
        values = [array("d", seconds_from_text("sums by cluster", text)) for text in texts[3:]]
        if len(texts) not in (3, 5, 6) or any(len(column) != CLUSTERS for column in values):
            raise ValueError(f"clusters must have 3, 5 or 6 columns of {CLUSTERS} numbers, got {len(texts)}")
        if any(map(gt, counts[1], counts[0])) or any(map(gt, counts[2], counts[0])):
            raise ValueError("clusters must not hold more bad or covered answers than answers")
        if len(texts) < 6 and any(counts[2]):
            raise ValueError("clusters with covariates must have their sums as the sixth column, got none")
        if not all(isfinite(number) for column in values for number in column):
            raise ValueError("clusters must hold finite numbers, got one that is not")
        twin = cls()
        twin._answers, twin._bad, twin._covered = map(_joined, counts)
        twin._values = values
        return twin

    def _widen(self, width: int) -> None:
        self._values += [_zeros() for _ in range(width - len(self._values))]


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

    def among(self, answers: ArmClusters) -> ArmClusters:
        """Return the same bad outcomes out of all *answers*."""
        return ArmClusters(self.stable.among(answers.stable), self.canary.among(answers.canary))

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

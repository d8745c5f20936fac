"""Which units failed, where, and at what traffic share: eight bytes for each."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

from .units import MAX_UNITS, Pause, Sample, limit_of, no_pause

_TABLE = 8
"""What looking at a group of a table takes, in the steps of a pause."""

Shares = tuple[float, float | None]
"""(lo, hi): the largest traffic share at which a unit was seen failing on stable (0 if never), and the smallest at
which it was seen failing on the canary (None if never)."""


def combine_shares(one: Shares, other: Shares) -> Shares:
    """The larger lo and the smaller hi."""
    his = [hi for hi in (one[1], other[1]) if hi is not None]
    return max(one[0], other[0]), min(his) if his else None


@dataclass(frozen=True, slots=True)
class FailingCounts:
    """How many of the sampled units failed where.

    Attributes:
        level: Of the sample.
        by_shares: Their number by (lo, hi), at least 1.
    """

    level: int = 0
    by_shares: Mapping[Shares, int] = field(default_factory=dict[Shares, int])

    @property
    def on_stable(self) -> int:
        """Estimated number of units that failed on stable."""
        return sum(units for (lo, _), units in self.by_shares.items() if lo) << self.level

    @property
    def on_canary(self) -> int:
        """Estimated number of units that failed on the canary."""
        return sum(units for (_, hi), units in self.by_shares.items() if hi is not None) << self.level


class FailingUnits(Sample):
    """A sample in which units of the same (lo, hi) stand together, ascending: the statistics only count them.

    Args:
        max_units: The most units kept, at least 1.
    """

    def __init__(self, max_units: int = MAX_UNITS) -> None:
        super().__init__(max_units)
        self._groups: dict[Shares, array[int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._groups.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FailingUnits):
            return NotImplemented
        return self.level == other.level and self._groups == other._groups

    __hash__ = None  # type: ignore[assignment]

    @property
    def groups(self) -> Mapping[Shares, array[int]]:
        """The units of each (lo, hi), ascending; no group is empty."""
        return self._groups

    @property
    def counts(self) -> FailingCounts:
        """How many units failed where."""
        return FailingCounts(self.level, {shares: len(units) for shares, units in self._groups.items()})

    def items(self) -> Iterable[tuple[int, Shares]]:
        """The sampled units and their (lo, hi)."""
        return chain.from_iterable(zip(units, repeat(shares)) for shares, units in self._groups.items())

    def get(self, unit: int) -> Shares | None:
        """The (lo, hi) of *unit*, or None when it is not known to have failed."""
        return next((shares for shares, units in self._groups.items() if _stands_in(units, unit)), None)

    def put(self, unit: int, shares: Shares) -> None:
        """Combine *shares* into what is known of *unit* (0 to 2**64 - 1), if the sample has room for its hash."""
        if unit >= self.limit or _stands_in(self._groups.get(shares, ()), unit):
            return
        known = self.get(unit)
        if known is None:
            self._add(unit, shares)
            if len(self) > self._max_units:
                self._raise_level_to(self.level + 1)
        elif (combined := combine_shares(known, shares)) != known:
            self._remove(unit, known)
            self._add(unit, combined)

    def merge(self, other: FailingUnits) -> None:
        """Take the union with *other*, which stays as it is."""
        if other.level > self.level:
            self._raise_level_to(other.level)
        for unit, shares in other.items():
            self.put(unit, shares)

    def restore(self, level: int, groups: Mapping[Shares, Iterable[int]]) -> None:
        """Take over the contents of another table, as they were kept elsewhere.

        Raises:
            ValueError: No table can hold these units at this level, or one stands there twice.
        """
        columns = {shares: array("Q", sorted(units)) for shares, units in groups.items()}
        found = list(chain.from_iterable(columns.values()))
        if len(set(found)) < len(found):
            raise ValueError(f"each unit must stand in a table once, got {len(found):,} for {len(set(found)):,} units")
        self._restore_level(level, len(found), max(found, default=0))
        self._groups = {shares: units for shares, units in columns.items() if units}

    def copy(self) -> FailingUnits:
        """An independent copy."""
        twin = FailingUnits(self._max_units)
        twin.level, twin.limit = self.level, self.limit
        twin._groups = {shares: units[:] for shares, units in self._groups.items()}
        return twin

    def _add(self, unit: int, shares: Shares) -> None:
        insort(self._groups.setdefault(shares, array("Q")), unit)

    def _remove(self, unit: int, shares: Shares) -> None:
        units = self._groups[shares]
        del units[bisect_left(units, unit)]
        if not units:
            del self._groups[shares]

    def _cut(self) -> None:
        for units in self._groups.values():
            del units[bisect_left(units, self.limit) :]
        self._groups = {shares: units for shares, units in self._groups.items() if units}


def _stands_in(units: Sequence[int], unit: int) -> bool:
    at = bisect_left(units, unit)
    return at < len(units) and units[at] == unit


def united_counts(tables: Sequence[FailingUnits], pause: Pause = no_pause, max_units: int = MAX_UNITS) -> FailingCounts:
    """Return the counts of the union of tables, which is not made as a table: a hundred workers' are seen at a time.

    Args:
        tables: None of them is changed.
        pause: Called between the steps.
        max_units: The most units that the tables keep.
    """
    floor = max((table.level for table in tables), default=0)
    expected = 0
    for table in tables:
        expected += len(table) >> (floor - table.level)
        pause(_TABLE)
    # If no unit stands in two tables, this is the level.
    level = floor + (max(0, expected - 1) // max_units).bit_length()
    groups = _collected(tables, level, pause)
    while (room := max_units - _size(groups)) < 0:
        level += 1
        groups = _collected(tables, level, pause)
    while level > floor and _has_room(tables, level - 1, room, pause):
        level -= 1
        groups = _collected(tables, level, pause)
        room = max_units - _size(groups)
    counts = {shares: len(units) for shares, units in groups.items() if units}
    while groups:  # To free thousands of numbers takes its time too.
        pause(len(groups.popitem()[1]) // 6)
    return FailingCounts(level, counts)


def _collected(tables: Sequence[FailingUnits], level: int, pause: Pause) -> dict[Shares, set[int]]:
    """Return the units below a level's limit, each in one group."""
    limit = limit_of(level)
    groups: defaultdict[Shares, set[int]] = defaultdict(set)
    for table in tables:
        for shares, units in table.groups.items():
            groups[shares].update(units[: bisect_left(units, limit)])
        pause(_TABLE * len(table.groups))
    return _disjoint(groups, pause)


def _has_room(tables: Sequence[FailingUnits], level: int, room: int, pause: Pause) -> bool:
    """Whether at most so many units are below a level's limit and not below the next one's."""
    low, high = limit_of(level + 1), limit_of(level)
    seen: set[int] = set()
    for table in tables:
        for units in table.groups.values():
            seen.update(units[bisect_left(units, low) : bisect_left(units, high)])
        if len(seen) > room:
            return False
        pause(_TABLE * len(table.groups))
    return True


def _disjoint(groups: Mapping[Shares, set[int]], pause: Pause) -> dict[Shares, set[int]]:
    """Combine the values of units that stand in several groups."""
    apart: dict[Shares, set[int]] = {}
    for shares, units in groups.items():
        moved: list[tuple[Shares, set[int]]] = [(shares, units)]
        for other, known in apart.items():
            if common := units & known:
                known -= common
                units -= common
                moved.append((combine_shares(shares, other), common))
            pause(min(len(units), len(known)) // 4)
        for combined, those in moved:
            if combined in apart:
                apart[combined] |= those
            else:
                apart[combined] = those
    return apart


def _size(groups: Mapping[Shares, set[int]]) -> int:
    return sum(map(len, groups.values()))

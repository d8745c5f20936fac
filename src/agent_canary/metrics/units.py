"""What is known of each unit, in bounded memory: a sample of units by their hash, mergeable by union."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_UNITS = 4096
UNIT_BITS = 64
_AT_ONCE = 512

Pause = Callable[[int], None]
"""Called between the parts of a long work, with about how many steps of 0.1 microseconds the last one had."""


def no_pause(_: int) -> None:
    """Go on at once."""


def limit_of(level: int) -> int:
    """The limit of a sample that was halved so often."""
    return 1 << (UNIT_BITS - level)


class Sample(ABC):
    """A value for each unit whose hash is below ``2**(64 - level)``.

    The level is the smallest that leaves at most *max_units*: a pure function of the units that were ever put in, so
    the order of arrival and the way units were spread over workers change nothing.

    Args:
        max_units: The most units kept, at least 1.

    Attributes:
        level: How often the sample was halved.
        limit: Units at or above it are not in the sample.
    """

    def __init__(self, max_units: int) -> None:
        self._max_units = max_units
        self.level = 0
        self.limit = limit_of(0)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _cut(self) -> None:
        """Drop the units that are not below the limit any more."""

    @property
    def estimated_count(self) -> int:
        """How many units were put in: the sample's size times 2**level."""
        return len(self) << self.level

    def _raise_level_to(self, level: int) -> None:
        while True:
            self.level, self.limit = level, limit_of(level)
            self._cut()
            if len(self) <= self._max_units:
                return
            level += 1

    def _restore_level(self, level: int, count: int, highest: int) -> None:
        """Take over the level of contents that were kept elsewhere.

        Raises:
            ValueError: No sample can hold so many units, of which this is the highest, at this level.
        """
        if not 0 <= level <= UNIT_BITS or count > self._max_units:
            raise ValueError(
                f"a table of units must have a level in [0, {UNIT_BITS}] and at most {self._max_units:,} units, "
                f"got level {level} and {count:,} units"
            )
        limit = limit_of(level)
        if highest >= limit:
            raise ValueError(f"units at level {level} must be below {limit}, got {highest}")
        self.level, self.limit = level, limit


class UnitTable(Sample, Generic[V]):
    """A sample that is quick to ask for a unit: it is asked at every request, and unites the samples of workers.

    Args:
        combine: Merges two values of one unit; must be commutative, associative and idempotent.
        max_units: The most units kept, at least 1.
    """

    def __init__(self, combine: Callable[[V, V], V], max_units: int = MAX_UNITS) -> None:
        super().__init__(max_units)
        self._combine = combine
        self._values: dict[int, V] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UnitTable):
            return NotImplemented
        return self.level == other.level and self._values == other._values  # pyright: ignore[reportUnknownMemberType]

    __hash__ = None  # type: ignore[assignment]

    def get(self, unit: int) -> V | None:
        """The value of *unit*, or None when nothing is known of it."""
        return self._values.get(unit)

    @property
    def live(self) -> Mapping[int, V]:
        """The sampled units and their values, until the next :meth:`put` or :meth:`merge`."""
        return self._values

    def items(self) -> Iterable[tuple[int, V]]:
        """The sampled units and their values."""
        return self._values.items()

    def values(self) -> Iterable[V]:
        """The values of the sampled units."""
        return self._values.values()

    def put(self, unit: int, value: V) -> None:
        """Combine *value* into what is known of *unit* (0 to 2**64 - 1), if the sample has room for its hash."""
        self._put_all([(unit, value)])

    def merge(self, other: UnitTable[V], pause: Pause = no_pause) -> None:
        """Take the union with *other*, which stays as it is."""
        if other.level > self.level:
            self._raise_level_to(other.level)
        limit, values = self.limit, other._values
        units = iter([unit for unit in values if unit < limit] if other.limit > limit else values)
        pause(len(values))
        while some := list(islice(units, _AT_ONCE)):
            self._put_all(zip(some, map(values.__getitem__, some), strict=True))
            pause(len(some))

    def restore(self, level: int, values: dict[int, V]) -> None:
        """Take over the contents of another table, as they were kept elsewhere.

        Raises:
            ValueError: No table can hold these values at this level.
        """
        self._restore_level(level, len(values), max(values, default=0))
        self._values = values

    def copy(self) -> UnitTable[V]:
        """An independent copy."""
        twin = UnitTable(self._combine, self._max_units)
        twin._values, twin.level, twin.limit = self._values.copy(), self.level, self.limit
        return twin

    def _put_all(self, items: Iterable[tuple[int, V]]) -> None:
        values, limit = self._values, self.limit
        for unit, value in items:
            if unit >= limit:
                continue
            known = values.get(unit)
            if known is None:
                values[unit] = value
            elif known != value:
                values[unit] = self._combine(known, value)
        if len(values) > self._max_units:
            self._raise_level_to(self.level + 1)

    def _cut(self) -> None:
        limit = self.limit
        self._values = {unit: value for unit, value in self._values.items() if unit < limit}


FirstOutcome = tuple[float, int, float, bool, bool, bool]
"""(assigned at, wall seconds; stage index; traffic share; on the canary; failed) of a unit's first request, and whether
the unit has met the canary by now."""


def earlier(one: FirstOutcome, other: FirstOutcome) -> FirstOutcome:
    """The first of two first outcomes, of a unit that has met the canary if either says so."""
    first = min(one, other)
    return first if first[5] or not (one[5] or other[5]) else (*first[:5], True)


def first_outcomes() -> UnitTable[FirstOutcome]:
    """A table of each unit's first outcome."""
    return UnitTable(earlier)

"""What is known of each unit, in bounded memory: a sample of units by their hash, mergeable by union."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")

MAX_UNITS = 4096
_UNIT_BITS = 64


class UnitTable(Generic[V]):
    """A value for each unit whose hash is below ``2**(64 - level)``.

    The level is the smallest that leaves at most *max_units*: a pure function of the units that were ever put in, so
    the order of arrival and the way units were spread over workers change nothing.

    Args:
        combine: Merges two values of one unit; must be commutative, associative and idempotent.
        max_units: The most units kept, at least 1.
    """

    def __init__(self, combine: Callable[[V, V], V], max_units: int = MAX_UNITS) -> None:
        self._combine = combine
        self._max_units = max_units
        self._values: dict[int, V] = {}
        self.level = 0
        self.limit = 1 << _UNIT_BITS
        """Units at or above it are not in the sample."""

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UnitTable):
            return NotImplemented
        return self.level == other.level and self._values == other._values  # pyright: ignore[reportUnknownMemberType]

    __hash__ = None  # type: ignore[assignment]

    @property
    def estimated_count(self) -> int:
        """How many units were put in: the sample's size times 2**level."""
        return len(self._values) << self.level

    def get(self, unit: int) -> V | None:
        """The value of *unit*, or None when nothing is known of it."""
        return self._values.get(unit)

    @property
    def live(self) -> Mapping[int, V]:
        """The sampled units and their values, until the next :meth:`put` or :meth:`merge`."""
        return self._values

    @property
    def limit_bytes(self) -> bytes:
        """The limit as eight bytes, big-endian; nothing is at or above nine."""
        return self.limit.to_bytes(8, "big") if self.level else b"\xff" * 9

    def items(self) -> Iterable[tuple[int, V]]:
        """The sampled units and their values."""
        return self._values.items()

    def values(self) -> Iterable[V]:
        """The values of the sampled units."""
        return self._values.values()

    def put(self, unit: int, value: V) -> None:
        """Combine *value* into what is known of *unit* (0 to 2**64 - 1), if the sample has room for its hash."""
        if unit >= self.limit:
            return
        values = self._values
        known = values.get(unit)
        if known is None:
            values[unit] = value
            if len(values) > self._max_units:
                self._raise_level_to(self.level + 1)
        elif known != value:
            values[unit] = self._combine(known, value)

    def merge(self, other: UnitTable[V]) -> None:
        """Take the union with *other*."""
        if other.level > self.level:
            self._raise_level_to(other.level)
        mine, theirs = self._values, other._values
        if other.level < self.level:
            theirs = {unit: value for unit, value in theirs.items() if unit < self.limit}
        combined = {
            unit: self._combine(mine[unit], theirs[unit])
            for unit in mine.keys() & theirs.keys()
            if mine[unit] != theirs[unit]
        }
        mine |= theirs
        mine |= combined
        if len(mine) > self._max_units:
            self._raise_level_to(self.level + 1)

    def restore(self, level: int, values: dict[int, V]) -> None:
        """Take over the contents of another table, as they were kept elsewhere.

        Raises:
            ValueError: No table can hold these values at this level.
        """
        if not 0 <= level <= _UNIT_BITS or len(values) > self._max_units:
            raise ValueError(
                f"a table of units must have a level in [0, {_UNIT_BITS}] and at most {self._max_units:,} units, "
                f"got level {level} and {len(values):,} units"
            )
        limit = 1 << (_UNIT_BITS - level)
        if values and max(values) >= limit:
            raise ValueError(f"units at level {level} must be below {limit}, got {max(values)}")
        self.level, self.limit, self._values = level, limit, values

    def copy(self) -> UnitTable[V]:
        """An independent copy."""
        twin = UnitTable(self._combine, self._max_units)
        twin._values, twin.level, twin.limit = self._values.copy(), self.level, self.limit
        return twin

    def _raise_level_to(self, level: int) -> None:
        while True:
            self.level, self.limit = level, 1 << (_UNIT_BITS - level)
            self._values = {unit: value for unit, value in self._values.items() if unit < self.limit}
            if len(self._values) <= self._max_units:
                return
            level += 1


Shares = tuple[float, float | None]
"""(lo, hi): the largest traffic share at which a unit was seen failing on stable (0 if never), and the smallest at
which it was seen failing on the canary (None if never)."""


def combine_shares(one: Shares, other: Shares) -> Shares:
    """The larger lo and the smaller hi."""
    his = [hi for hi in (one[1], other[1]) if hi is not None]
    return max(one[0], other[0]), min(his) if his else None


FirstOutcome = tuple[float, int, float, bool, bool]
"""(assigned at, wall seconds; stage index; traffic share; on the canary; failed) of a unit's first request."""


def earlier(one: FirstOutcome, other: FirstOutcome) -> FirstOutcome:
    """The first of two first outcomes."""
    return min(one, other)


def failing_units() -> UnitTable[Shares]:
    """A table of which units failed, where, and at what traffic share."""
    return UnitTable(combine_shares)


def first_outcomes() -> UnitTable[FirstOutcome]:
    """A table of each unit's first outcome."""
    return UnitTable(earlier)

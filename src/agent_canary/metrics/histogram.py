"""A mergeable histogram of bounded size: latencies and other non-negative values.

The buckets are those of OpenTelemetry's exponential histogram (metrics data model, "ExponentialHistogram") at scale 6:
bucket *i* holds the values in (b^i, b^(i+1)] with b = 2^(1/64), so the geometric middle of a bucket is within 0.54 % of
every value in it. The scale never changes, so histograms of any two workers merge by adding their buckets.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil, log2
from typing import Any, cast

from ..errors import require_count, require_fraction, require_non_negative

SCALE = 6
BUCKETS_PER_OCTAVE = 2**SCALE

ZERO_THRESHOLD = 2.0**-20
"""Values up to this one are in the zero bucket (OpenTelemetry's ``zero_threshold``): in milliseconds, a nanosecond."""

LARGEST_VALUE = 2.0**30
"""Values above this one count as this one: in milliseconds, twelve days."""

# One below -20 * 64: the logarithm of a value just above ZERO_THRESHOLD may round down to it.
LOWEST_INDEX = -20 * BUCKETS_PER_OCTAVE - 1
HIGHEST_INDEX = 30 * BUCKETS_PER_OCTAVE - 1


class Histogram:
    """Counts of non-negative values by bucket, with their number and sum.

    At most 3,201 buckets exist whatever is recorded. Not thread-safe: whoever owns it locks.
    """

    __slots__ = ("_buckets", "_sum", "_zeros")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._buckets: Counter[int] = Counter()
        self._zeros = 0
        self._sum = 0.0
        self.record_many(values)

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return self._zeros + self._buckets.total()

    @property
    def sum(self) -> float:
        """Sum of the recorded values, each counted as at most :data:`LARGEST_VALUE`."""
        return self._sum

    @property
    def zeros(self) -> int:
        """How many values were at most :data:`ZERO_THRESHOLD`."""
        return self._zeros

    @property
    def buckets(self) -> dict[int, int]:
        """A copy of the counts by bucket index, ascending, without empty buckets and zeros."""
        return dict(sorted(self._buckets.items()))

    def record_many(self, values: Iterable[float]) -> None:
        """Record all values, or none of them.

        Raises:
            ValueError: One of the values is no number, NaN, infinite or negative.
        """
        batch = list(map(float, values))
        if not all(map(math.isfinite, batch)) or min(batch, default=0.0) < 0.0:
            for value in batch:
                require_non_negative("value", value)
        self.record_checked(batch)

    def record_checked(self, values: list[float]) -> None:
        """Record values that the caller knows to be finite, non-negative floats."""
        total = sum(values)
        if total > LARGEST_VALUE:
            values = [min(value, LARGEST_VALUE) for value in values]
            total = sum(values)
        # The hottest lines of the library: a comprehension of C functions, counted in C.
        indices = [ceil(64.0 * log2(value) - 1.0) for value in values if value > ZERO_THRESHOLD]
        self._buckets.update(indices)
        self._zeros += len(values) - len(indices)
        self._sum += total

    def merge(self, other: Histogram) -> None:
        """Add what *other* recorded."""
        buckets = self._buckets
        for index, count in other._buckets.items():
            buckets[index] += count
        self._zeros += other._zeros
        self._sum += other._sum

    def subtract(self, earlier: Histogram) -> None:
        """Take away what *earlier*, a copy of this histogram in the past, had recorded.

        Raises:
            ValueError: *earlier* holds values that this histogram does not; nothing is changed.
        """
        buckets = self._buckets
        if earlier._zeros > self._zeros or any(buckets[index] < count for index, count in earlier._buckets.items()):
            raise ValueError(f"earlier must be a past state of this histogram {self!r}, got {earlier!r}")
        for index, count in earlier._buckets.items():
            buckets[index] -= count
            if not buckets[index]:
                del buckets[index]
        self._zeros -= earlier._zeros
        self._sum = max(0.0, self._sum - earlier._sum) if self.count else 0.0

    def quantile(self, p: float) -> float:
        """Return the geometric middle of the bucket that holds the value of rank ceil(*p* x count).

        Within 0.54 % of that value where it lies between the bounds of the histogram; 0.0 in the zero bucket and when
        nothing was recorded.

        Raises:
            ValueError: *p* is outside of [0, 1].
        """
        rank = max(1, ceil(require_fraction("p", p) * self.count))
        seen = self._zeros
        if seen >= rank:
            return 0.0
        for index, count in sorted(self._buckets.items()):
            seen += count
            if seen >= rank:
                return middle_of(index)
        return 0.0

    def count_above(self, threshold: float) -> int:
        """Return how many values lie in buckets above the one that holds *threshold*.

        Exact when *threshold* is the upper bound of a bucket. Values that share the threshold's bucket are not counted,
        so what is at most 1.1 % above it may be missing, and nothing at or below it is counted.

        Raises:
            ValueError: *threshold* is NaN, infinite or negative.
        """
        threshold = require_non_negative("threshold", threshold)
        if threshold <= ZERO_THRESHOLD:
            return self._buckets.total()
        limit = index_of(threshold)
        return sum(count for index, count in self._buckets.items() if index > limit)

    def copy(self) -> Histogram:
        """Return an independent histogram with the same contents."""
        twin = Histogram()
        twin._buckets = self._buckets.copy()
        twin._zeros = self._zeros
        twin._sum = self._sum
        return twin

    def to_json(self) -> dict[str, Any]:
        """Return the contents as an object that :func:`json.dumps` accepts."""
        buckets = self.buckets
        return {
            "scale": SCALE,
            "zeros": self._zeros,
            "sum": self._sum,
            "indices": list(buckets),
            "counts": list(buckets.values()),
        }

    @classmethod
    def from_json(cls, data: object) -> Histogram:
        """Return the histogram that :meth:`to_json` described.

        Raises:
            ValueError: A part is missing or not what :meth:`to_json` writes, or the scale is another one.
        """
        scale = part_of(data, "scale")
        if scale != SCALE:
            raise ValueError(f"histogram scale must be {SCALE}, got {scale!r}")
        indices = _integers("histogram indices", part_of(data, "indices"), LOWEST_INDEX, HIGHEST_INDEX)
        counts = _integers("histogram counts", part_of(data, "counts"), 1, None)
        if not len(set(indices)) == len(indices) == len(counts):
            raise ValueError(f"histogram indices must be distinct and as many as counts, got {indices} and {counts}")
        histogram = cls()
        histogram._buckets = Counter(dict(zip(indices, counts, strict=True)))
        histogram._zeros = require_count("histogram zeros", part_of(data, "zeros"))
        histogram._sum = require_non_negative("histogram sum", part_of(data, "sum"))
        return histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self._zeros, self._sum) == (other._zeros, other._sum) and dict(self._buckets) == dict(other._buckets)

    def __repr__(self) -> str:
        return f"<Histogram of {self.count} values, sum {self._sum:g}, p50 {self.quantile(0.5):g}>"


def index_of(value: float) -> int:
    """Return the index of the bucket of a *value* above :data:`ZERO_THRESHOLD`."""
    return ceil(BUCKETS_PER_OCTAVE * log2(min(value, LARGEST_VALUE)) - 1.0)


def upper_bound_of(index: int) -> float:
    """Return the largest value of a bucket, which belongs to it."""
    return math.exp2((index + 1) / BUCKETS_PER_OCTAVE)


def middle_of(index: int) -> float:
    """Return the geometric middle of a bucket's bounds."""
    return math.exp2((index + 0.5) / BUCKETS_PER_OCTAVE)


def part_of(data: object, name: str) -> Any:
    """Return one part of an object read from JSON.

    Raises:
        ValueError: *data* is no object, or lacks the part.
    """
    if not isinstance(data, Mapping) or name not in data:
        raise ValueError(f"data must be an object with {name!r}, got {data!r}")
    return cast("Mapping[str, Any]", data)[name]


def _integers(name: str, values: object, lowest: int, highest: int | None) -> list[int]:
    """Return a list of integers as it is, checked by C functions: a hundred workers' histograms are read at a time."""
    if isinstance(values, list):
        numbers = cast("list[int]", values)
        if set(map(type, numbers)) <= {int} and (
            not numbers or (min(numbers) >= lowest and (highest is None or max(numbers) <= highest))
        ):
            return numbers
    allowed = f">= {lowest}" if highest is None else f"in [{lowest}, {highest}]"
    raise ValueError(f"{name} must be a list of integers {allowed}, got {values!r}")

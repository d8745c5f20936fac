"""A mergeable histogram of bounded size: latencies and other non-negative values.

The buckets are those of OpenTelemetry's exponential histogram (metrics data model, "ExponentialHistogram") at scale 6:
each holds the values in (b^(k-1), b^k] with b = 2^(1/64), so its geometric middle is within 0.54 % of every value in
it. A bucket is called by its *bound* k here, and by its index k - 1 in OpenTelemetry. The scale never changes, so
histograms of any two workers merge by adding their buckets.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import repeat
from math import ceil, log2
from operator import add
from typing import Any

from ..errors import require_count, require_fraction, require_non_negative
from .reading import integers_of, part_of

SCALE = 6
BUCKETS_PER_OCTAVE = 2**SCALE

ZERO_THRESHOLD = 2.0**-20
"""Values up to this one are in the zero bucket (OpenTelemetry's ``zero_threshold``): in milliseconds, a nanosecond."""

LARGEST_VALUE = 2.0**30
"""Values above this one count as this one: in milliseconds, twelve days."""

# Not one above -20 * 64: the logarithm of a value just above ZERO_THRESHOLD may round down to it.
LOWEST_BOUND = -20 * BUCKETS_PER_OCTAVE
HIGHEST_BOUND = 30 * BUCKETS_PER_OCTAVE


_NOTHING: tuple[float, ...] = ()
_update = dict[int, int].update  # Counter's own is a loop in Python


class Histogram:
    """Counts of non-negative values by bucket, with their number and sum.

    At most 3,201 buckets exist whatever is recorded. Not thread-safe: whoever owns it locks.
    """

    __slots__ = ("_buckets", "_sum", "_zeros")

    def __init__(self, values: Iterable[float] = _NOTHING) -> None:
        self._buckets: Counter[int] = Counter()
        self._zeros = 0
        self._sum = 0.0
        if values is not _NOTHING:  # most are made empty, four for each fold of a few hundred requests
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
        """A copy of the counts by OpenTelemetry's bucket index, ascending, without empty buckets and zeros."""
        return {bound - 1: count for bound, count in sorted(self._buckets.items())}

    def record_many(self, values: Iterable[float]) -> None:
        """Record all values, or none of them.

        Raises:
            ValueError: One of the values is no number, NaN, infinite or negative.
        """
        batch = list(values)
        if not set(map(type, batch)) <= {float} or not all(map(math.isfinite, batch)) or min(batch, default=0.0) < 0.0:
            batch = [require_non_negative("value", value) for value in batch]
        self.record_checked(batch)

    def record_checked(self, values: list[float]) -> None:
        """Record values that the caller knows to be finite, non-negative floats."""
        total = sum(values)
        if total > LARGEST_VALUE:
            values = [min(value, LARGEST_VALUE) for value in values]
            total = sum(values)
        # The hottest lines of the library: a comprehension of C functions, counted in C.
        bounds = [ceil(64.0 * log2(value)) for value in values if value > ZERO_THRESHOLD]
        self._buckets.update(bounds)
        self._zeros += len(values) - len(bounds)
        self._sum += total

    def merge(self, other: Histogram) -> None:
        """Add what *other* recorded."""
        mine, theirs = self._buckets, other._buckets
        # In C: an analysis adds the histograms of a hundred workers.
        _update(mine, zip(theirs, map(add, map(mine.get, theirs, repeat(0)), theirs.values()), strict=True))
        self._zeros += other._zeros
        self._sum += other._sum

    def subtract(self, earlier: Histogram) -> None:
        """Take away what *earlier*, a copy of this histogram in the past, had recorded.

        Raises:
            ValueError: *earlier* holds values that this histogram does not; nothing is changed.
        """
        buckets = self._buckets
        if earlier._zeros > self._zeros or any(buckets[bound] < count for bound, count in earlier._buckets.items()):
            raise ValueError(f"earlier must be a past state of this histogram {self!r}, got {earlier!r}")
        for bound, count in earlier._buckets.items():
            buckets[bound] -= count
            if not buckets[bound]:
                del buckets[bound]
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
        for bound, count in sorted(self._buckets.items()):
            seen += count
            if seen >= rank:
                return middle_of(bound)
        return 0.0

    def count_above(self, threshold: float) -> int:
        """Return how many values lie in buckets above the one that holds *threshold*.

        Exact when *threshold* is the :func:`upper_bound_of` a bucket. Values that share the threshold's bucket are not
        counted, so what is at most 1.1 % above it may be missing, and nothing at or below it is counted.

        Raises:
            ValueError: *threshold* is NaN, infinite or negative.
        """
        threshold = require_non_negative("threshold", threshold)
        if threshold <= ZERO_THRESHOLD:
            return self._buckets.total()
        limit = bound_of(threshold)
        return sum(count for bound, count in self._buckets.items() if bound > limit)

    def copy(self) -> Histogram:
        """Return an independent histogram with the same contents."""
        twin = Histogram()
        twin._buckets = self._buckets.copy()
        twin._zeros = self._zeros
        twin._sum = self._sum
        return twin

    def to_json(self) -> dict[str, Any]:
        """Return the contents as an object that :func:`json.dumps` accepts."""
        return {
            "scale": SCALE,
            "zeros": self._zeros,
            "sum": self._sum,
            "bounds": list(self._buckets),
            "counts": list(self._buckets.values()),
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
        bounds = integers_of("histogram bounds", part_of(data, "bounds"), LOWEST_BOUND, HIGHEST_BOUND)
        counts = integers_of("histogram counts", part_of(data, "counts"), 1)
        if not len(set(bounds)) == len(bounds) == len(counts):
            raise ValueError(f"histogram bounds must be distinct and as many as counts, got {bounds} and {counts}")
        histogram = cls()
        histogram._buckets = Counter(dict(zip(bounds, counts, strict=True)))
        histogram._zeros = require_count("histogram zeros", part_of(data, "zeros"))
        histogram._sum = require_non_negative("histogram sum", part_of(data, "sum"))
        return histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self._zeros, self._sum) == (other._zeros, other._sum) and dict(self._buckets) == dict(other._buckets)

    def __repr__(self) -> str:
        return f"<Histogram of {self.count} values, sum {self._sum:g}, p50 {self.quantile(0.5):g}>"


def bound_of(value: float) -> int:
    """Return the bound of the bucket of a *value* above :data:`ZERO_THRESHOLD`: 64 times its binary logarithm, up."""
    return ceil(64.0 * log2(min(value, LARGEST_VALUE)))


def upper_bound_of(bound: int) -> float:
    """Return the largest value that :func:`bound_of` puts into a bucket."""
    value = math.exp2(bound / BUCKETS_PER_OCTAVE)
    while bound_of(value) > bound:
        value = math.nextafter(value, 0.0)
    while bound_of(above := math.nextafter(value, math.inf)) == bound < HIGHEST_BOUND:
        value = above
    return value


def middle_of(bound: int) -> float:
    """Return the geometric middle of a bucket."""
    return math.exp2((bound - 0.5) / BUCKETS_PER_OCTAVE)

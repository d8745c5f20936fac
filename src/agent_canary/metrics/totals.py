"""What happened to one version over some assignments: sums that merge by addition."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import require_count, require_non_negative
from .histogram import Histogram
from .reading import object_of, part_of, row_of

MAX_SCORE_NAMES = 64
"""Most names of scores that one :class:`Totals` accepts, so that names made from data cannot fill the memory."""

LARGEST_SCORE = 1e100
"""Largest magnitude of a score: the sum of squares stays finite whatever the number of scores."""


MICRO_DOLLARS = 1e6
"""Of one dollar: a histogram's smallest value would be too large for the cost of a short answer."""


@dataclass(slots=True)
class ScoreSums:
    """Number, sum and sum of squares of the values of one score."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Arithmetic mean; 0.0 when there are no values."""
        return self.total / self.count if self.count else 0.0

    def add(self, value: float) -> None:
        """Add one value that :func:`checked_score` returned."""
        self.count += 1
        self.total += value
        self.squares += value * value

    def merge(self, other: ScoreSums) -> None:
        """Add the values of *other*."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares

    def subtract(self, earlier: ScoreSums) -> None:
        """Take away the values of *earlier*, a copy of these sums in the past."""
        self.count -= earlier.count
        self.total = self.total - earlier.total if self.count else 0.0
        self.squares = max(0.0, self.squares - earlier.squares) if self.count else 0.0


def checked_score(name: str, value: float) -> float:
    """Return the value of a score as a float; a bool counts as 0.0 or 1.0.

    Raises:
        ValueError: An empty name, or a value that is no number in [-1e100, 1e100].
    """
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"name must be the score's name, a text that is not empty, got {name!r}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, str | bytes) or not -LARGEST_SCORE <= number <= LARGEST_SCORE:
        raise ValueError(f"score {name!r} must be a number in [-{LARGEST_SCORE:g}, {LARGEST_SCORE:g}], got {value!r}")
    return number


@dataclass(slots=True)
class Totals:
    """Counts, histograms and sums over the ended assignments of one version.

    Not thread-safe: whoever owns it locks. Requests that were cancelled count as ``cancelled`` and nowhere else.

    Attributes:
        succeeded: Requests that succeeded.
        failed: Requests that failed, timed out ones included.
        cancelled: Requests that the client or the app gave up.
        timed_out: Requests that counted as failed because they were still open after their time.
        latency: Milliseconds from assignment to end, of succeeded and failed requests.
        first_token: Milliseconds from assignment to the first token or byte.
        cost: Millionths of a US dollar, of requests that reported a cost.
        tokens: Tokens read and written, of requests that reported them.
        scores: Sums by name of score.
        input_tokens: Tokens read by models.
        output_tokens: Tokens written by models.
        cost_usd: US dollars.
    """

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    latency: Histogram = field(default_factory=Histogram)
    first_token: Histogram = field(default_factory=Histogram)
    cost: Histogram = field(default_factory=Histogram)
    tokens: Histogram = field(default_factory=Histogram)
    scores: dict[str, ScoreSums] = field(default_factory=dict[str, ScoreSums])
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def total(self) -> int:
        """Requests that succeeded or failed."""
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float:
        """Share in [0, 1] of succeeded among succeeded and failed requests; 1.0 when there are none."""
        return self.succeeded / self.total if self.total else 1.0

    @property
    def p95_ms(self) -> float:
        """95th percentile of the latency in milliseconds, within 0.54 %; 0.0 when there are no requests."""
        return self.latency.quantile(0.95)

    def add_score(self, name: str, value: float) -> None:
        """Add one score.

        Raises:
            ValueError: As :func:`checked_score`, or one name more than :data:`MAX_SCORE_NAMES`.
        """
        number = checked_score(name, value)
        if name not in self.scores and len(self.scores) >= MAX_SCORE_NAMES:
            raise ValueError(f"name must be one of at most {MAX_SCORE_NAMES} names of scores, got one more: {name!r}")
        self.scores.setdefault(name, ScoreSums()).add(number)

    def merge(self, other: Totals) -> None:
        """Add what *other* counted."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.cancelled += other.cancelled
        self.timed_out += other.timed_out
        self.latency.merge(other.latency)
        self.first_token.merge(other.first_token)
        self.cost.merge(other.cost)
        self.tokens.merge(other.tokens)
        for name, sums in other.scores.items():
            self.scores.setdefault(name, ScoreSums()).merge(sums)
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost_usd += other.cost_usd

    def subtract(self, earlier: Totals) -> None:
        """Take away what *earlier*, a copy of these totals in the past, had counted.

        Raises:
            ValueError: *earlier* counted something that these totals did not; nothing is changed.
        """
        rest = self.copy()
        for name in _COUNTS:
            setattr(rest, name, _difference(name, getattr(self, name), getattr(earlier, name)))
        rest.latency.subtract(earlier.latency)
        rest.first_token.subtract(earlier.first_token)
        rest.cost.subtract(earlier.cost)
        rest.tokens.subtract(earlier.tokens)
        rest.cost_usd = max(0.0, self.cost_usd - earlier.cost_usd)
        for name, sums in earlier.scores.items():
            _difference(f"score {name!r}", rest.scores.get(name, ScoreSums()).count, sums.count)
            rest.scores[name].subtract(sums)
        rest.scores = {name: sums for name, sums in rest.scores.items() if sums.count}
        for part in fields(self):
            setattr(self, part.name, getattr(rest, part.name))

    def copy(self) -> Totals:
        """Return independent totals with the same contents."""
        return Totals(
            self.succeeded,
            self.failed,
            self.cancelled,
            self.timed_out,
            latency=self.latency.copy(),
            first_token=self.first_token.copy(),
            cost=self.cost.copy(),
            tokens=self.tokens.copy(),
            scores={name: ScoreSums(sums.count, sums.total, sums.squares) for name, sums in self.scores.items()},
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the contents as an object that :func:`json.dumps` accepts."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "cost_usd": self.cost_usd,
            "latency": self.latency.to_json(),
            "first_token": self.first_token.to_json(),
            "cost": self.cost.to_json(),
            "tokens": self.tokens.to_json(),
            "scores": {name: [sums.count, sums.total, sums.squares] for name, sums in self.scores.items()},
        }

    @classmethod
    def from_json(cls, data: object) -> Totals:
        """Return the totals that :meth:`to_json` described.

        Raises:
            ValueError: A part is missing or not what :meth:`to_json` writes.
        """
        totals = cls()
        for name in _COUNTS:
            setattr(totals, name, require_count(f"totals {name}", part_of(data, name)))
        totals.cost_usd = require_non_negative("totals cost_usd", part_of(data, "cost_usd"))
        totals.latency = Histogram.from_json(part_of(data, "latency"))
        totals.first_token = Histogram.from_json(part_of(data, "first_token"))
        totals.cost = Histogram.from_json(part_of(data, "cost"))
        totals.tokens = Histogram.from_json(part_of(data, "tokens"))
        for name, sums in object_of("totals scores", part_of(data, "scores")).items():
            totals.scores[name] = _sums_from_json(name, sums)
        return totals


_COUNTS = ("succeeded", "failed", "cancelled", "timed_out", "input_tokens", "output_tokens")


def _difference(name: str, now: int, earlier: int) -> int:
    if earlier > now:
        raise ValueError(f"earlier must be a past state of these totals, with at most {now} for {name}, got {earlier}")
    return now - earlier


def _sums_from_json(name: str, data: object) -> ScoreSums:
    count, total, squares = row_of(f"score {name!r}", ("count", "total", "squares"), data)
    if isinstance(total, bool) or not isinstance(total, int | float) or not math.isfinite(total):
        raise ValueError(f"total of score {name!r} must be a finite number, got {total!r}")
    return ScoreSums(
        require_count(f"count of score {name!r}", count),
        float(total),
        require_non_negative(f"squares of score {name!r}", squares),
    )

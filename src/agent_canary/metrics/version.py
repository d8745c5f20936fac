"""The outcomes of one version: lifetime totals and a rolling window, recorded by any number of threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import repeat
from typing import Any, TypeVar

from ..clock import Clock, as_clock
from ..errors import require_count, require_non_negative, require_positive, seconds
from .totals import MAX_SCORE_NAMES, ScoreSums, Totals, checked_score
from .window import FAILED_ZERO, RollingWindow, latencies, percentile, success_rate

T = TypeVar("T")

FOLD_AT = 2048
"""How many records wait at most before one of the writers folds them, while nobody reads."""

CROWDED_AT = 16 * FOLD_AT
"""From so many waiting records on, a writer lets the thread that folds have the processor for up to a millisecond."""

_INFINITY = math.inf
_ABSORBED_AT = 16
_CROWDED_WAIT_SECONDS = 0.001


class VersionMetrics:
    """Success, latency and scores of one version.

    Thread-safe. A writer appends to a list and never waits for a reader: every :data:`FOLD_AT` records, one writer that
    finds the lock free adds them to histogram and window by C functions, and each reader does so before it reads. What
    is kept does not grow with the number of records.

    Args:
        window_size: Most outcomes in the rolling window, at least 1.
        window_seconds: Age above which an outcome leaves the window; None for no limit of age.
        clock: Where the age comes from.

    Attributes:
        on_read: Called before every read, in the reader's thread, so that an owner may :meth:`absorb` what it holds.
            It must not read these metrics.

    Raises:
        ValueError: An argument out of its range.
    """

    def __init__(
        self,
        window_size: int = 1000,
        *,
        window_seconds: float | timedelta | None = None,
        clock: Clock | Callable[[], float] | None = None,
    ) -> None:
        self._window_size = require_count("window_size", window_size, at_least=1)
        self._window_seconds = _age("window_seconds", window_seconds)
        self._clock = as_clock(clock)
        self.on_read: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._pending: list[float] = []
        self._room = repeat(None, FOLD_AT)
        self._stamped: list[tuple[float, float]] = []
        self._absorbed: list[tuple[Totals, Sequence[float], float]] = []
        self._scored: list[tuple[str, float, bool]] = []
        self._score_names: set[str] = set()
        self._recorded = Totals()
        self._others = Totals()
        self._window = RollingWindow(self._window_size, self._window_seconds)

    @property
    def window_size(self) -> int:
        """Most outcomes in the rolling window."""
        return self._window_size

    @property
    def window_seconds(self) -> float | None:
        """Age in seconds above which an outcome leaves the window, or None."""
        return self._window_seconds

    def record(self, success: bool, latency_ms: float) -> None:
        """Count one outcome.

        Args:
            success: True or False; 0, 1 and NumPy's bools are understood.
            latency_ms: Milliseconds, finite and at least 0.

        Raises:
            ValueError: An argument out of its range.
        """
        # A float in range, nearly always: two comparisons spare it a call.
        if latency_ms.__class__ is not float or not 0.0 <= latency_ms < _INFINITY:
            latency_ms = require_non_negative("latency_ms", latency_ms)
        if success is not True and not _as_bool(success):
            latency_ms = FAILED_ZERO - latency_ms
        if self._window_seconds is not None:
            self._record_stamped(latency_ms)
            return
        self._pending.append(latency_ms)
        for _ in self._room:  # gives FOLD_AT passes after each fold: cheaper than to compare a length
            return
        self._fold_unless_busy(len(self._pending))

    def score(self, name: str, value: float | bool) -> None:
        """Add one value of a score, such as a judge's rating.

        Raises:
            ValueError: An empty name, a value that is no finite number, or one name more than
                :data:`~agent_canary.metrics.totals.MAX_SCORE_NAMES`.
        """
        self._score(name, value, recorded=False)

    def record_score(self, name: str, value: float) -> None:
        """Add one value of a score of an answer that came by :meth:`record`.

        Raises:
            ValueError: As :meth:`score`.
        """
        self._score(name, value, recorded=True)

    def _score(self, name: str, value: float, *, recorded: bool) -> None:
        number = checked_score(name, value)
        if name not in self._score_names and len(self._score_names) >= MAX_SCORE_NAMES:
            raise ValueError(f"name must be one of at most {MAX_SCORE_NAMES} names of scores, got one more: {name!r}")
        self._score_names.add(name)
        self._scored.append((name, number, recorded))
        if len(self._scored) >= FOLD_AT:
            self._fold_unless_busy(len(self._scored))

    def usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0) -> None:
        """Add what answers used: tokens, and US dollars.

        Raises:
            ValueError: A number of tokens that is no integer of at least 0, or a cost that is not finite or negative.
        """
        totals = Totals(
            input_tokens=require_count("input_tokens", input_tokens),
            output_tokens=require_count("output_tokens", output_tokens),
            cost_usd=require_non_negative("cost_usd", cost_usd),
        )
        self.absorb(totals, ())

    def absorb(self, totals: Totals, outcomes: Sequence[float]) -> None:
        """Add what an owner has counted elsewhere.

        Args:
            totals: The owner gives them away.
            outcomes: Signed latencies (see :mod:`.window`) of what succeeded or failed in *totals*, oldest first, for
                the window.
        """
        self._absorbed.append((totals, outcomes, self._clock.monotonic()))
        if len(self._absorbed) >= _ABSORBED_AT:
            self._fold_unless_busy(len(self._absorbed))

    # What was seen

    @property
    def total(self) -> int:
        """Outcomes since the beginning."""
        return self.totals.total

    @property
    def successes(self) -> int:
        """Successes since the beginning."""
        return self.totals.succeeded

    @property
    def failures(self) -> int:
        """Failures since the beginning."""
        return self.totals.failed

    @property
    def totals(self) -> Totals:
        """A copy of everything since the beginning: counts, histograms, scores, tokens and cost."""
        with self._folded():
            return self._all()

    @property
    def recorded(self) -> Totals:
        """A copy of what came by :meth:`record` and :meth:`record_score`."""
        with self._folded():
            return self._recorded.copy()

    @property
    def success_rate(self) -> float:
        """Share in [0, 1] of successes in the rolling window; 1.0 when it is empty."""
        return success_rate(self._outcomes())

    def percentile(self, p: float) -> float:
        """Return the *p*-quantile of the rolling window's latencies, in milliseconds; 0.0 when it is empty.

        Raises:
            ValueError: *p* is outside of [0, 1].
        """
        return percentile(sorted(latencies(self._outcomes())), p)

    @property
    def p50_ms(self) -> float:
        """Median latency of the rolling window, milliseconds; 0.0 when it is empty."""
        return self.percentile(0.50)

    @property
    def p95_ms(self) -> float:
        """95th percentile of the rolling window's latencies, milliseconds; 0.0 when it is empty."""
        return self.percentile(0.95)

    @property
    def p99_ms(self) -> float:
        """99th percentile of the rolling window's latencies, milliseconds; 0.0 when it is empty."""
        return self.percentile(0.99)

    def snapshot(self) -> dict[str, Any]:
        """Return everything as one consistent JSON object, while writers go on.

        Counts, first tokens, scores, tokens and cost are since the beginning; success rate and latencies are the
        rolling window's.
        """
        with self._folded():
            totals = self._all()
            window = self._window.outcomes(self._clock.monotonic())
        ascending = sorted(latencies(window))
        return {
            "total": totals.total,
            "successes": totals.succeeded,
            "failures": totals.failed,
            "cancelled": totals.cancelled,
            "timed_out": totals.timed_out,
            "success_rate": success_rate(window),
            "p50_ms": percentile(ascending, 0.50),
            "p95_ms": percentile(ascending, 0.95),
            "p99_ms": percentile(ascending, 0.99),
            "first_token_p50_ms": totals.first_token.quantile(0.50),
            "first_token_p95_ms": totals.first_token.quantile(0.95),
            "scores": {name: {"count": sums.count, "mean": sums.mean} for name, sums in totals.scores.items()},
            "input_tokens": totals.input_tokens,
            "output_tokens": totals.output_tokens,
            "cost_usd": totals.cost_usd,
        }

    # Folding

    def _outcomes(self) -> list[float]:
        with self._folded():
            return self._window.outcomes(self._clock.monotonic())

    def _all(self) -> Totals:
        totals = self._recorded.copy()
        totals.merge(self._others)
        return totals

    @contextmanager
    def _folded(self) -> Generator[None]:
        if self.on_read is not None:
            self.on_read()
        with self._lock:
            self._fold()
            yield

    def _record_stamped(self, outcome: float) -> None:
        self._stamped.append((outcome, self._clock.monotonic()))
        if len(self._stamped) >= FOLD_AT:
            self._fold_unless_busy(len(self._stamped))

    def _fold_unless_busy(self, waiting: int) -> None:
        timeout = _CROWDED_WAIT_SECONDS if waiting >= CROWDED_AT else 0.0
        if self._lock.acquire(timeout=timeout):
            try:
                self._fold()
            finally:
                self._lock.release()

    def _fold(self) -> None:
        if self._pending:
            self._room = repeat(None, FOLD_AT)
            batch = _take(self._pending)
            self._window.extend(batch)
            self._count(batch)
        if self._stamped:
            batch, stamps = map(list, zip(*_take(self._stamped), strict=True))
            self._window.extend_stamped(batch, stamps)
            self._count(batch)
        for totals, outcomes, now in _take(self._absorbed):
            self._others.merge(totals)
            if self._window_seconds is None:
                self._window.extend(outcomes)
            else:
                self._window.extend_stamped(outcomes, repeat(now, len(outcomes)))
        for name, value, recorded in _take(self._scored):
            totals = self._recorded if recorded else self._others
            totals.scores.setdefault(name, ScoreSums()).add(value)

    def _count(self, outcomes: list[float]) -> None:
        failed = [FAILED_ZERO - outcome for outcome in outcomes if outcome < 0.0]
        if failed:
            outcomes = [outcome for outcome in outcomes if outcome >= 0.0]
        recorded = self._recorded
        recorded.succeeded += len(outcomes)
        recorded.failed += len(failed)
        recorded.latency.record_checked(outcomes + failed)


def _take(waiting: list[T]) -> list[T]:
    """Take what waits in a list to which others append meanwhile."""
    batch = waiting[:]
    del waiting[: len(batch)]
    return batch


def _age(name: str, value: float | timedelta | None) -> float | None:
    return None if value is None else require_positive(name, seconds(name, value))


def _as_bool(success: object) -> bool:
    if success is False:
        return False
    if success in (0, 1):
        return bool(success)
    raise ValueError(f"success must be True or False, got {success!r}")

"""A worker's own book of assignments: what was assigned, how it ended, and from when on it may be judged.

Assignments are appended as they begin and folded in bulk. Their evidence is booked in slices: stretches of assignment
time between two ticks, cut at every change of the traffic share too. A slice counts only when all of its assignments,
in both arms, have ended or are older than the outcome horizon (those count as failed), and all slices before it do:
otherwise the arm that reports its failures sooner would look worse although both fail alike.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import compress, groupby
from math import inf
from operator import attrgetter, not_
from typing import Protocol

from .answers import Answer, latencies_of, totals_of
from .arms import Arms, BinaryCounts, SliceKey
from .outcome import Outcome
from .run_totals import RunTotals
from .slices import Slice
from .totals import Totals
from .watch import Watch
from .window import FAILED_ZERO, signed

_FOLD_AT = 512
"""So few that they are still in the processor's caches, and that the request that folds them waits 0.4 ms."""
_MAX_OPEN_SLICES = 128
_MAX_FAILURE_REASONS = 50

Window = list[float]
"""Signed latencies (see :mod:`.window`) of what succeeded or failed, in the order of assignment."""

_SUCCEEDED, _FAILED, _CANCELLED = Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED
_traffic_of = attrgetter("traffic")


class Decided(Protocol):
    """What the requests of a group were decided by."""

    @property
    def wall_offset(self) -> float: ...
    @property
    def run(self) -> int: ...
    @property
    def slice(self) -> Slice: ...


class Entry(Answer, Protocol):
    """A routed request, as far as it is booked."""

    @property
    def traffic(self) -> Decided: ...
    @property
    def is_canary(self) -> bool: ...
    @property
    def is_evidence(self) -> bool: ...


Book = Callable[[Entry, Totals, Window], None]


class Ledger:
    """Books the assignments of one run in one process.

    Args:
        monotonic: Reads monotonic seconds.
        horizon: Seconds after which an open assignment counts as failed.
        book: Called with one assignment of a group of the same arm and traffic, the group's totals, and its signed
            latencies in order: everything that ended, evidence or not.

    Attributes:
        without_key: Assignments without a sticky key that have ended: they got stable.
        failure_reasons: How often each reason was given, by arm.
    """

    def __init__(self, run: int, opening: Slice, monotonic: Callable[[], float], horizon: float, book: Book) -> None:
        self.current = opening
        self.totals = RunTotals(run)
        self.totals.watermark = opening.opened_at
        self.without_key = 0
        self.failure_reasons: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
        self._monotonic = monotonic
        self._horizon = horizon
        self._book = book
        self._arrivals: list[Entry] = []
        self._open: list[Entry] = []
        self._unsettled: deque[Slice] = deque([opening])
        self._lock = threading.Lock()
        self.fold_at = _FOLD_AT
        self.push = self._arrivals.append
        self.waiting = self._arrivals.__len__

    @property
    def open_count(self) -> int:
        """How many assignments are open, as of the last fold."""
        return len(self._open)

    @property
    def pending_slices(self) -> int:
        """How many slices do not count yet."""
        return len(self._unsettled)

    def relieve(self) -> None:
        """Fold if much has arrived and nobody else is folding: the bound on memory where no tick comes."""
        if len(self._arrivals) > self.fold_at and self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def fold(self) -> None:
        """Book all that has ended."""
        with self._lock:
            self._fold()

    def cut(self, key: SliceKey, now: float, watches: tuple[Watch, ...] = ()) -> Slice:
        """Begin a new slice at wall time *now* that watches amounts; return the slice for what is assigned next."""
        with self._lock:
            if key != self.current.key or len(self._unsettled) < _MAX_OPEN_SLICES:
                self.current = Slice(key, now, watches)
                self._unsettled.append(self.current)
            return self.current

    def settle(self) -> None:
        """Fold, and let the oldest slices count as long as nothing in them is open."""
        with self._lock:
            self._fold()
            waited_for = {id(entry.traffic.slice) for entry in self._open if entry.is_evidence}
            while self._unsettled[0] is not self.current and id(self._unsettled[0]) not in waited_for:
                self._unsettled.popleft().settle_into(self.totals)
            self.totals.watermark = self._unsettled[0].opened_at

    def snapshot(self) -> RunTotals:
        """Return a copy of what counts."""
        with self._lock:
            return self.totals.copy()

    def update(self, change: Callable[[RunTotals], None]) -> None:
        """Let *change* add to what counts."""
        with self._lock:
            change(self.totals)

    def add_unkeyed(self, is_canary: bool, totals: Totals) -> None:
        """Add what was recorded without a key, to the slice in force; it has no open time and counts at once."""
        with self._lock:
            key = self.current.key
            self.totals.unkeyed.setdefault(key, Arms()).of(is_canary).merge(totals)
            for watch in self.current.watches:
                if watch.amount == "latency":
                    above = totals.latency.count_above(watch.limit_of(is_canary))
                    slices = self.totals.unkeyed_counts.setdefault(watch.metric, {})
                    slices.setdefault(key, BinaryCounts()).add(is_canary, totals.latency.count, above)

    def _fold(self) -> None:
        entries = self._open + self._arrivals[:]
        del self._arrivals[: len(entries) - len(self._open)]
        ended, still_open = _parted(entries)
        for traffic, group in groupby(ended, _traffic_of):
            if traffic.run == self.totals.run:
                self._fold_group(list(group))
        if still_open:
            still_open = self._time_out(still_open)
        self._open = still_open
        self.fold_at = _FOLD_AT + 2 * len(still_open)

    def _fold_group(self, group: list[Entry]) -> None:
        on_canary = [entry.is_canary for entry in group]
        if True not in on_canary:
            self._fold_arm(group, False)
        else:
            self._fold_arm(list(compress(group, on_canary)), True)
            if False in on_canary:
                self._fold_arm(list(compress(group, map(not_, on_canary))), False)

    def _fold_arm(self, arm: list[Entry], is_canary: bool) -> None:
        finished, failed = arm, []
        if [entry.outcome for entry in arm].count(_SUCCEEDED) < len(arm):
            finished = [entry for entry in arm if entry.outcome is not _CANCELLED]
            failed = [entry for entry in finished if entry.outcome is _FAILED]
        latencies = latencies_of(finished)
        totals = totals_of(arm, latencies, len(failed))
        self._note_failures(failed, is_canary)
        self._book(arm[0], totals, _signed(finished, latencies) if failed else latencies)
        self._add_evidence(arm, finished, failed, latencies, totals)

    def _add_evidence(
        self, arm: list[Entry], finished: list[Entry], failed: list[Entry], latencies: list[float], totals: Totals
    ) -> None:
        others = [entry for entry in arm if not entry.is_evidence]
        self.without_key += sum(1 for entry in others if entry.digest is None)
        traffic = arm[0].traffic
        if traffic.slice.settled:
            return
        if others:
            arm = [entry for entry in arm if entry.is_evidence]
            finished = [entry for entry in finished if entry.is_evidence]
            failed = [entry for entry in failed if entry.is_evidence]
            latencies = latencies_of(finished)
            totals = totals_of(arm, latencies, len(failed))
            if not arm:
                return
        is_canary = arm[0].is_canary
        traffic.slice.count(finished, is_canary, latencies, failed, totals, self.totals, traffic.wall_offset)

    def _time_out(self, still_open: list[Entry]) -> list[Entry]:
        oldest = self._monotonic() - self._horizon
        expired = [entry for entry in still_open if entry.started_at < oldest]
        for entry in expired:
            if entry.traffic.run != self.totals.run:
                continue
            latency_ms = self._horizon * 1000.0
            totals = totals_of([entry], [latency_ms], failed=1)
            totals.timed_out = 1
            self._book(entry, totals, [FAILED_ZERO - latency_ms])
            self._note_failures([entry], entry.is_canary)
            traffic = entry.traffic
            if entry.is_evidence and not traffic.slice.settled:
                late, offset = [entry], traffic.wall_offset
                traffic.slice.count(late, entry.is_canary, [inf], late, totals, self.totals, offset)
        return [entry for entry in still_open if entry.started_at >= oldest] if expired else still_open

    def _note_failures(self, failed: Sequence[Entry], is_canary: bool) -> None:
        reasons = self.failure_reasons[is_canary]
        for entry in failed:
            told = None if entry.details is None else entry.details.failure
            reason = told or ("timed out" if entry.outcome is None else "failed")
            if reason in reasons or len(reasons) < _MAX_FAILURE_REASONS:
                reasons[reason] += 1


def _parted(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """What has ended, and what is open. Each outcome is looked at once: one that came between would be lost."""
    has_ended = [entry.outcome is not None for entry in entries]
    if all(has_ended):
        return entries, []
    return list(compress(entries, has_ended)), list(compress(entries, map(not_, has_ended)))


def _signed(finished: Sequence[Entry], latencies: Sequence[float]) -> Window:
    return signed(zip([entry.outcome is _SUCCEEDED for entry in finished], latencies, strict=True))

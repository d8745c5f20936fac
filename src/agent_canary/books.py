"""Everything that one worker has seen of a rollout's two versions."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from .assignment import Assignment
from .clock import Clock
from .metrics import VersionMetrics
from .metrics.ledger import Entry, Ledger, Window
from .metrics.run_totals import RunTotals, SliceKey
from .metrics.scores import ScoreBook, ScoreRule
from .metrics.slices import Slice
from .metrics.totals import Totals, checked_score
from .metrics.units import Pause, no_pause
from .metrics.watch import Watch

_HARVEST = 500
"""What a harvest takes at least, in the steps of a pause."""


class Books:
    """The metrics of both versions, and the evidence of the run.

    Args:
        stable: The stable version.
        canary: The canary version.
        clock: For latencies and for the evidence's times.
        horizon: Seconds after which an open assignment counts as failed.

    Attributes:
        watches: The amounts that the next slice watches.
    """

    def __init__(self, stable: str, canary: str, clock: Clock, horizon: float) -> None:
        self.versions = (stable, canary)
        self.watches: tuple[Watch, ...] = ()
        self.metrics: dict[str, VersionMetrics] = {}
        self._clock = clock
        self._horizon = horizon
        self._harvested: dict[str, Totals] = {}
        # A tick settles while a person moves the rollout in another thread.
        self._lock = threading.RLock()
        for version in self.versions:
            self._renew(version)
        self.open_run(0, SliceKey(0, 0.0), {})

    def open_run(self, run: int, key: SliceKey, rules: Mapping[str, ScoreRule]) -> None:
        """Begin the evidence of a run; what is open of the one before it is no evidence any more."""
        with self._lock:
            opening = Slice(key, self._clock.wall())
            self.ledger = Ledger(run, opening, self._clock.monotonic, self._horizon, self._book)
            self.scores = ScoreBook(rules)
            self._renew(self.versions[1])

    def open_stage(self) -> None:
        """Begin the canary's metrics anew: a stage's samples are what was assigned in it."""
        with self._lock:
            self._renew(self.versions[1])

    def cut(self, key: SliceKey) -> Slice:
        """Begin a new slice of evidence."""
        return self.ledger.cut(key, self._clock.wall(), self.watches)

    def settle(self, pause: Pause = no_pause) -> RunTotals:
        """Return a copy of what counts by now."""
        self.harvest()
        pause(_HARVEST)
        with self._lock:
            self.ledger.settle()
            self.ledger.update(lambda totals: self.scores.settle(self._clock.wall(), totals))
            return self.ledger.snapshot()

    def harvest(self) -> None:
        """Book what was recorded without a key since the last harvest to the slice in force."""
        with self._lock:
            for version in self.versions:
                recorded = self.metrics[version].recorded
                news = recorded.copy()
                news.subtract(self._harvested[version])
                if news.total or news.scores:
                    self._harvested[version] = recorded
                    self.ledger.add_unkeyed(version == self.versions[1], news)

    def score(self, name: str, value: float, scored: Scored, covariate: float | None = None) -> bool:
        """Book a score; return False when a guardrail watches it and it comes too late: it is shown, and no evidence.

        Raises:
            ValueError: The name is empty, a number is not finite, or the value is none that the score's rule allows.
        """
        number = self._checked(name, value)
        known = None if covariate is None else checked_score(f"{name}, covariate", covariate)
        if not self.scores.is_new(scored.unit, scored.assigned_at, name):
            return True
        if not scored.is_canary or scored.key.stage_idx == self.ledger.current.key.stage_idx:
            self.metrics[self.versions[scored.is_canary]].score(name, number)
        if not scored.is_evidence or scored.unit is None or name not in self.scores.rules:
            return True
        at = scored.assigned_at
        return self.scores.put(name, number, scored.key, scored.unit, scored.cluster, at, scored.is_canary, known)

    def score_unkeyed(self, version: str, name: str, value: float) -> None:
        """Book a score of an answer without a key.

        Raises:
            ValueError: As :meth:`score`.
        """
        self.metrics[version].record_score(name, self._checked(name, value))

    def _checked(self, name: str, value: float) -> float:
        number, rule = checked_score(name, value), self.scores.rules.get(name)
        refusal = None if rule is None else rule.refusal(number)
        if refusal is not None:
            raise ValueError(f"score {name!r} {refusal}, got {value!r}")
        return number

    def _renew(self, version: str) -> None:
        metrics = VersionMetrics(clock=self._clock)
        metrics.on_read = self._fold
        self.metrics[version] = metrics
        self._harvested[version] = Totals()

    def _fold(self) -> None:
        self.ledger.fold()

    def _book(self, entry: Entry, totals: Totals, window: Window) -> None:
        if entry.is_canary and entry.stage_idx != self.ledger.current.key.stage_idx:
            return
        self.metrics[self.versions[entry.is_canary]].absorb(totals, window)


class Scored:
    """The assignment that a score judges.

    Attributes:
        key: The stage and share that decided it.
        unit: Its key's 64-bit hash; None without a key.
        cluster: Its key's cluster, 0 to 63; 0 without a key.
        assigned_at: When it was assigned, wall seconds.
        is_canary: Whether the canary answered.
        is_evidence: Whether the hash against the share decided.
    """

    __slots__ = ("assigned_at", "cluster", "is_canary", "is_evidence", "key", "unit")

    def __init__(
        self,
        key: SliceKey,
        unit: int | None,
        cluster: int | None,
        assigned_at: float,
        is_canary: bool,
        is_evidence: bool,
    ) -> None:
        self.key = key
        self.unit = unit
        self.cluster = cluster or 0
        self.assigned_at = assigned_at
        self.is_canary = is_canary
        self.is_evidence = is_evidence

    @classmethod
    def of(cls, assignment: Assignment) -> Scored:
        """What an assignment tells."""
        key = SliceKey(assignment.stage_idx, assignment.traffic_share)
        at = assignment.wall_started_at
        return cls(key, assignment.unit, assignment.cluster, at, assignment.is_canary, assignment.is_evidence)

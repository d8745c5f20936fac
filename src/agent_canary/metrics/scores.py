"""Scores as evidence: booked to the assignment they judge, judged when their horizon has passed."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from .arms import SliceKey
from .clusters import ArmClusters, counts_of
from .failing_units import FailingUnits
from .run_totals import MAX_SEEN, RunTotals
from .units import limit_of

_SHORTEST_BIN_SECONDS = 1.0
_BINS_PER_HORIZON = 16
_REMEMBERED = 4096
_TALLY_AT = 4096
"""How many clusters wait at most to be counted: to count them takes as long for ten as for a hundred."""


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """How a score is evidence.

    Attributes:
        bad: The bad value of a 0/1 score, 0.0 or 1.0; None for a real-valued score.
        horizon: Seconds after the assignment within which a score counts; a later one is shown, and no evidence.
        bounds: The lowest and the highest value there can be; None when they are not known.
    """

    bad: float | None
    horizon: float
    bounds: tuple[float, float] | None = None

    @property
    def bin_seconds(self) -> float:
        """How long assignments are collected before their scores are judged together: memory stays bounded."""
        return max(_SHORTEST_BIN_SECONDS, self.horizon / _BINS_PER_HORIZON)

    def refusal(self, value: float) -> str | None:
        """Say why *value* cannot be one of this score; None when it can."""
        if self.bad is not None and value not in (0.0, 1.0):
            return "is watched as a rate: its values must be 0 or 1"
        if self.bounds is not None and not self.bounds[0] <= value <= self.bounds[1]:
            return f"is watched with bounds: its values must be in [{self.bounds[0]:g}, {self.bounds[1]:g}]"
        return None


class _Cell:
    """The scores of one name, time of assignment and slice, with samples of their units: bounded like those."""

    __slots__ = ("_bad_clusters", "_told_clusters", "bad", "clusters", "seen")

    def __init__(self) -> None:
        self.clusters = ArmClusters()
        self.bad = FailingUnits()
        self.seen = FailingUnits(MAX_SEEN)
        # A byte each for the cluster of a score, and of a bad one, of stable and of the canary.
        self._told_clusters = (bytearray(), bytearray())
        self._bad_clusters = (bytearray(), bytearray())

    def add_outcome(self, cluster: int, is_bad: bool, is_canary: bool) -> None:
        """Add a 0/1 score."""
        told = self._told_clusters[is_canary]
        told.append(cluster)
        if is_bad:
            self._bad_clusters[is_canary].append(cluster)
        if len(told) > _TALLY_AT:
            self.tally()

    def tally(self) -> None:
        """Count the clusters that wait for it."""
        arms = (self.clusters.stable, self.clusters.canary)
        for arm, told, bad in zip(arms, self._told_clusters, self._bad_clusters, strict=True):
            if told:
                arm.add_counts(counts_of(told), counts_of(bad))
                told.clear()
                bad.clear()


class ScoreBook:
    """Collects scores by the time of their assignment until their horizon has passed.

    Both arms wait alike: were scores judged as they come, the arm whose scores come sooner would look worse.

    Args:
        rules: By score name; other names are no evidence.
    """

    def __init__(self, rules: Mapping[str, ScoreRule]) -> None:
        self.rules = dict(rules)
        self._cells: dict[tuple[str, int, SliceKey], _Cell] = {}
        self._bins = {name: rule.bin_seconds for name, rule in self.rules.items()}
        self._limits = dict.fromkeys(self.rules, limit_of(0))
        self._seen_limits = dict.fromkeys(self.rules, limit_of(0))
        self._judged_until = dict.fromkeys(self.rules, -math.inf)
        self._recent: set[int] = set()
        self._older: set[int] = set()
        self._lock = threading.Lock()

    def is_new(self, unit: int | None, assigned_at: float, name: str) -> bool:
        """Return whether this assignment has no score of this name yet, as far as the last 4,096 or more tell."""
        fingerprint = hash((unit, round(assigned_at * 1e6), name))
        with self._lock:
            if fingerprint in self._recent or fingerprint in self._older:
                return False
            self._recent.add(fingerprint)
            if len(self._recent) > _REMEMBERED:
                self._older, self._recent = self._recent, set()
            return True

    def put(
        self,
        name: str,
        value: float,
        key: SliceKey,
        unit: int,
        cluster: int,
        assigned_at: float,
        is_canary: bool,
        covariate: float | None = None,
    ) -> bool:
        """Book a score that its rule does not refuse; return False when it is no evidence: no rule, or too late."""
        rule = self.rules.get(name)
        if rule is None:
            return False
        number = math.floor(assigned_at / self._bins[name])
        shares = (0.0, key.share) if is_canary else (key.share, None)
        with self._lock:
            if self._is_over(name, number):
                return False
            cell = self._cells.get((name, number, key))
            if cell is None:
                cell = self._cells[name, number, key] = _Cell()
            if rule.bad is None:
                cell.clusters.of(is_canary).add_value(cluster, value, covariate)
            else:
                is_bad = value == rule.bad
                cell.add_outcome(cluster, is_bad, is_canary)
                # A unit that the sample has no room for by now will never be in it: its limit only falls.
                if is_bad and unit < self._limits[name]:
                    cell.bad.put(unit, shares)
            if unit < self._seen_limits[name]:
                cell.seen.put(unit, shares)
            return True

    def settle(self, now: float, totals: RunTotals) -> None:
        """Move what has been waiting until its horizon at wall time *now* into *totals*, always the same ones."""
        with self._lock:
            for name, rule in self.rules.items():
                self._judged_until[name] = max(self._judged_until[name], now - rule.horizon)
            for name, number, key in [cell for cell in self._cells if self._is_over(cell[0], cell[1])]:
                self._move(name, key, self._cells.pop((name, number, key)), totals)

    def _is_over(self, name: str, number: int) -> bool:
        """Whether the horizon of everything that was assigned in a bin has passed."""
        return (number + 1) * self._bins[name] <= self._judged_until[name]

    def _move(self, name: str, key: SliceKey, cell: _Cell, totals: RunTotals) -> None:
        cell.tally()
        totals.clusters_of(name, key).merge(cell.clusters)
        if len(cell.bad):
            self._limits[name] = totals.merge_failing(name, cell.bad)
        if len(cell.seen):
            self._seen_limits[name] = totals.merge_seen(name, cell.seen)

"""Scores as evidence: booked to the assignment they judge, judged when their horizon has passed."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from .arms import SliceKey
from .clusters import ArmClusters
from .run_totals import RunTotals
from .units import limit_of

_SHORTEST_BIN_SECONDS = 1.0
_BINS_PER_HORIZON = 16
_REMEMBERED = 4096


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
    """The scores of one name, time of assignment and slice, and the units that may be in a sample."""

    __slots__ = ("bad", "clusters", "seen")

    def __init__(self) -> None:
        self.clusters = ArmClusters()
        self.bad: dict[bool, array[int]] = {}
        self.seen: dict[bool, array[int]] = {}


class ScoreBook:
    """Collects scores by the time of their assignment until their horizon has passed.

    Both arms wait alike: were scores judged as they come, the arm whose scores come sooner would look worse.

    Args:
        rules: By score name; other names are no evidence.
    """

    def __init__(self, rules: Mapping[str, ScoreRule]) -> None:
        self.rules = dict(rules)
        self._cells: dict[tuple[str, int, SliceKey], _Cell] = {}
        self._limits = dict.fromkeys(self.rules, limit_of(0))
        self._seen_limits = dict.fromkeys(self.rules, limit_of(0))
        self._settled_before = dict.fromkeys(self.rules, -math.inf)
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
        number = math.floor(assigned_at / rule.bin_seconds)
        with self._lock:
            if number * rule.bin_seconds <= self._settled_before[name]:
                return False
            cell = self._cells.get((name, number, key))
            if cell is None:
                cell = self._cells[name, number, key] = _Cell()
            arm = cell.clusters.of(is_canary)
            if rule.bad is None:
                arm.add_value(cluster, value, covariate)
            else:
                is_bad = value == rule.bad
                arm.add_outcome(cluster, is_bad)
                # A unit that the sample has no room for by now will never be in it: its limit only falls.
                if is_bad and unit < self._limits[name]:
                    cell.bad.setdefault(is_canary, array("Q")).append(unit)
            if unit < self._seen_limits[name]:
                cell.seen.setdefault(is_canary, array("Q")).append(unit)
            return True

    def settle(self, now: float, totals: RunTotals) -> None:
        """Move what has been waiting until its horizon at wall time *now* into *totals*, always the same ones."""
        with self._lock:
            for name, rule in self.rules.items():
                over = now - rule.horizon - rule.bin_seconds
                self._settled_before[name] = max(self._settled_before[name], over)
            due = [
                (name, number, key)
                for name, number, key in self._cells
                if (number + 1) * self.rules[name].bin_seconds <= now - self.rules[name].horizon
            ]
            for name, number, key in due:
                self._move(name, key, self._cells.pop((name, number, key)), totals)

    def _move(self, name: str, key: SliceKey, cell: _Cell, totals: RunTotals) -> None:
        totals.clusters_of(name, key).merge(cell.clusters)
        for is_canary, units in cell.bad.items():
            totals.add_failing(name, key.share, ((unit, is_canary) for unit in set(units)))
            self._limits[name] = totals.failing[name].limit
        for is_canary, units in cell.seen.items():
            totals.add_seen(name, key.share, ((unit, is_canary) for unit in set(units)))
            self._seen_limits[name] = totals.seen[name].limit

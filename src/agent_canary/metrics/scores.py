"""0/1 scores as evidence: booked to the assignment they judge, judged when their horizon has passed."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from .arms import BinaryCounts, SliceKey, merge_counts
from .run_totals import RunTotals
from .units import limit_of

_BIN_SECONDS = 1.0
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """How a 0/1 score is evidence.

    Attributes:
        bad: The bad value, 0.0 or 1.0.
        horizon: Seconds after the assignment within which a score counts; a later one is shown, and no evidence.
    """

    bad: float
    horizon: float


class _Cell:
    """The scores of one name, second of assignment and slice; of the bad ones, the units that may be in the sample."""

    __slots__ = ("bad", "counts")

    def __init__(self) -> None:
        self.counts = BinaryCounts()
        self.bad: dict[bool, array[int]] = {}


class ScoreBook:
    """Collects 0/1 scores by the second of their assignment until their horizon has passed.

    Both arms wait alike: were scores judged as they come, the arm whose scores come sooner would look worse.

    Args:
        rules: By score name; other names are no evidence.
    """

    def __init__(self, rules: Mapping[str, ScoreRule]) -> None:
        self.rules = dict(rules)
        self._cells: dict[tuple[str, int, SliceKey], _Cell] = {}
        self._limits = dict.fromkeys(self.rules, limit_of(0))
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

    def put(self, name: str, value: float, key: SliceKey, unit: int, assigned_at: float, is_canary: bool) -> bool:
        """Book a score of 0 or 1; return False when it is no evidence: no such rule, or its time is over."""
        rule = self.rules.get(name)
        number = math.floor(assigned_at / _BIN_SECONDS)
        with self._lock:
            if rule is None or number * _BIN_SECONDS <= self._settled_before[name]:
                return False
            cell = self._cells.get((name, number, key))
            if cell is None:
                cell = self._cells[name, number, key] = _Cell()
            is_bad = value == rule.bad
            cell.counts.add(is_canary, 1, int(is_bad))
            # A unit that the sample has no room for by now will never be in it: its limit only falls.
            if is_bad and unit < self._limits[name]:
                cell.bad.setdefault(is_canary, array("Q")).append(unit)
            return True

    def settle(self, now: float, totals: RunTotals) -> None:
        """Move what has been waiting until its horizon at wall time *now* into *totals*, always the same ones."""
        with self._lock:
            for name, rule in self.rules.items():
                self._settled_before[name] = max(self._settled_before[name], now - rule.horizon - _BIN_SECONDS)
            due = [
                (name, number, key)
                for name, number, key in self._cells
                if (number + 1) * _BIN_SECONDS <= now - self.rules[name].horizon
            ]
            for name, number, key in due:
                self._move(name, key, self._cells.pop((name, number, key)), totals)

    def _move(self, name: str, key: SliceKey, cell: _Cell, totals: RunTotals) -> None:
        merge_counts(totals.scored.setdefault(name, {}), {key: cell.counts})
        for is_canary, units in cell.bad.items():
            totals.add_failing(name, key.share, ((unit, is_canary) for unit in units))
            self._limits[name] = totals.failing[name].limit

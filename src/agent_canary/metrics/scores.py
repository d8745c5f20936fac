"""0/1 scores as evidence: booked to the assignment they judge, judged when their horizon has passed."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from .arms import BinaryCounts, CountsBySlice, SliceKey, merge_counts
from .run_totals import RunTotals

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


@dataclass(slots=True)
class _Bin:
    counts: CountsBySlice = field(default_factory=dict[SliceKey, BinaryCounts])
    failing: list[tuple[float, int, bool]] = field(default_factory=list[tuple[float, int, bool]])


class ScoreBook:
    """Collects 0/1 scores by the second of their assignment until their horizon has passed.

    Both arms wait alike: were scores judged as they come, the arm whose scores come sooner would look worse.

    Args:
        rules: By score name; other names are no evidence.
    """

    def __init__(self, rules: Mapping[str, ScoreRule]) -> None:
        self.rules = dict(rules)
        self._bins: dict[tuple[str, int], _Bin] = {}
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
            bin_ = self._bins.setdefault((name, number), _Bin())
            bad = value == rule.bad
            bin_.counts.setdefault(key, BinaryCounts()).add(is_canary, 1, int(bad))
            if bad:
                bin_.failing.append((key.share, unit, is_canary))
            return True

    def settle(self, now: float, totals: RunTotals) -> None:
        """Move the bins whose horizon has passed at wall time *now* into *totals*."""
        with self._lock:
            for name, rule in self.rules.items():
                self._settled_before[name] = max(self._settled_before[name], now - rule.horizon - _BIN_SECONDS)
            due = [which for which in self._bins if (which[1] + 1) * _BIN_SECONDS <= now - self.rules[which[0]].horizon]
            for which in due:
                self._move(which[0], self._bins.pop(which), totals)

    @staticmethod
    def _move(name: str, bin_: _Bin, totals: RunTotals) -> None:
        merge_counts(totals.scored.setdefault(name, {}), bin_.counts)
        for share, unit, is_canary in bin_.failing:
            totals.add_failing(name, share, [(unit, is_canary)])

"""The store of one process: a restart begins a rollout anew."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import RevisionConflictError
from ..metrics.run_totals import RunTotals
from ..rollout import Event


class MemoryStore:
    """Keeps rollouts in this process, for one worker or for several canaries of one process (as tests do)."""

    is_shared = False

    def __init__(self) -> None:
        self._events: defaultdict[str, list[Event]] = defaultdict(list)
        self._totals: defaultdict[str, dict[str, RunTotals]] = defaultdict(dict)
        self._analyses: dict[tuple[str, int], tuple[int, str]] = {}
        self._lock = threading.Lock()

    def now(self) -> float | None:
        """None: the process has the say over event times."""
        return None

    def events(self, name: str, after: int = 0) -> Sequence[Event]:
        """Return the rollout's events with a revision greater than *after*, in order."""
        with self._lock:
            return tuple(self._events[name][after:])

    def append(self, name: str, event: Event) -> None:
        """Append *event* to a history that ends at its revision minus one.

        Raises:
            RevisionConflictError: Somebody else appended first.
        """
        with self._lock:
            history = self._events[name]
            if event.revision <= len(history) and history[event.revision - 1].id == event.id:
                return
            if event.revision != len(history) + 1:
                raise RevisionConflictError(
                    f"the history of {name!r} ends at revision {len(history)}, an event of revision {event.revision} "
                    "cannot follow: read the history again, then decide again"
                )
            history.append(event)

    def publish(self, name: str, worker: str, totals: RunTotals) -> None:
        """Replace what *worker* has seen; the store keeps the object, the caller gives it away."""
        with self._lock:
            self._totals[name][worker] = totals

    def totals(self, name: str, run: int) -> Mapping[str, RunTotals]:
        """Return what each worker has seen of *run*."""
        with self._lock:
            return {worker: totals for worker, totals in self._totals[name].items() if totals.run == run}

    def load_analysis(self, name: str, run: int) -> tuple[int, Mapping[str, Any] | None]:
        """Return the version and the state that the last analysis of *run* saved; (0, None) before the first."""
        with self._lock:
            version, text = self._analyses.get((name, run), (0, "null"))
        return version, json.loads(text)

    def save_analysis(self, name: str, run: int, version: int, state: Mapping[str, Any]) -> bool:
        """Save an analysis's state if *version* is still the newest.

        Raises:
            ValueError: It is no JSON object, which a store on a disk would refuse as well.
            TypeError: The same.
        """
        text = json.dumps(state, allow_nan=False)
        with self._lock:
            newest, _ = self._analyses.get((name, run), (0, ""))
            if newest != version:
                return False
            self._analyses[name, run] = (version + 1, text)
            return True

    def forget_processes(self) -> None:
        """Drop what the parent of a forked process had published, and what an analysis made of it."""
        self._lock = threading.Lock()
        self._totals.clear()
        self._analyses.clear()

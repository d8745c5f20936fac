"""What was measured of a cell, and the files in which it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .tally import Tally

FOLDER = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of a cell.

    Attributes:
        cell: Its name.
        fingerprint: Of all that the cell says, so that a result of another one is known.
        runs: How many there were.
        version: Of agent_canary.
        python: Implementation and version.
        date: ISO date, UTC.
        core_seconds: How long they took on one processor.
        library: What the library did, by alpha, the largest first.
        original: What the original's rule would have done; None where it was not asked.
        fixed: What a fixed threshold would have done.
    """

    cell: str
    fingerprint: str
    runs: int
    version: str
    python: str
    date: str
    core_seconds: float
    library: dict[float, Tally]
    original: Tally | None = None
    fixed: Tally | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        rules = {name: None if each is None else each.to_json() for name, each in self._rules().items()}
        library = {f"{alpha:g}": each.to_json() for alpha, each in self.library.items()}
        return {**{name: getattr(self, name) for name in _PLAIN}, "library": library, **rules}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Result:
        """Read what :meth:`to_json` wrote."""
        library = {float(alpha): Tally.from_json(each) for alpha, each in data["library"].items()}
        original, fixed = (
            None if data[name] is None else Tally.from_json(data[name]) for name in ("original", "fixed")
        )
        return cls(**{name: data[name] for name in _PLAIN}, library=library, original=original, fixed=fixed)

    def _rules(self) -> dict[str, Tally | None]:
        return {"original": self.original, "fixed": self.fixed}


_PLAIN = ("cell", "fingerprint", "runs", "version", "python", "date", "core_seconds")


class Results:
    """The results of all groups, each in a file of its own.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def read(self, group: str) -> dict[str, Result]:
        """Return a group's results by cell."""
        path = self._path(group)
        if not path.exists():
            return {}
        entries = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return {each["cell"]: Result.from_json(each) for each in entries}

    def write(self, group: str, cells: Iterable[str], result: Result) -> None:
        """Put a result into its group's file, in the order of *cells*; those of other cells go.

        The file is replaced as a whole, so that a run that is broken off leaves what it had.
        """
        results = {**self.read(group), result.cell: result}
        entries = [results[name].to_json() for name in cells if name in results]
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"group": group, "cells": entries}, indent=1)
        partial = self._path(group).with_suffix(".partial")
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self._path(group))

    def _path(self, group: str) -> Path:
        return self._folder / f"{group}.json"

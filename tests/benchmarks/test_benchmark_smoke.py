"""Each group of benchmarks runs, with counts so small that its numbers mean nothing."""

from __future__ import annotations

import math

import pytest

from benchmarks.groups import GROUPS, run_apart
from benchmarks.rounds import SMOKE
from benchmarks.rows import Row, Skipped


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_measures_something(name: str) -> None:
    """In a process of its own; whatever needs a package that is not installed says so instead."""
    rows = run_apart(name, SMOKE)

    assert rows
    for row in rows:
        if isinstance(row, Row):
            assert math.isfinite(row.value.median)
        else:
            assert isinstance(row, Skipped)
            assert row.reason

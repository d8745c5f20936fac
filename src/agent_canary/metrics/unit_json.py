"""Tables of units as JSON: units of the same value stand together, so that a table is read in a few steps in C."""

from __future__ import annotations

from itertools import repeat
from math import isfinite
from typing import Any, cast

from ..errors import require_count, require_fraction
from .columns import seconds_from_text, seconds_to_text, units_from_text, units_to_text
from .failing_units import FailingUnits, Shares
from .reading import list_of, part_of, row_of
from .units import MAX_UNITS, FirstOutcome, UnitTable, first_outcomes

_FIRST = ("stage", "share", "on_canary", "failed", "met_canary", "units", "times")


def failing_to_json(table: FailingUnits) -> dict[str, Any]:
    """Return the level, and ``[lo, hi, units]`` for each (lo, hi); the same table gives the same object."""
    groups = sorted(table.groups.items(), key=lambda group: group[1][0])
    return {"level": table.level, "groups": [[lo, hi, units_to_text(units)] for (lo, hi), units in groups]}


def failing_from_json(data: object, max_units: int = MAX_UNITS) -> FailingUnits:
    """Return the table that :func:`failing_to_json` described, of at most *max_units*.

    Raises:
        ValueError: A part is missing or not what it writes.
    """
    groups: dict[Shares, list[int]] = {}
    for group in list_of("groups of failing units", part_of(data, "groups")):
        lo, hi, text = row_of("a group of failing units", ("lo", "hi", "units"), group)
        shares = (require_fraction("lo", lo), None if hi is None else _positive_fraction("hi", hi))
        groups.setdefault(shares, []).extend(units_from_text("units of a group", text))
    table = FailingUnits(max_units)
    table.restore(require_count("level", part_of(data, "level")), groups)
    return table


def first_to_json(table: UnitTable[FirstOutcome]) -> dict[str, Any]:
    """Return the level, and ``[stage, share, on_canary, failed, met_canary, units, times]`` for each such outcome."""
    groups: dict[tuple[int, float, bool, bool, bool], tuple[list[int], list[float]]] = {}
    for unit, (assigned_at, *outcome) in sorted(table.items()):
        units, times = groups.setdefault(cast("tuple[int, float, bool, bool, bool]", tuple(outcome)), ([], []))
        units.append(unit)
        times.append(assigned_at)
    return {
        "level": table.level,
        "groups": [[*key, units_to_text(units), seconds_to_text(times)] for key, (units, times) in groups.items()],
    }


def first_from_json(data: object) -> UnitTable[FirstOutcome]:
    """Return the table that :func:`first_to_json` described.

    Raises:
        ValueError: A part is missing or not what it writes.
    """
    values: dict[int, FirstOutcome] = {}
    count = 0
    for group in list_of("groups of first outcomes", part_of(data, "groups")):
        stage_idx, share, on_canary, failed, met_canary, text, times_text = row_of(
            "a group of first outcomes", _FIRST, group
        )
        units = units_from_text("units of a group", text)
        times = _finite(seconds_from_text("times of a group", times_text))
        key = (
            require_count("stage_idx", stage_idx),
            require_fraction("share", share),
            _flag("on_canary", on_canary),
            _flag("failed", failed),
            _flag("met_canary", met_canary),
        )
        if len(units) != len(times):
            raise ValueError(f"a group must have as many units as times, got {len(units)} and {len(times)}")
        values.update(zip(units, zip(times, *map(repeat, key), strict=False), strict=False))
        count += len(units)
    if len(values) != count:
        raise ValueError(f"each unit must stand in a table once, got {count:,} for {len(values):,} units")
    table = first_outcomes()
    table.restore(require_count("level", part_of(data, "level")), values)
    return table


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")
    return value


def _positive_fraction(name: str, value: object) -> float:
    fraction = require_fraction(name, value)
    if not fraction:
        raise ValueError(f"{name} must be a number in (0, 1] or null, got {value!r}")
    return fraction


def _finite(times: tuple[float, ...]) -> tuple[float, ...]:
    if not all(map(isfinite, times)):
        found = next(time for time in times if not isfinite(time))
        raise ValueError(f"times of first outcomes must be finite seconds, got {found!r}")
    return times

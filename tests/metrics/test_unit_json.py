"""Tables of units as JSON: compact, exact, checked when read."""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.metrics.columns import (
    counts_from_text,
    counts_to_text,
    seconds_from_text,
    seconds_to_text,
    units_from_text,
    units_to_text,
)
from agent_canary.metrics.failing_units import FailingUnits
from agent_canary.metrics.unit_json import failing_from_json, failing_to_json, first_from_json, first_to_json
from agent_canary.metrics.units import first_outcomes

UNIT = st.integers(0, 2**64 - 1)
SHARE = st.floats(0.0, 1.0)
SHARES = st.tuples(SHARE, st.one_of(st.none(), st.floats(0.0, 1.0, exclude_min=True)))
FIRST = st.tuples(st.floats(-1e10, 1e10), st.integers(0, 9), SHARE, st.booleans(), st.booleans(), st.booleans())


def through_text(data: object) -> Any:
    """What a store gives back."""
    return json.loads(json.dumps(data, allow_nan=False))


@given(st.lists(UNIT))
def test_units_survive_as_text(units: list[int]) -> None:
    """All 64 bits, in order."""
    assert units_from_text("units", units_to_text(units)) == tuple(units)


@given(st.lists(st.floats()))
def test_seconds_survive_as_text(times: list[float]) -> None:
    """To the last bit, and in any case without an error."""
    assert list(map(repr, seconds_from_text("times", seconds_to_text(times)))) == list(map(repr, times))


def test_the_text_is_the_same_on_every_host() -> None:
    """Little-endian, in usual base64: 1 and 2 as unsigned numbers, 1.0 as a double."""
    assert units_to_text([1, 2]) == "AQAAAAAAAAACAAAAAAAAAA=="
    assert seconds_to_text([1.0]) == "AAAAAAAA8D8="
    assert units_to_text([]) == seconds_to_text([]) == ""


@pytest.mark.parametrize(
    "text", [None, 7, b"AQAAAAAAAAA=", "AQ==", "AQAAAAAAAAA", "AQAA\nAAAAAAA=", "!QAAAAAAAAA=", "ü"]
)
def test_text_that_is_not_ours_is_refused(text: Any) -> None:
    """The error names what should have been read."""
    with pytest.raises(ValueError, match="units of a group must be base64 of numbers of 8 bytes each, got"):
        units_from_text("units of a group", text)
    with pytest.raises(ValueError, match="times of a group must be base64 of numbers of 8 bytes each, got"):
        seconds_from_text("times of a group", text)


@given(st.lists(st.sampled_from([0, 1, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**64 - 1]), max_size=9))
def test_counts_survive_as_text(counts: list[int]) -> None:
    """Whatever the largest is; of zeros there is no text at all."""
    text = counts_to_text(counts)
    assert list(counts_from_text("counts", text, len(counts))) == counts
    assert (text == "") is not any(counts)


def test_counts_are_as_wide_as_the_largest() -> None:
    """Little-endian, in usual base64: 1 and 2 in one byte each, 1 and 256 in two."""
    assert counts_to_text([1, 2]) == "AQI="
    assert counts_to_text([1, 256]) == "AQAAAQ=="
    assert counts_to_text([0, 0]) == ""
    assert counts_from_text("counts", "", 2) == array("Q", [0, 0])


@pytest.mark.parametrize("text", [None, 7, b"AQI=", "AQ==", "AQID", "AQI", "AQ\nI=", "!QI=", "ü", "AQIDBAUG"])
def test_counts_that_are_not_ours_are_refused(text: Any) -> None:
    """Neither another number of them, nor another width."""
    with pytest.raises(ValueError, match=r"counts must be base64 of 2 counts of 1, 2, 4 or 8 bytes each, got"):
        counts_from_text("counts", text, 2)


def grouped(values: dict[int, Any]) -> dict[Any, list[int]]:
    """The units of each value."""
    return {value: [unit for unit in values if values[unit] == value] for value in values.values()}


@given(st.dictionaries(UNIT, SHARES, max_size=40), st.integers(0, 3))
def test_failing_units_survive_json(values: dict[int, Any], level: int) -> None:
    """Level, units and shares are the same, and what was put in later still is combined."""
    table = FailingUnits()
    table.restore(level, grouped({unit >> level: shares for unit, shares in values.items()}))
    restored = failing_from_json(through_text(failing_to_json(table)))
    assert restored == table
    for unit in values:
        restored.put(unit >> level, (0.5, 0.25))
        table.put(unit >> level, (0.5, 0.25))
    assert restored == table


@given(st.dictionaries(UNIT, FIRST, max_size=40), st.integers(0, 3))
def test_first_outcomes_survive_json(values: dict[int, Any], level: int) -> None:
    """Level, units, times and outcomes are the same, and an earlier outcome still wins."""
    table = first_outcomes()
    table.restore(level, {unit >> level: first for unit, first in values.items()})
    restored = first_from_json(through_text(first_to_json(table)))
    assert restored == table
    for unit in values:
        restored.put(unit >> level, (-1e11, 0, 0.5, True, True, True))
        table.put(unit >> level, (-1e11, 0, 0.5, True, True, True))
    assert restored == table


def test_the_same_table_gives_the_same_text() -> None:
    """The order in which units arrived does not show, so that a store sees when nothing has changed."""
    units = random.Random(1).sample(range(2**62), 50)
    one, other = FailingUnits(), FailingUnits()
    for unit in units:
        one.put(unit, (0.0, 0.5))
    for unit in reversed(units):
        other.put(unit, (0.0, 0.5))
    assert json.dumps(failing_to_json(one)) == json.dumps(failing_to_json(other))


def test_a_full_table_is_compact() -> None:
    """4,096 units take 45 kB of JSON, with their times 89 kB: eleven bytes for each number."""
    chance = random.Random(2)
    failing, first = FailingUnits(), first_outcomes()
    for unit in {chance.getrandbits(64) for _ in range(4096)}:
        failing.put(unit, chance.choice([(0.0, 0.05), (0.01, None), (0.01, 0.05)]))
        outcome = (chance.random() < 0.05, chance.random() < 0.01, chance.random() < 0.05)
        first.put(unit, (1.7e9 + chance.random(), 1, 0.05, *outcome))
    assert (len(failing), len(first)) == (4096, 4096)
    assert len(json.dumps(failing_to_json(failing))) < 45_000
    assert len(json.dumps(first_to_json(first))) < 89_000


UNITS = units_to_text([1, 2**63])
TIMES = seconds_to_text([5.0, 6.0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "data must be an object with 'groups'"),
        ({"level": 0}, "data must be an object with 'groups'"),
        ({"groups": []}, "data must be an object with 'level'"),
        ({"level": -1, "groups": []}, "level must be an integer >= 0"),
        ({"level": 0.0, "groups": []}, "level must be an integer >= 0"),
        ({"level": 65, "groups": []}, r"must have a level in \[0, 64\]"),
        ({"level": 1, "groups": [[0.0, 0.5, UNITS]]}, "units at level 1 must be below"),
        (
            {"level": 0, "groups": [[0.0, 0.5, UNITS], [0.0, None, UNITS]]},
            "each unit must stand in a table once, got 4",
        ),
        ({"level": 0, "groups": {"0": UNITS}}, "groups of failing units must be a list"),
        ({"level": 0, "groups": [[0.0, 0.5]]}, r"a group of failing units must be \[lo, hi, units\]"),
        ({"level": 0, "groups": [[-0.1, 0.5, UNITS]]}, r"lo must be a number in \[0, 1\]"),
        ({"level": 0, "groups": [[None, 0.5, UNITS]]}, r"lo must be a number in \[0, 1\]"),
        ({"level": 0, "groups": [[0.0, 0.0, UNITS]]}, r"hi must be a number in \(0, 1\] or null, got 0.0"),
        ({"level": 0, "groups": [[0.0, 1.5, UNITS]]}, r"hi must be a number in \[0, 1\]"),
        ({"level": 0, "groups": [[0.0, 0.5, "?"]]}, "units of a group must be base64"),
        ({"level": 0, "groups": [[0.0, 0.5, units_to_text(range(4097))]]}, "at most 4,096 units"),
    ],
)
def test_failing_units_that_are_not_ours_are_refused(data: Any, message: str) -> None:
    """What an analysis could not take is found when it is read."""
    with pytest.raises(ValueError, match=message):
        failing_from_json(data)


def group(**parts: Any) -> dict[str, Any]:
    """A table of one group of first outcomes, with some parts of it replaced."""
    whole = {"stage": 1, "share": 0.05, "on_canary": True, "failed": False, "met_canary": True}
    return {"level": 0, "groups": [list({**whole, "units": UNITS, "times": TIMES, **parts}.values())]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "data must be an object with 'groups'"),
        ({"level": 0, "groups": "none"}, "groups of first outcomes must be a list"),
        ({"level": 0, "groups": [[1, 0.05]]}, r"must be \[stage, share, on_canary, failed, met_canary, units, times\]"),
        ({**group(), "level": 1}, "units at level 1 must be below"),
        (group(stage=-1), "stage_idx must be an integer >= 0"),
        (group(stage=1.0), "stage_idx must be an integer >= 0"),
        (group(share=2), r"share must be a number in \[0, 1\]"),
        (group(on_canary=1), "on_canary must be true or false, got 1"),
        (group(failed=None), "failed must be true or false, got None"),
        (group(met_canary="yes"), "met_canary must be true or false, got 'yes'"),
        (group(units="?"), "units of a group must be base64"),
        (group(times="?"), "times of a group must be base64"),
        (group(times=seconds_to_text([5.0])), "as many units as times, got 2 and 1"),
        (group(times=seconds_to_text([5.0, nan])), "times of first outcomes must be finite seconds, got nan"),
        (group(times=seconds_to_text([-inf, 5.0])), "times of first outcomes must be finite seconds, got -inf"),
        (group(units=units_to_text([3, 3])), "each unit must stand in a table once, got 2 for 1"),
    ],
)
def test_first_outcomes_that_are_not_ours_are_refused(data: Any, message: str) -> None:
    """What an analysis could not take is found when it is read."""
    reading: Callable[[object], Any] = first_from_json
    assert len(reading(group())) == 2
    with pytest.raises(ValueError, match=message):
        reading(data)

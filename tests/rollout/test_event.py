"""An event: what it refuses, and its JSON."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import Event, EventKind

PARTS: dict[str, Any] = {
    "revision": 3,
    "id": "c0ffee",
    "at": 1_000_000.5,
    "kind": EventKind.PROMOTED,
    "run": 1,
    "actor": "ada",
    "reason": "it looks good",
}
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)
TIMES = st.floats(-1e12, 1e12)
EVENTS = st.builds(
    Event,
    revision=st.integers(1, 10**9),
    id=st.text(min_size=1),
    at=TIMES,
    kind=st.sampled_from(EventKind),
    run=st.integers(1, 10**6),
    actor=st.text(min_size=1),
    reason=st.text(),
    evidence=st.none() | OBJECTS,
    effective_at=st.none() | TIMES,
    data=st.none() | OBJECTS,
)


@given(EVENTS)
def test_json_gives_the_event_back(event: Event) -> None:
    """Through text and back every part is the same."""
    again = Event.from_json(json.loads(json.dumps(event.to_json(), allow_nan=False)))
    assert again == event
    assert hash(again) == hash(event)


def test_users_feel_it_at_once_unless_said() -> None:
    """Without a time of effect it is the time of the decision."""
    assert Event(**PARTS).effective_at == PARTS["at"]
    assert Event(**PARTS, effective_at=1_000_003.0).effective_at == 1_000_003.0


def test_json_of_a_later_release_is_read() -> None:
    """Keys that this release does not know are ignored; optional ones may be missing."""
    event = Event(**PARTS)
    data = {key: value for key, value in event.to_json().items() if key in PARTS}
    assert Event.from_json({**data, "signature": "of tomorrow"}) == event


class Colour(Enum):
    RED = "red"


def test_evidence_of_any_kind_becomes_json() -> None:
    """No rollback may fail because its evidence holds a number that JSON does not have, or a foreign object."""
    evidence = {
        "e_value": float("inf"),
        "ratio": float("nan"),
        "cost": Decimal("0.5"),
        "share": Fraction(1, 4),
        "colour": Colour.RED,
        7: (1, {"deep": [True, None]}),
        "object": {1}.__class__,
    }
    kept = json.loads(json.dumps(Event(**PARTS, evidence=evidence).to_json(), allow_nan=False))["evidence"]
    assert kept == {
        "e_value": "inf",
        "ratio": "nan",
        "cost": "0.5",
        "share": 0.25,
        "colour": "red",
        "7": [1, {"deep": [True, None]}],
        "object": "<class 'set'>",
    }


def test_evidence_is_a_copy() -> None:
    """What the caller changes afterwards does not change the history."""
    evidence = {"seen": [1]}
    event = Event(**PARTS, evidence=evidence)
    evidence["seen"].append(2)
    assert event.evidence == {"seen": [1]}


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("revision", 0, "revision must be an integer >= 1, got 0"),
        ("revision", 1.0, "revision must be an integer >= 1, got 1.0"),
        ("run", 0, "run must be an integer >= 1, got 0"),
        ("id", "", "id must be a string that is not empty, got ''"),
        ("actor", None, "actor must be a string that is not empty, got None"),
        ("reason", 7, "reason must be a string, got 7"),
        ("at", float("nan"), "at must be finite seconds since the Unix epoch, got nan"),
        ("at", "now", "at must be finite seconds since the Unix epoch, got 'now'"),
        ("at", True, "at must be finite seconds since the Unix epoch, got True"),
        ("effective_at", float("inf"), "effective_at must be finite seconds since the Unix epoch, got inf"),
        ("evidence", [1], "evidence must be a mapping, got [1]"),
        ("data", "x", "data must be a mapping, got 'x'"),
    ],
)
def test_a_bad_part_is_refused(part: str, value: object, message: str) -> None:
    """The message names the part, what it may be and what was found."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Event(**{**PARTS, part: value})


def test_a_kind_of_a_later_release_is_refused() -> None:
    """The message says what to do."""
    with pytest.raises(ValueError, match=r"kind must be one of .*, got 'mirrored': a later release .* so upgrade"):
        Event.from_json({**Event(**PARTS).to_json(), "kind": "mirrored"})


@pytest.mark.parametrize("part", PARTS)
def test_json_without_a_part_is_refused(part: str) -> None:
    """The message names what is missing."""
    data = Event(**PARTS).to_json()
    del data[part]
    with pytest.raises(ValueError, match=f"event must have '{part}', got only"):
        Event.from_json(data)

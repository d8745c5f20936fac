"""A stage: its defaults, its ranges, its JSON."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import Stage

STAGES = st.builds(
    Stage,
    percent=st.floats(0, 1),
    min_duration_seconds=st.floats(0, 1e9) | st.timedeltas(timedelta(0), timedelta(days=9000)),
    min_samples=st.integers(0, 10**9),
    success_threshold=st.floats(0, 1),
    max_p95_ms=st.none() | st.floats(0, 1e9, exclude_min=True),
    min_scored=st.floats(0, 1),
    score_patience=st.floats(0, 1e9) | st.timedeltas(timedelta(0), timedelta(days=9000)),
)


def test_only_the_percent_must_be_given() -> None:
    """The defaults are five minutes, a hundred samples, 99 % success, no latency gate and no wait for scores."""
    stage = Stage(0.05)
    assert (stage.percent, stage.min_duration_seconds, stage.min_samples) == (0.05, 300.0, 100)
    assert (stage.success_threshold, stage.max_p95_ms) == (0.99, None)
    assert (stage.min_scored, stage.score_patience) == (0.0, 1800.0)


def test_all_parts_may_be_given_by_position() -> None:
    """The order is percent, minimum duration, minimum samples, success threshold, p95."""
    stage = Stage(0.25, 900, 500, 0.995, 2000)
    assert stage == Stage(
        percent=0.25, min_duration_seconds=900, min_samples=500, success_threshold=0.995, max_p95_ms=2000
    )


def test_a_duration_may_be_a_timedelta() -> None:
    """It is turned into float seconds once, at the edge."""
    assert Stage(0.1, timedelta(minutes=2)).min_duration_seconds == 120.0
    assert Stage(0.1, score_patience=timedelta(minutes=2)).score_patience == 120.0


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [
        ("percent", -0.01, "a number in [0, 1]"),
        ("percent", 1.01, "a number in [0, 1]"),
        ("percent", 5, "a number in [0, 1]"),
        ("percent", float("nan"), "a number in [0, 1]"),
        ("percent", "0.1", "a number in [0, 1]"),
        ("percent", True, "a number in [0, 1]"),
        ("percent", None, "a number in [0, 1]"),
        ("min_duration_seconds", -1, "finite seconds >= 0 or a timedelta"),
        ("min_duration_seconds", float("inf"), "finite seconds >= 0 or a timedelta"),
        ("min_duration_seconds", timedelta(seconds=-1), "finite seconds >= 0 or a timedelta"),
        ("min_duration_seconds", "5 minutes", "finite seconds >= 0 or a timedelta"),
        ("min_samples", -1, "an integer >= 0"),
        ("min_samples", 1.5, "an integer >= 0"),
        ("min_samples", True, "an integer >= 0"),
        ("success_threshold", 99, "a number in [0, 1]"),
        ("success_threshold", float("nan"), "a number in [0, 1]"),
        ("max_p95_ms", 0, "a finite number > 0"),
        ("max_p95_ms", -5, "a finite number > 0"),
        ("max_p95_ms", float("inf"), "a finite number > 0"),
        ("min_scored", 50, "a number in [0, 1]"),
        ("min_scored", -0.1, "a number in [0, 1]"),
        ("min_scored", None, "a number in [0, 1]"),
        ("score_patience", -1, "finite seconds >= 0 or a timedelta"),
        ("score_patience", float("nan"), "finite seconds >= 0 or a timedelta"),
        ("score_patience", None, "finite seconds >= 0 or a timedelta"),
    ],
)
def test_a_value_out_of_range_is_refused(parameter: str, value: Any, allowed: str) -> None:
    """The message names the parameter, the allowed range and the value that was found."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'{parameter} must be {allowed}, got {value!r}')}"):
        Stage(**{"percent": 0.1, parameter: value})


def test_a_percent_that_is_meant_in_hundredths_is_told_how_to_write_it() -> None:
    """Somebody who writes 5 for five per cent reads what to write instead."""
    with pytest.raises(ValueError, match=r"^percent must be a number in \[0, 1\], got 5: 5 % is 0.05$"):
        Stage(5)


def test_a_stage_does_not_change() -> None:
    """An attribute cannot be set."""
    with pytest.raises(AttributeError):
        Stage(0.1).percent = 0.2


@given(STAGES)
def test_json_gives_the_stage_back(stage: Stage) -> None:
    """Through text and back, every number is the same."""
    assert Stage.from_json(json.loads(json.dumps(stage.to_json(), allow_nan=False))) == stage


def test_json_of_a_later_release_is_read() -> None:
    """A key that this release does not know is ignored; one that is missing has its default."""
    assert Stage.from_json({"percent": 0.1, "mirror_share": 0.5}) == Stage(0.1)


def test_json_of_the_first_release_is_read() -> None:
    """It had no word on scores: a stage then waits for none, as it did."""
    first = {
        "percent": 0.1,
        "min_duration_seconds": 300.0,
        "min_samples": 100,
        "success_threshold": 0.99,
        "max_p95_ms": None,
    }
    assert Stage.from_json(first) == Stage(0.1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "stage must have 'percent', got only []"),
        ([0.1], "stage must be a JSON object with string keys, got [0.1]"),
        ({"percent": 2}, "percent must be a number in [0, 1], got 2: 2 % is 0.02"),
    ],
)
def test_json_that_is_no_stage_is_refused(data: object, message: str) -> None:
    """The message says what is wrong with it."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Stage.from_json(data)

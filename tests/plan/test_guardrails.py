"""Guardrails: their ranges, their JSON, and types that only other releases know."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import FailureRate, Guardrail, Rate, SafetyMargin
from agent_canary.plan import UnknownGuardrail, canonical_json, guardrail_from_json, register_guardrail, registry

TOLERANCES = st.floats(1, 1000)
RATES = st.builds(
    Rate,
    st.text(min_size=1).filter(lambda name: name not in {"failures", "safety_margin", "breaker"}),
    TOLERANCES,
    st.booleans(),
    st.none() | st.floats(0, 1e9, exclude_min=True),
)
MARGINS = st.builds(SafetyMargin, st.floats(0, 1), st.integers(0, 10**9))


def test_a_guardrails_defaults() -> None:
    """A fifth more failures is tolerated; of a score, a 1 is bad and the canary's own horizon holds."""
    assert FailureRate().tolerance == 1.2
    rate = Rate("refusal")
    assert (rate.tolerance, rate.higher_is_better, rate.horizon) == (1.2, False, None)


def test_each_guardrail_has_a_name() -> None:
    """Failures and the fixed rule have names of their own, a rate that of its score."""
    assert [FailureRate().name, Rate("refusal").name, SafetyMargin(0.05, 50).name] == [
        "failures",
        "refusal",
        "safety_margin",
    ]


def test_a_horizon_may_be_a_timedelta() -> None:
    """It is kept in seconds."""
    assert Rate("thumbs_up", horizon=timedelta(minutes=5)).horizon == 300.0


@given(st.builds(FailureRate, TOLERANCES) | RATES | MARGINS)
def test_json_gives_the_guardrail_back(guardrail: Guardrail) -> None:
    """Through text and back, it is the same."""
    assert guardrail_from_json(json.loads(json.dumps(guardrail.to_json(), allow_nan=False))) == guardrail


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: FailureRate(0.9),
            ("tolerance must be a risk ratio in [1, 1000] (1.2 tolerates a fifth more bad outcomes), got 0.9"),
        ),
        (
            lambda: FailureRate(1001),
            ("tolerance must be a risk ratio in [1, 1000] (1.2 tolerates a fifth more bad outcomes), got 1001"),
        ),
        (lambda: FailureRate(float("nan")), "tolerance must be a finite number > 0, got nan"),
        (lambda: Rate(""), "name must be a string that is not empty, got ''"),
        (lambda: Rate(7), "name must be a string that is not empty, got 7"),
        (lambda: Rate("x", -1), "tolerance must be a finite number > 0, got -1"),
        (lambda: Rate("x", higher_is_better=1), "higher_is_better must be True or False, got 1"),
        (lambda: Rate("x", horizon=0), "horizon must be a finite number > 0, got 0.0"),
        (lambda: Rate("x", horizon=timedelta(0)), "horizon must be a finite number > 0, got 0.0"),
        (lambda: Rate("x", horizon=-1), "horizon must be finite seconds >= 0 or a timedelta, got -1"),
        (lambda: SafetyMargin(1.5, 50), "margin must be a number in [0, 1], got 1.5: 1.5 % is 0.015"),
        (lambda: SafetyMargin(0.05, -1), "min_samples must be an integer >= 0, got -1"),
    ],
)
def test_a_value_out_of_range_is_refused(make: Any, message: str) -> None:
    """The message names the parameter, the allowed range and the value that was found."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize("name", ["failures", "safety_margin", "breaker"])
def test_a_score_may_not_be_called_like_a_guardrail(name: str) -> None:
    """The users of a score of that name and those of failed requests would be counted as one."""
    with pytest.raises(ValueError, match=f"name must be a score's, other than .*, got '{name}'"):
        Rate(name)


def test_an_unknown_type_is_kept_as_it_is() -> None:
    """A process can follow a rollout whose guardrails only a later release can judge."""
    data = {"type": "latency_p50", "name": "p50", "tolerance": 1.1, "nested": {"b": [1, 2.0], "a": None}}
    guardrail = guardrail_from_json(data)
    assert isinstance(guardrail, UnknownGuardrail)
    assert guardrail.name == "p50"
    assert canonical_json(guardrail.to_json()) == canonical_json(data)
    assert guardrail_from_json(guardrail.to_json()) == guardrail


def test_an_unknown_guardrail_without_a_name_goes_by_its_type() -> None:
    """Something must be shown in findings."""
    assert guardrail_from_json({"type": "latency_p50"}).name == "latency_p50"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("failures", "guardrail must be a JSON object with string keys, got 'failures'"),
        ({1: 2}, "guardrail must be a JSON object with string keys, got {1: 2}"),
        ({"name": "x"}, "guardrail must have 'type', got only ['name']"),
        ({"type": ""}, "type must be a string that is not empty, got ''"),
        ({"type": "failure_rate"}, "failure_rate must have 'tolerance', got only ['type']"),
        (
            {"type": "safety_margin", "margin": 2, "min_samples": 1},
            "margin must be a number in [0, 1], got 2: 2 % is 0.02",
        ),
    ],
)
def test_json_that_is_no_guardrail_is_refused(data: object, message: str) -> None:
    """The message says what is wrong with it."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        guardrail_from_json(data)


@dataclass(frozen=True)
class Politeness:
    """A guardrail of somebody else."""

    level: int

    @property
    def name(self) -> str:
        return "politeness"

    def to_json(self) -> dict[str, Any]:
        return {"type": "politeness", "name": self.name, "level": self.level}


def read_politeness(data: Mapping[str, Any]) -> Politeness:
    return Politeness(data["level"])


def test_a_registered_type_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's own guardrail comes back as what it was; registering its reader again is no error."""
    monkeypatch.setattr(registry, "_readers", dict(registry._readers))
    register_guardrail("politeness", read_politeness)
    register_guardrail("politeness", read_politeness)
    assert guardrail_from_json(Politeness(3).to_json()) == Politeness(3)


def test_a_type_has_one_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second reader of the same type is refused, and the first one stays."""
    monkeypatch.setattr(registry, "_readers", dict(registry._readers))
    with pytest.raises(ValueError, match=r"type_name must be new, got 'failure_rate'.*choose another type"):
        register_guardrail("failure_rate", read_politeness)
    assert guardrail_from_json(FailureRate().to_json()) == FailureRate()


def test_a_type_must_have_a_name() -> None:
    """An empty type name is refused."""
    with pytest.raises(ValueError, match="type_name must be a string that is not empty, got ''"):
        register_guardrail("", read_politeness)

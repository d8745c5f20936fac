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

from agent_canary import Guardrail
from agent_canary.plan import (
    Cost,
    FailureRate,
    FirstToken,
    Latency,
    Rate,
    SafetyMargin,
    SampleRatio,
    Score,
    Threshold,
    Tokens,
    UnknownGuardrail,
    canonical_json,
    guardrail_from_json,
    register_guardrail,
    registry,
)
from agent_canary.plan.names import THRESHOLD_METRICS
from tests.plan.plan_strategies import AMOUNTS, GUARDRAILS

AMOUNT_KINDS = [Latency, FirstToken, Cost, Tokens]


def test_a_rates_defaults() -> None:
    """A fifth more failures is tolerated; of a score, a 1 is bad and the canary's own horizon holds."""
    assert FailureRate().tolerance == 1.2
    rate = Rate("refusal")
    assert (rate.tolerance, rate.higher_is_better, rate.horizon) == (1.2, False, None)


def test_a_scores_defaults() -> None:
    """Higher is better, two hundredths less are tolerated, and its bounds are not known."""
    score = Score("judge")
    assert (score.tolerance, score.higher_is_better, score.horizon, score.bounds) == (0.02, True, None, None)


@pytest.mark.parametrize("kind", AMOUNT_KINDS)
def test_an_amounts_defaults(kind: type[Latency | FirstToken | Cost | Tokens]) -> None:
    """The mix of three quantiles, of which a tenth more is tolerated, from the first answer on."""
    amount = kind()
    assert (amount.quantile, amount.quantiles, amount.tolerance) == (None, (0.5, 0.95, 0.99), 1.1)
    assert getattr(amount, "warm_up", 0.0) == 0.0


def test_a_thresholds_defaults() -> None:
    """It looks from fifty answers on."""
    assert Threshold("p95_ms", at_most=2000).min_samples == 50


@pytest.mark.parametrize(
    ("guardrail", "name"),
    [
        (FailureRate(), "failures"),
        (Rate("refusal"), "refusal"),
        (Score("judge"), "judge"),
        (Latency(), "latency"),
        (Latency(0.95), "latency_p95"),
        (Latency(0.999), "latency_p99.9"),
        (FirstToken(0.5), "first_token_p50"),
        (Cost(), "cost"),
        (Cost(0.29), "cost_p29"),
        (Tokens(0.999999), "tokens_p99.9999"),
        (SampleRatio(), "sample_ratio"),
        (SafetyMargin(0.05, 50), "safety_margin"),
        (Threshold("p95_ms", at_most=2000), "threshold_p95_ms"),
        (Threshold("judge", at_least=0.8), "threshold_judge"),
    ],
)
def test_each_guardrail_has_a_name(guardrail: Guardrail, name: str) -> None:
    """A rate's and a score's is that of its score, an amount's tells its quantile, the others have one of their own."""
    assert guardrail.name == name
    assert isinstance(guardrail, Guardrail)


@given(AMOUNTS)
def test_an_amount_counts_each_of_its_quantiles(amount: Latency | FirstToken | Cost | Tokens) -> None:
    """Under a name that tells amount and quantile; a guardrail of one quantile has that name itself."""
    metrics = [amount.metric_of(quantile) for quantile in amount.quantiles]
    assert len(set(metrics)) == len(metrics)
    assert all(metric.startswith(f"{amount.amount}_p") for metric in metrics)
    assert metrics == [amount.name] or (amount.quantile, amount.name) == (None, amount.amount)


def test_guardrails_of_different_amounts_are_not_equal() -> None:
    """However alike their parameters are."""
    assert len({Latency(), FirstToken(), Cost(), Tokens()}) == 4


@pytest.mark.parametrize("guardrail", [Latency(), Cost(0.95), Score("judge"), Threshold("tokens", 5), SampleRatio()])
def test_a_guardrail_does_not_change(guardrail: Any) -> None:
    """An attribute cannot be set."""
    with pytest.raises(AttributeError):
        guardrail.tolerance = 2.0


def test_a_horizon_may_be_a_timedelta() -> None:
    """It is kept in seconds."""
    assert Rate("thumbs_up", horizon=timedelta(minutes=5)).horizon == 300.0
    assert Score("judge", horizon=timedelta(minutes=5)).horizon == 300.0


@pytest.mark.parametrize("kind", [Latency, FirstToken])
def test_a_warm_up_may_be_a_timedelta(kind: type[Latency | FirstToken]) -> None:
    """It is kept in seconds."""
    assert kind(warm_up=timedelta(minutes=5)).warm_up == 300.0


def test_bounds_are_kept_as_two_floats() -> None:
    """Also when they come as a list of integers, as JSON has them."""
    bounds: Any = [0, 5]
    assert Score("judge", bounds=bounds).bounds == (0.0, 5.0)


@given(GUARDRAILS)
def test_json_gives_the_guardrail_back(guardrail: Guardrail) -> None:
    """Through text and back, it is the same, and its JSON has its name."""
    assert guardrail.to_json()["name"] == guardrail.name
    assert guardrail_from_json(json.loads(json.dumps(guardrail.to_json(), allow_nan=False))) == guardrail


MORE_BAD = "(1.2 tolerates a fifth more bad outcomes)"
MORE = "(1.1 tolerates a tenth more)"
BOUNDS = "bounds must be (low, high) with low < high, or None where they are not known"
ONE_BOUND = "exactly one of at_most and at_least must be given"
QUANTILE = "quantile must be above 0 and below 1, or None for the mix"
SECONDS = "finite seconds >= 0 or a timedelta"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FailureRate(0.9), f"tolerance must be a ratio in [1, 1000] {MORE_BAD}, got 0.9"),
        (lambda: FailureRate(1001), f"tolerance must be a ratio in [1, 1000] {MORE_BAD}, got 1001"),
        (lambda: FailureRate(float("nan")), "tolerance must be a finite number > 0, got nan"),
        (lambda: Rate(""), "name must be a string that is not empty, got ''"),
        (lambda: Rate(7), "name must be a string that is not empty, got 7"),
        (lambda: Rate("x", -1), "tolerance must be a finite number > 0, got -1"),
        (lambda: Rate("x", higher_is_better=1), "higher_is_better must be True or False, got 1"),
        (lambda: Rate("x", horizon=0), "horizon must be a finite number > 0, got 0.0"),
        (lambda: Rate("x", horizon=timedelta(0)), "horizon must be a finite number > 0, got 0.0"),
        (lambda: Rate("x", horizon=-1), f"horizon must be {SECONDS}, got -1"),
        (lambda: Score(None), "name must be a string that is not empty, got None"),
        (lambda: Score("x", -0.1), "tolerance must be a finite number >= 0, got -0.1"),
        (lambda: Score("x", float("inf")), "tolerance must be a finite number >= 0, got inf"),
        (lambda: Score("x", higher_is_better="no"), "higher_is_better must be True or False, got 'no'"),
        (lambda: Score("x", horizon=0), "horizon must be a finite number > 0, got 0.0"),
        (lambda: Score("x", bounds=(1, 1)), f"{BOUNDS}, got (1, 1)"),
        (lambda: Score("x", bounds=(1, 0)), f"{BOUNDS}, got (1, 0)"),
        (lambda: Score("x", bounds=(1,)), f"{BOUNDS}, got (1,)"),
        (lambda: Score("x", bounds=1), f"{BOUNDS}, got 1"),
        (lambda: Score("x", bounds="01"), f"{BOUNDS}, got '01'"),
        (lambda: Score("x", bounds=(0, float("inf"))), "bounds must be a finite number, got inf"),
        (lambda: Score("x", bounds=(False, 1)), "bounds must be a finite number, got False"),
        (
            lambda: Score("x", 1.0, bounds=(0, 1)),
            "tolerance must be below the width of bounds, 1, got 1.0: no canary could ever be worse than that",
        ),
        (lambda: SafetyMargin(1.5, 50), "margin must be a number in [0, 1], got 1.5: 1.5 % is 0.015"),
        (lambda: SafetyMargin(0.05, -1), "min_samples must be an integer >= 0, got -1"),
        (lambda: Threshold("", 5), "metric must be a string that is not empty, got ''"),
        (lambda: Threshold("judge"), f"{ONE_BOUND}, got at_most=None and at_least=None"),
        (lambda: Threshold("judge", 1, 0), f"{ONE_BOUND}, got at_most=1 and at_least=0"),
        (lambda: Threshold("judge", True), "at_most must be a finite number, got True"),
        (lambda: Threshold("judge", 10**400), f"at_most must be a finite number, got {10**400}"),
        (lambda: Threshold("judge", at_least=float("nan")), "at_least must be a finite number, got nan"),
        (lambda: Threshold("p95_ms", -1), "at_most must be a finite number >= 0, got -1"),
        (lambda: Threshold("success_rate", at_least=99), "at_least must be a number in [0, 1], got 99: 99 % is 0.99"),
        (lambda: Threshold("tokens", 5, min_samples=-1), "min_samples must be an integer >= 0, got -1"),
    ],
)
def test_a_value_out_of_range_is_refused(make: Any, message: str) -> None:
    """The message names the parameter, the allowed range and the value that was found."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize("kind", AMOUNT_KINDS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"quantile": 0}, f"{QUANTILE}, got 0"),
        ({"quantile": 1}, f"{QUANTILE}, got 1"),
        ({"quantile": 95}, f"{QUANTILE}, got 95: p95 is 0.95"),
        ({"quantile": -0.5}, f"{QUANTILE}, got -0.5"),
        ({"quantile": "p95"}, "quantile must be a finite number, got 'p95'"),
        ({"quantile": float("nan")}, "quantile must be a finite number, got nan"),
        ({"tolerance": 0.99}, f"tolerance must be a ratio in [1, 1000] {MORE}, got 0.99"),
        ({"tolerance": 1e6}, f"tolerance must be a ratio in [1, 1000] {MORE}, got 1000000.0"),
        ({"tolerance": None}, "tolerance must be a finite number > 0, got None"),
    ],
)
def test_an_amounts_value_out_of_range_is_refused(kind: Any, parameters: dict[str, Any], message: str) -> None:
    """The same for all amounts."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind(**parameters)


@pytest.mark.parametrize("kind", [Latency, FirstToken])
@pytest.mark.parametrize("value", [-1, float("inf"), None, timedelta(-1)])
def test_a_bad_warm_up_is_refused(kind: Any, value: Any) -> None:
    """It is a duration."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'warm_up must be {SECONDS}, got {value!r}')}$"):
        kind(warm_up=value)


RESERVED = [
    "failures",
    "safety_margin",
    "breaker",
    "sample_ratio",
    "latency",
    "latency_p95",
    "latency_p99.9",
    "first_token",
    "first_token_p50",
    "cost",
    "cost_p5",
    "tokens",
    "tokens_p99",
    *THRESHOLD_METRICS,
]


@pytest.mark.parametrize("kind", [Rate, Score])
@pytest.mark.parametrize("name", RESERVED)
def test_a_score_may_not_be_called_like_something_of_the_library(kind: Any, name: str) -> None:
    """Its answers and those of the library's own metric of that name would be counted as one."""
    with pytest.raises(ValueError, match=f"name must be a score's, other than .*, got '{re.escape(name)}'"):
        kind(name)


@pytest.mark.parametrize("name", ["latency_perceived", "cost_rating", "my_failures", "Latency", "p95"])
def test_a_score_may_be_called_nearly_like_it(name: str) -> None:
    """Only what the library itself would write is taken."""
    assert (Rate(name).name, Score(name).name) == (name, name)


@given(AMOUNTS)
def test_no_score_can_have_the_name_of_an_amount(amount: Latency | FirstToken | Cost | Tokens) -> None:
    """Whatever its quantile."""
    for name in (amount.name, *map(amount.metric_of, amount.quantiles)):
        with pytest.raises(ValueError, match="name must be a score's"):
            Score(name)


@pytest.mark.parametrize("metric", sorted({*RESERVED, "p90_ms", "first_token_p99_ms"} - {*THRESHOLD_METRICS}))
def test_a_threshold_on_what_nobody_measures_is_refused(metric: str) -> None:
    """It would be taken for a score that never comes, and never trip."""
    with pytest.raises(ValueError, match=f"metric must be a score's name or one of .*, got '{re.escape(metric)}'"):
        Threshold(metric, at_most=1)


@pytest.mark.parametrize("metric", [*THRESHOLD_METRICS, "judge"])
def test_a_threshold_on_what_is_measured_is_made(metric: str) -> None:
    """One bound on either side; a score may be below 0."""
    assert Threshold(metric, at_least=1).at_least == 1.0
    assert Threshold(metric, at_most=0).at_most == 0.0
    assert Threshold("judge", at_least=-1).at_least == -1.0


def test_an_unknown_type_is_kept_as_it_is() -> None:
    """A process can follow a rollout whose guardrails only a later release can judge."""
    data = {"type": "of_tomorrow", "name": "p50", "tolerance": 1.1, "nested": {"b": [1, 2.0], "a": None}}
    guardrail = guardrail_from_json(data)
    assert isinstance(guardrail, UnknownGuardrail)
    assert guardrail.name == "p50"
    assert canonical_json(guardrail.to_json()) == canonical_json(data)
    assert guardrail_from_json(guardrail.to_json()) == guardrail


def test_an_unknown_guardrail_without_a_name_goes_by_its_type() -> None:
    """Something must be shown in findings."""
    assert guardrail_from_json({"type": "of_tomorrow"}).name == "of_tomorrow"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("failures", "guardrail must be a JSON object with string keys, got 'failures'"),
        ({1: 2}, "guardrail must be a JSON object with string keys, got {1: 2}"),
        ({"name": "x"}, "guardrail must have 'type', got only ['name']"),
        ({"type": ""}, "type must be a string that is not empty, got ''"),
        ({"type": "failure_rate"}, "failure_rate must have 'tolerance', got only ['type']"),
        ({"type": "score", "name": "x"}, "score must have 'tolerance', got only ['name', 'type']"),
        ({"type": "latency"}, "latency must have 'quantile', got only ['type']"),
        (
            {"type": "latency", "quantile": None, "tolerance": 2},
            "latency must have 'warm_up', got only ['quantile', 'tolerance', 'type']",
        ),
        ({"type": "cost", "quantile": None}, "cost must have 'tolerance', got only ['quantile', 'type']"),
        ({"type": "threshold"}, "threshold must have 'metric', got only ['type']"),
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

"""Guardrails, stages and plans of every kind, for property tests."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from agent_canary import Guardrail, Plan, Stage
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
    guardrail_from_json,
)

RATIOS = st.floats(1, 1000)
SCORE_NAMES = st.sampled_from(["judge", "refusal", "thumbs_up", "Judge", "p95"]) | st.text(min_size=1).map(
    "ü {}".format
)
QUANTILES = st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True) | st.sampled_from([0.5, 0.95, 0.99, 0.999])
DURATIONS = st.floats(0, 1e9) | st.timedeltas(timedelta(0), timedelta(days=9000))
HORIZONS = st.none() | st.floats(0, 1e9, exclude_min=True)
NUMBERS = st.floats(-1e9, 1e9)
BOUNDS = st.none() | st.tuples(st.floats(-1e6, 0), st.floats(100, 1e6))

RATES = st.builds(FailureRate, RATIOS) | st.builds(Rate, SCORE_NAMES, RATIOS, st.booleans(), HORIZONS)
SCORES = st.builds(Score, SCORE_NAMES, st.floats(0, 99), st.booleans(), HORIZONS, BOUNDS)
AMOUNTS = (
    st.builds(Latency, QUANTILES, RATIOS, DURATIONS)
    | st.builds(FirstToken, QUANTILES, RATIOS, DURATIONS)
    | st.builds(Cost, QUANTILES, RATIOS)
    | st.builds(Tokens, QUANTILES, RATIOS)
)
FIXED = (
    st.builds(SafetyMargin, st.floats(0, 1), st.integers(0, 10**9))
    | st.builds(Threshold, SCORE_NAMES, at_most=NUMBERS, min_samples=st.integers(0, 10**9))
    | st.builds(Threshold, st.just("success_rate"), at_least=st.floats(0, 1))
    | st.builds(Threshold, st.sampled_from(["p95_ms", "first_token_p50_ms", "cost_usd", "tokens"]), st.floats(0, 1e9))
)
GUARDRAILS: st.SearchStrategy[Guardrail] = RATES | SCORES | AMOUNTS | FIXED | st.just(SampleRatio())
FROM_TOMORROW = guardrail_from_json({"type": "of_tomorrow", "name": "new", "shape": [1, {"b": 2}]})

STAGE_LISTS = (
    st.lists(st.floats(0, 1), min_size=1, max_size=4)
    .map(sorted)
    .flatmap(lambda percents: st.tuples(*(_stages(percent) for percent in percents)))
)


def _stages(percent: float) -> st.SearchStrategy[Stage]:
    return st.builds(
        Stage,
        st.just(percent),
        min_duration_seconds=DURATIONS,
        min_samples=st.integers(0, 10**9),
        success_threshold=st.floats(0, 1),
        max_p95_ms=st.none() | st.floats(0, 1e9, exclude_min=True),
        min_scored=st.floats(0, 1),
        score_patience=DURATIONS,
    )


def metrics_of(guardrail: Guardrail) -> list[str]:
    """Return what no two guardrails of a plan may share."""
    shared = [guardrail.name]
    if isinstance(guardrail, Cost | FirstToken | Latency | Tokens):
        shared += map(guardrail.metric_of, guardrail.quantiles)
    return shared


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Return plans of all parts, with guardrails in either role and none, or with the default ones."""
    taken: set[str] = set()
    watched: list[Guardrail] = []
    default = draw(st.booleans())
    if default:
        taken |= {"failures", "latency", "latency_p50", "latency_p95", "latency_p99", "sample_ratio"}
    for guardrail in draw(st.lists(GUARDRAILS | st.just(FROM_TOMORROW), max_size=5)):
        if taken.isdisjoint(metrics_of(guardrail)):
            taken.update(metrics_of(guardrail))
            watched.append(guardrail)
    split = 0 if default else draw(st.integers(0, len(watched)))
    unsettled = st.sampled_from(["hold", "promote", "pause", "rollback"])
    return Plan(
        draw(STAGE_LISTS),
        None if default else watched[:split],
        watched[split:],
        draw(st.booleans()),
        promote=draw(st.sampled_from(["when_not_failing", "when_not_worse"])),
        delta=draw(st.floats(0, 1, exclude_min=True)),
        on_no_data=draw(unsettled),
        on_inconclusive=draw(unsettled),
        patience=draw(DURATIONS),
    )

"""What type checkers must make of the public API; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, assert_type
from uuid import UUID

from agent_canary import (
    AgentCanary,
    Assignment,
    AutoAction,
    CanaryRouter,
    Cohort,
    Comparison,
    Cost,
    Decision,
    Event,
    FailureRate,
    Finding,
    FirstToken,
    Latency,
    Rate,
    Rollout,
    SampleRatio,
    Score,
    ShadowDeployment,
    Stage,
    Threshold,
    Tokens,
    Verdict,
    VersionMetrics,
    current_assignment,
    is_shadow,
    register_guardrail,
)


class CostPerSuccess:
    name = "cost_per_success"

    def to_json(self) -> dict[str, Any]:
        return {"type": self.name, "name": self.name}

    def judge(self, comparison: Comparison) -> Finding:
        assert_type(comparison.canary.latency_ms, Mapping[float, float])
        return comparison.finding("pass", "cheap", canary_value=comparison.canary.cost_usd)


register_guardrail("cost_per_success", lambda data: CostPerSuccess())


def told(event: Event) -> None:
    assert_type(event.evidence, Mapping[str, Any] | None)


canary = AgentCanary(
    "v1",
    "v2",
    Rollout(
        [Stage(0.05, timedelta(minutes=5)), Stage(1.0)],
        rollback_on=[
            FailureRate(),
            Rate("thumbs_down", horizon=timedelta(minutes=5)),
            Latency(0.95, warm_up=timedelta(minutes=1)),
            Score("judge", tolerance=0.02, bounds=(0, 1)),
            SampleRatio(),
        ],
        hold_on=[
            Rate("refused"),
            FirstToken(),
            Cost(0.5),
            Tokens(),
            Threshold("p95_ms", at_most=8000),
            CostPerSuccess(),
        ],
        promote="when_not_worse",
        on_no_data="pause",
        patience=timedelta(hours=6),
    ),
    0.05,
    50,
    name="support",
    on_event=told,
    secret=["new", b"old"],
    overrides={"ceo": "v1", 7: "v2"},
    cohorts=[Cohort("staff", lambda context: context.get("staff"), 1.0)],
    outcome_horizon=timedelta(seconds=30),
)

assert_type(canary.route("user"), str)
assert_type(canary.route(UUID(int=7), {"tier": "gold"}), str)
assert_type(canary.assign(7), Assignment)
with canary.assign("user") as assignment:
    assert_type(assignment, Assignment)
    assert_type(assignment.version, str)
    assert_type(assignment.bucket, float | None)


def length(text: str) -> int:
    return len(text)


async def alength(text: str) -> int:
    return len(text)


shadow = ShadowDeployment(length, length)
assert_type(shadow.call("text"), int)


async def asynchronous() -> None:
    assert_type(await ShadowDeployment(alength, length).acall("text"), int)
    async with canary.assign("user") as inner:
        assert_type(inner, Assignment)
    assert_type(await canary.acall("user", {"v1": alength, "v2": alength}, "text"), int)


assert_type(canary.call("user", {"v1": length, "v2": length}, "text", fallback=True), int)
assert_type(canary.score(assignment.id, "judge", 0.9), bool)
assert_type(canary.auto_decide(), AutoAction)
assert_type(canary.explain(), Verdict)
assert_type(canary.explain().findings, tuple[Finding, ...])
assert_type(canary.explain().findings[0].interval, tuple[float, float] | None)
assert_type(canary.record("v1", True, 120.0, scores={"judge": 0.9}), None)
assert_type(Rollout.guarded(on_inconclusive="rollback"), Rollout)
assert_type(canary.tick(), Verdict | None)
assert_type(canary.metrics("v1"), VersionMetrics)
assert_type(canary.metrics("v1").p95_ms, float)
assert_type(canary.status(), dict[str, Any])
assert_type(canary.rollout.promote(), bool)
assert_type(CanaryRouter(0.05).decide("user"), Decision)
assert_type(current_assignment(), Assignment | None)
assert_type(is_shadow(), bool)

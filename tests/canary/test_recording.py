"""Recording by hand, as with the original: route, do the work, say what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent_canary import AgentCanary, AutoAction, Cohort, RolloutStatus, Stage
from agent_canary.testing import ManualClock
from tests.canary.kit import counted, key_on, users

Make = Callable[..., AgentCanary]


def test_the_originals_way_works(make_canary: Make, clock: ManualClock) -> None:
    """Route, record, decide, apply: a canary that is as good goes on to the next stage."""
    canary = make_canary(stages=[Stage(0.5, 300, 20), Stage(1.0)])
    for key in users(200):
        canary.record(canary.route(key), True, 120.0)
    assert canary.auto_decide() is AutoAction.HOLD
    clock.advance(300)
    action = canary.auto_decide()
    assert action is AutoAction.PROMOTE
    assert canary.rollout.current_stage_idx == 0
    canary.apply(action)
    assert canary.rollout.current_stage_idx == 1


def test_the_originals_rule_rolls_back_where_it_is_asked_for(make_canary: Make) -> None:
    """Success below stable's minus the margin, from so many canary answers on."""
    canary = make_canary(rollback_safety_margin=0.05, rollback_min_samples=20, rollback_on=[])
    for _ in range(100):
        canary.record("v1", True, 10)
    for number in range(19):
        canary.record("v2", number > 2, 10)
    assert canary.auto_decide() is AutoAction.HOLD
    canary.record("v2", True, 10)
    assert canary.auto_decide() is AutoAction.ROLLBACK
    canary.apply(AutoAction.ROLLBACK)
    assert canary.status()["traffic_share"] == 0.0
    assert canary.rollout.history[-1].reason.startswith("safety_margin: success 85.0 % of 20 answers on the canary")


def test_without_the_margin_there_is_no_fixed_rule(make_canary: Make) -> None:
    """The same answers do not roll back: three failures are no evidence."""
    canary = make_canary()
    for _ in range(100):
        canary.record("v1", True, 10)
    for number in range(20):
        canary.record("v2", number > 2, 10)
    assert canary.auto_decide() is not AutoAction.ROLLBACK


def test_metrics_are_the_originals(canary: AgentCanary) -> None:
    """Counts, success rate and percentiles, in milliseconds, of each version."""
    for latency in (100.0, 200.0, 300.0):
        canary.record("v1", True, latency)
    canary.record("v1", False, 400.0)
    metrics = canary.metrics("v1")
    assert (metrics.total, metrics.successes, metrics.failures, metrics.success_rate) == (4, 3, 1, 0.75)
    assert metrics.p50_ms == 250.0
    assert canary.metrics("v2").total == 0
    assert canary.metrics("v2").success_rate == 1.0


@pytest.mark.parametrize("version", ["v3", "", None, 5, ["v1"]])
def test_an_unknown_version_is_refused(canary: AgentCanary, version: Any) -> None:
    """By record, with and without a key, and by metrics."""
    message = r"version must be one of \['v1', 'v2'\], got "
    with pytest.raises(ValueError, match=message):
        canary.record(version, True, 10)
    with pytest.raises(ValueError, match=message):
        canary.record(version, True, 10, sticky_key="a")
    with pytest.raises(ValueError, match=message):
        canary.metrics(version)


@pytest.mark.parametrize("latency_ms", [float("nan"), float("inf"), -1, -0.001, "10", None])
@pytest.mark.parametrize("sticky_key", [None, "a"])
def test_a_bad_latency_is_refused(canary: AgentCanary, latency_ms: Any, sticky_key: str | None) -> None:
    """With and without a key; nothing is counted."""
    with pytest.raises(ValueError, match=f"latency_ms must be .* >= 0, got {latency_ms!r}"):
        canary.record("v1", True, latency_ms, sticky_key=sticky_key)
    assert counted(canary, "v1") == (0, 0, 0)


def test_a_record_is_judged_at_the_next_analysis(canary: AgentCanary) -> None:
    """It has no open time."""
    for _ in range(20):
        canary.record("v2", False, 10)
    assert canary.auto_decide() is AutoAction.ROLLBACK


def test_a_record_with_a_key_is_evidence_by_its_user(canary: AgentCanary, clock: ManualClock) -> None:
    """One user who fails a hundred times is one failing user; without the key these would be a hundred answers."""
    bad, good = key_on(canary, "v2"), key_on(canary, "v2", 1)
    for _ in range(50):
        canary.record("v2", False, 10, sticky_key=bad)
        canary.record("v2", True, 10, sticky_key=good)
        canary.record("v1", True, 10, sticky_key=key_on(canary, "v1"))
    clock.advance(1)
    canary.tick()
    verdict = canary.tick()
    assert verdict is not None
    failures, *_ = verdict.findings
    assert (failures.canary_total, failures.canary_bad, failures.canary_bad_users) == (100, 50, 1)
    assert verdict.action is not AutoAction.ROLLBACK
    assert counted(canary, "v2") == (50, 50, 0)


def test_a_record_of_a_version_that_the_key_does_not_get_is_no_evidence(make_canary: Make, clock: ManualClock) -> None:
    """Who was put on the canary by hand was not randomised; it is counted all the same."""
    canary = make_canary(stages=[Stage(0.05)])
    for number in range(40):
        canary.record("v2", False, 10, sticky_key=key_on(canary, "v1", number))
    clock.advance(1)
    canary.tick()
    assert counted(canary, "v2") == (0, 40, 0)
    assert canary.explain().findings[0].canary_total == 0


def test_records_of_either_kind_count_for_the_stage(make_canary: Make, clock: ManualClock) -> None:
    """Ten with a key and ten without are twenty."""
    canary = make_canary(stages=[Stage(0.5, 0, 20), Stage(1.0)])
    for number in range(10):
        canary.record("v2", True, 10)
        canary.record("v2", True, 10, sticky_key=key_on(canary, "v2", number))
    clock.advance(1)
    canary.tick()
    assert canary.rollout.current_stage_idx == 1


def test_the_canarys_metrics_are_of_the_present_stage(canary: AgentCanary) -> None:
    """A stage's samples are what was assigned in it; stable's are of the process's life."""
    canary.record("v1", True, 10)
    canary.record("v2", True, 10)
    canary.assign(key_on(canary, "v2")).succeed()
    late = canary.assign(key_on(canary, "v2"))
    canary.rollout.promote()
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (1, 0)
    late.succeed()
    assert canary.metrics("v2").total == 0
    canary.record("v2", True, 10)
    assert canary.metrics("v2").total == 1


def test_users_of_a_cohort_are_no_evidence_by_record_either(make_canary: Make, clock: ManualClock) -> None:
    """With the context that they were routed by: staff who always fail do not roll back a canary."""
    staff = Cohort("staff", lambda context: context.get("staff"), 1.0)
    canary = make_canary(stages=[Stage(0.5)], cohorts=[staff])
    for number in range(100):
        canary.record("v2", False, 1.0, sticky_key=f"staff-{number}", context={"staff": True})
    clock.advance(1)
    canary.tick()
    assert canary.rollout.status is RolloutStatus.RUNNING
    assert canary.metrics("v2").failures == 100


@pytest.mark.parametrize("success", ["no", None, 2])
def test_a_success_that_is_none_is_refused_with_a_key_too(canary: AgentCanary, success: Any) -> None:
    """As without one."""
    with pytest.raises(ValueError, match=f"success must be True or False, got {success!r}"):
        canary.record("v1", success, 1.0, sticky_key="ada")

"""Being told: events, log lines, the warning about few units, and the status."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from agent_canary import AgentCanary, Event, Rate, Stage
from agent_canary.testing import ManualClock
from tests.canary.kit import key_on, let_run, serve, users

Make = Callable[..., AgentCanary]


def test_each_event_is_one_log_line_and_one_call(make_canary: Make, caplog: pytest.LogCaptureFixture) -> None:
    """With the sentence, the actor and the run; a rollback is a warning."""
    caplog.set_level(logging.INFO, logger="agent_canary")
    told: list[Event] = []
    canary = make_canary(name="support-agent", on_event=told.append)
    canary.rollout.promote("looks good", actor="ada")
    canary.rollout.pause("lunch", actor="ada")
    canary.rollout.resume("back", actor="ada")
    canary.rollout.rollback("3 AM", actor="bob")
    canary.rollout.restart("fixed", actor="bob")
    canary.rollout.promote_full("urgent", actor="bob")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "agent_canary rollout 'support-agent', run 1: started by auto: rollout of 'v2' over 'v1'"),
        ("INFO", "agent_canary rollout 'support-agent', run 1: promoted by ada: looks good"),
        ("INFO", "agent_canary rollout 'support-agent', run 1: paused by ada: lunch"),
        ("INFO", "agent_canary rollout 'support-agent', run 1: resumed by ada: back"),
        ("WARNING", "agent_canary rollout 'support-agent', run 1: rolled back by bob: 3 AM"),
        ("INFO", "agent_canary rollout 'support-agent', run 2: started by bob: fixed"),
        ("INFO", "agent_canary rollout 'support-agent', run 2: completed by bob: urgent"),
    ]
    assert told == list(canary.rollout.history)


def test_a_callback_finds_the_new_state(make_canary: Make) -> None:
    """Traffic, too, follows the event before anybody is told of it."""
    seen: list[tuple[str, set[str]]] = []
    canary: AgentCanary | None = None

    def on_event(event: Event) -> None:
        if canary is not None:
            seen.append((canary.rollout.status.value, {canary.route(key) for key in users(100)}))

    canary = make_canary(stages=[Stage(1.0)], on_event=on_event)
    canary.rollout.rollback()
    assert seen == [("rolled_back", {"v1"})]


def test_a_callback_may_move_the_rollout(make_canary: Make) -> None:
    """Somebody's policy: a promotion to a quarter of the users waits for a person."""
    canary: AgentCanary | None = None

    def on_event(event: Event) -> None:
        if canary is not None and event.kind.value == "promoted" and canary.rollout.current_percent == 0.25:
            canary.rollout.pause("ask ada", actor="policy")

    canary = make_canary(on_event=on_event)
    canary.rollout.promote()
    assert canary.rollout.status.value == "paused"
    assert [event.kind.value for event in canary.rollout.history] == ["started", "promoted", "paused"]


def test_a_callback_that_raises_is_counted(make_canary: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Logged once; the rollout moves all the same."""

    def on_event(event: Event) -> None:
        raise ConnectionError("pager is down")

    canary = make_canary(on_event=on_event)
    canary.rollout.rollback()
    assert canary.rollout.status.value == "rolled_back"
    assert canary.status()["errors"] == {"on_event": 2}
    assert caplog.text.count("pager is down") >= 1
    assert len([record for record in caplog.records if "on_event failed" in record.getMessage()]) == 1


# Few units


def test_few_units_are_warned_of(make_canary: Make, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """A one per cent stage of twenty tenants is nobody: said in the status, and logged once a stage."""
    canary = make_canary(stages=[Stage(0.01), Stage(0.02), Stage(1.0)])
    tenants = [key_on(canary, "v1", number) for number in range(20)]
    let_run(canary, clock, 5, tenants, per_second=100)
    note = canary.status()["few_units"]
    assert note == (
        "only about 20 sticky keys were seen, and 1.00% of them is 0.2: next to nobody meets the canary. Begin with at "
        "least 15%, or use a finer sticky key."
    )
    assert [record.getMessage() for record in caplog.records] == [f"agent_canary rollout 'default': {note}"]


def test_many_units_are_not_warned_of(canary: AgentCanary, clock: ManualClock) -> None:
    """Nor are few, before they came often enough to tell."""
    serve(canary, users(3))
    clock.advance(1)
    canary.tick()
    assert canary.status()["few_units"] is None
    let_run(canary, clock, 40, users(400))
    assert canary.status()["few_units"] is None


def test_few_units_that_do_meet_the_canary_are_not_warned_of(make_canary: Make, clock: ManualClock) -> None:
    """By luck of the hash one of them is on it."""
    canary = make_canary(stages=[Stage(0.05), Stage(1.0)])
    tenants = [key_on(canary, "v2"), *(key_on(canary, "v1", number) for number in range(19))]
    let_run(canary, clock, 5, tenants, per_second=100)
    assert canary.status()["few_units"] is None


# The status

ORIGINAL_KEYS = {
    "stable_version",
    "canary_version",
    "current_percent",
    "stage_idx",
    "stages_total",
    "is_complete",
    "time_in_stage_s",
    "stable_metrics",
    "canary_metrics",
}
KEYS = ORIGINAL_KEYS | {
    "alpha",
    "alpha_budget",
    "autopilot",
    "errors",
    "failure_reasons",
    "few_units",
    "forced_version",
    "is_disabled",
    "last_event",
    "name",
    "open_assignments",
    "pending_slices",
    "revision",
    "run",
    "status",
    "traffic_share",
    "verdict",
    "watermark_age_s",
    "worker",
}


def strict(status: dict[str, Any]) -> dict[str, Any]:
    """Return the status as another program reads it."""
    read: dict[str, Any] = json.loads(json.dumps(status, allow_nan=False))
    return read


def test_the_status_is_json_at_every_moment(canary: AgentCanary, clock: ManualClock) -> None:
    """Before anything happened, with infinite evidence, and after everything is over; always with all keys."""
    assert set(strict(canary.status())) >= KEYS
    assert canary.status()["verdict"] is None
    canary.record("v2", False, 0)
    with canary.assign("ada") as assignment:
        assignment.usage(input_tokens=3, cost_usd=0.5)
        assignment.score("judge", 0.5)
        strict(canary.status())
    let_run(canary, clock, 30, users(3000), lambda version, user: version == "v2")
    status = strict(canary.status())
    assert set(status) >= KEYS
    assert (status["status"], status["traffic_share"], status["stage_idx"]) == ("rolled_back", 0.0, 0)
    assert status["last_event"]["kind"] == "rolled_back"
    assert status["verdict"]["action"] == "rollback"
    assert status["verdict"]["findings"][0]["ratio"] == "inf"


def test_the_status_says_where_the_rollout_is(make_canary: Make, clock: ManualClock) -> None:
    """The original's keys, with the original's meaning."""
    canary = make_canary(stages=[Stage(0.25), Stage(1.0)], name="agent", rollback_on=[Rate("a"), Rate("b")], alpha=0.02)
    serve(canary, users(100))
    clock.advance(5)
    status = canary.status()
    assert (status["stable_version"], status["canary_version"]) == ("v1", "v2")
    assert (status["current_percent"], status["stage_idx"], status["stages_total"]) == (0.25, 0, 2)
    assert (status["is_complete"], status["time_in_stage_s"]) == (False, 5)
    assert status["stable_metrics"]["total"] + status["canary_metrics"]["total"] == 100
    assert {"total", "success_rate", "p50_ms", "p95_ms", "p99_ms"} <= set(status["canary_metrics"])
    assert (status["name"], status["run"], status["revision"], status["status"]) == ("agent", 1, 1, "running")
    assert (status["alpha"], status["alpha_budget"]) == (0.02, {"a": 0.01, "b": 0.01})
    canary.rollout.promote()
    assert canary.status()["is_complete"] is True


def test_the_status_holds_no_raw_key(canary: AgentCanary, clock: ManualClock) -> None:
    """Not of anybody, whatever happened to them."""
    serve(canary, ["lovelace@example.org"] * 50, lambda version, user: True)
    canary.score(canary.assign("lovelace@example.org").id, "judge", 1)
    clock.advance(61)
    canary.tick()
    assert "lovelace" not in json.dumps(canary.status())
    assert "lovelace" not in json.dumps([event.to_json() for event in canary.rollout.history])


def test_a_key_function_that_knows_nobody_is_told(canary: AgentCanary, clock: ManualClock, caplog: Any) -> None:
    """Stable for everybody looks like patience; the status and a warning say what it is."""
    for _ in range(200):
        canary.assign(None).succeed()
    clock.advance(1)
    canary.tick()
    assert canary.status()["assigned_without_key"] == 200
    assert canary.status()["few_units"].startswith("none of 200 assignments had a sticky key")
    assert "none of 200 assignments had a sticky key" in caplog.text

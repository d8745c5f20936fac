"""Processes that start: joining a run, another plan, other versions, and a history that cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest

from agent_canary import AgentCanary, Event, EventKind, MemoryStore, Reason, RolloutStatus, Stage, StoreError
from agent_canary.testing import ManualClock
from tests.canary.kit import key_on, let_run, serve, users

Make = Callable[..., AgentCanary]


@pytest.fixture
def store() -> MemoryStore:
    """Return what outlives a process here."""
    return MemoryStore()


@pytest.mark.parametrize(
    "before",
    [
        lambda rollout: None,
        lambda rollout: rollout.promote(),
        lambda rollout: rollout.pause(),
        lambda rollout: rollout.pause(to_stable=True),
        lambda rollout: rollout.rollback(),
        lambda rollout: rollout.promote_full(),
    ],
    ids=["running", "promoted", "paused", "paused to stable", "rolled back", "completed"],
)
def test_a_restart_of_a_process_never_restarts_a_rollout(make_canary: Make, store: MemoryStore, before: object) -> None:
    """It joins the newest run of its name, whatever its state, and routes every key as before."""
    first = make_canary(store=store)
    before(first.rollout)
    second = make_canary(store=store)
    assert second.rollout.state == first.rollout.state
    assert [second.route(key) for key in users(300)] == [first.route(key) for key in users(300)]
    assert len(second.rollout.history) == len(first.rollout.history)


def test_in_memory_a_rollout_begins_anew(make_canary: Make) -> None:
    """Without a store that outlives the process there is nothing to join."""
    make_canary().rollout.promote()
    assert make_canary().rollout.current_stage_idx == 0


def test_rollouts_of_other_names_are_not_joined(make_canary: Make, store: MemoryStore) -> None:
    """A store holds many."""
    make_canary(store=store, name="agent").rollout.rollback()
    assert make_canary(store=store, name="tool").rollout.status is RolloutStatus.RUNNING


def test_workers_of_one_run_decide_together(make_canary: Make, store: MemoryStore, clock: ManualClock) -> None:
    """Half of the traffic each: a bad canary is found by both, and both serve stable afterwards."""
    one, other = make_canary(store=store), make_canary(store=store)
    for user in users(1000):
        serve(one if hash(user) % 2 else other, [user], lambda version, user: version == "v2")
    clock.advance(1)
    one.tick()
    other.tick()
    one.tick()
    for canary in (one, other):
        assert canary.rollout.status is RolloutStatus.ROLLED_BACK
        assert {canary.route(key) for key in users(300)} == {"v1"}


# Another plan


def test_another_plan_for_the_same_versions_is_not_followed(
    make_canary: Make, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The plan in the started event holds; the process warns once and names the difference."""
    make_canary(store=store, stages=[Stage(0.1, 60), Stage(1.0)])
    caplog.clear()
    other = make_canary(store=store, stages=[Stage(0.5, 60), Stage(1.0)], rollback_safety_margin=0.05)
    assert other.rollout.current_percent == 0.1
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.getMessage() == (
        "agent_canary rollout 'default' follows the plan it was started with, which differs from this process's: "
        "stage 1: percent is 0.5 here, 0.1 in the stored plan; guardrail 'safety_margin' is only here, not in the "
        "stored plan. rollout.restart() begins a new run with the new plan."
    )


def test_the_stored_plans_guardrails_are_judged(make_canary: Make, store: MemoryStore) -> None:
    """Also by a process that was configured with others."""
    make_canary(store=store, rollback_safety_margin=0.05)
    other = make_canary(store=store)
    found = [finding.guardrail for finding in other.explain().findings]
    assert found == ["failures", "latency", "sample_ratio", "safety_margin"]


def test_the_same_plan_does_not_warn(make_canary: Make, store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing to say."""
    make_canary(store=store)
    caplog.clear()
    make_canary(store=store)
    assert caplog.records == []


def test_a_restart_takes_the_own_plan(make_canary: Make, store: MemoryStore) -> None:
    """As the warning says; the other worker follows it then."""
    first = make_canary(store=store, stages=[Stage(0.1), Stage(1.0)])
    other = make_canary(store=store, stages=[Stage(0.5), Stage(1.0)])
    other.rollout.restart()
    first.tick()
    assert first.rollout.current_percent == other.rollout.current_percent == 0.5
    assert [first.route(key) for key in users(300)] == [other.route(key) for key in users(300)]


# Other versions


def test_other_versions_supersede_a_run_that_is_going(
    make_canary: Make, store: MemoryStore, clock: ManualClock
) -> None:
    """Workers of the old pair serve their stable from their next tick on, overrides too; a new run begins."""
    old = make_canary(store=store, overrides={"ada": "v2"})
    new = make_canary("v1", "v3", store=store)
    assert (new.rollout.run, new.rollout.status) == (2, RolloutStatus.RUNNING)
    old.tick()
    assert old.rollout.status is RolloutStatus.SUPERSEDED
    assert {old.route(key) for key in ["ada", *users(300)]} == {"v1"}
    assert old.assign("ada").reason is Reason.DISABLED
    assert old.status()["status"] == "superseded"
    let_run(new, clock, 120, users(3000))
    old.tick()
    assert new.rollout.status is RolloutStatus.COMPLETED
    assert {old.route(key) for key in users(300)} == {"v1"}


def test_other_versions_than_a_finished_run_s_begin_a_new_run(make_canary: Make, store: MemoryStore) -> None:
    """The workers of the completed one stay at 100 % of their canary."""
    old = make_canary(store=store)
    old.rollout.promote_full()
    new = make_canary("v2", "v3", store=store)
    old.tick()
    assert (old.rollout.status, new.rollout.status) == (RolloutStatus.COMPLETED, RolloutStatus.RUNNING)
    assert {old.route(key) for key in users(300)} == {"v2"}
    assert "superseded" not in [event.kind.value for event in new.rollout.history]


def test_a_completed_run_stays_complete_whatever_follows(make_canary: Make, store: MemoryStore) -> None:
    """Other versions are tried and rolled back: nobody goes back to what was replaced."""
    old = make_canary(store=store)
    old.rollout.promote_full()
    make_canary("v2", "v3", store=store).rollout.rollback()
    old.tick()
    assert {old.route(key) for key in users(300)} == {"v2"}


def test_a_rolled_back_canary_stays_away_under_other_versions(make_canary: Make, store: MemoryStore) -> None:
    """Its workers serve stable."""
    old = make_canary(store=store)
    old.rollout.rollback()
    make_canary("v1", "v3", store=store)
    old.tick()
    assert {old.route(key) for key in users(300)} == {"v1"}


# What cannot be read


class Unreachable(MemoryStore):
    """A store that is down until it is told that it is back."""

    is_down = True

    def events(self, name: str, after: int = 0) -> Sequence[Event]:
        """Return the events, when it is up."""
        if self.is_down:
            raise StoreError("connection refused")
        return super().events(name, after)


def test_a_store_that_is_down_at_the_start_gives_stable(make_canary: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The app starts; it is logged and counted."""
    canary = make_canary(store=Unreachable())
    assert {canary.route(key) for key in users(100)} == {"v1"}
    assert canary.status()["errors"] == {"joining the rollout": 1}
    assert "connection refused" in caplog.text
    canary.assign("ada").succeed()


def test_a_store_that_comes_back_is_joined(make_canary: Make, clock: ManualClock) -> None:
    """A later tick finds the run that others began meanwhile."""
    store = Unreachable()
    late = make_canary(store=store)
    store.is_down = False
    first = make_canary(store=store)
    late.tick()
    assert late.rollout.state == first.rollout.state
    assert late.route(key_on(first, "v2")) == "v2"


def test_a_store_that_comes_back_empty_gets_its_run(make_canary: Make) -> None:
    """When all workers started while it was down, the first to tick begins."""
    store = Unreachable()
    canary = make_canary(store=store)
    store.is_down = False
    canary.tick()
    assert [event.kind.value for event in canary.rollout.history] == ["started"]
    assert {canary.route(key) for key in users(300)} == {"v1", "v2"}


def test_a_history_that_cannot_be_read_gives_stable(make_canary: Make, store: MemoryStore) -> None:
    """A later release may have begun the run: an app of this one starts all the same."""
    data = {"stable_version": "v1", "canary_version": "v2", "salt": "", "plan": {"of": "tomorrow"}}
    store.append("default", Event(1, "x", 0.0, EventKind.STARTED, 1, "ada", "", data=data))
    canary = make_canary(store=store)
    assert {canary.route(key) for key in users(100)} == {"v1"}
    assert canary.status()["errors"] == {"joining the rollout": 1}


def test_a_started_process_is_quiet_about_the_past(
    make_canary: Make, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not announce again what happened before it, and does announce what follows."""
    make_canary(store=store).rollout.promote()
    caplog.set_level(logging.INFO)
    caplog.clear()
    told: list[str] = []
    late = make_canary(store=store, on_event=lambda event: told.append(event.kind.value))
    assert told == []
    assert caplog.records == []
    late.rollout.rollback()
    assert told == ["rolled_back"]

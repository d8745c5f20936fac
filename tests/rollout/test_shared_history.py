"""A rollout whose history other workers share: joining, following, conflicts, and other versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent_canary import (
    Event,
    EventKind,
    IllegalMoveError,
    Plan,
    RevisionConflictError,
    Rollout,
    RolloutStatus,
    Stage,
)
from agent_canary.rollout import RolloutState, advance
from agent_canary.testing import ManualClock

Bound = Callable[..., Rollout]


def test_a_bound_rollout_is_pending_until_a_run_begins(bound: Bound) -> None:
    """Nobody gets the canary before there is an event that says so."""
    rollout = bound()
    assert (rollout.status, rollout.traffic_share, rollout.revision) == (RolloutStatus.PENDING, 0.0, 0)
    assert rollout.plan == rollout.own_plan
    rollout.begin()
    assert (rollout.status, rollout.traffic_share, rollout.run) == (RolloutStatus.RUNNING, 0.05, 1)


@pytest.mark.parametrize("move", ["promote", "pause", "resume", "rollback", "promote_full", "complete", "restart"])
def test_a_pending_rollout_cannot_be_moved(bound: Bound, move: str) -> None:
    """Its run has not begun; the message says to wait for it."""
    rollout = bound()
    with pytest.raises(IllegalMoveError, match="which is pending: its run has not begun; wait for its started event"):
        getattr(rollout, move)()


def test_a_second_worker_joins_the_run(bound: Bound) -> None:
    """Same versions: it follows, and what one moves the other sees."""
    first = bound()
    first.begin()
    second = bound()
    assert second.state == first.state
    second.promote()
    assert first.current_stage_idx == 0
    first.follow(second.history)
    assert first.state == second.state
    assert first.history == second.history


def test_a_second_begin_is_illegal(bound: Bound) -> None:
    """A restart of a process never restarts a rollout."""
    bound().begin()
    with pytest.raises(IllegalMoveError, match="cannot begin rollout 'agent', which is running"):
        bound().begin()


def test_the_slower_of_two_moves_conflicts(bound: Bound) -> None:
    """It changes nothing; after reading the history the worker may decide again."""
    first = bound()
    first.begin()
    second = bound()
    first.rollback("bad")
    state = second.state
    with pytest.raises(RevisionConflictError):
        second.promote()
    assert second.state == state
    second.follow(first.history)
    assert second.status is RolloutStatus.ROLLED_BACK
    assert second.promote() is False


def test_events_that_were_seen_are_ignored(bound: Bound) -> None:
    """Following the whole history again changes nothing and tells nobody."""
    rollout = bound()
    rollout.begin()
    rollout.promote()
    state, told = rollout.state, []
    rollout.subscribe(lambda event, after: told.append(event))
    rollout.follow(rollout.history)
    assert rollout.state == state
    assert told == []


def test_a_missing_revision_is_a_conflict(bound: Bound) -> None:
    """The events before the gap are folded, the ones behind it wait."""
    first, second = bound(), bound()
    first.begin()
    first.promote()
    first.promote()
    started, _, promoted = first.history
    with pytest.raises(RevisionConflictError, match="must have revision 2, got 3: read the history from revision 2 on"):
        second.follow([started, promoted])
    assert (second.revision, second.current_stage_idx) == (1, 0)


def test_a_rollout_by_itself_follows_nobody(rollout: Rollout) -> None:
    """It has to be bound first."""
    with pytest.raises(IllegalMoveError, match=r"bind\(\) the rollout first"):
        rollout.follow([])


def test_one_rollout_is_for_one_canary(bound: Bound, clock: ManualClock) -> None:
    """Binding it a second time is refused."""
    rollout = bound()
    with pytest.raises(IllegalMoveError, match="this rollout is rollout 'agent' already: make a Rollout for each"):
        rollout.bind(lambda event: None, stable_version="a", canary_version="b", name="other", clock=clock)


def test_moves_made_before_binding_are_made_again(clock: ManualClock, history: Any) -> None:
    """Whoever promoted a rollout by hand before giving it to a canary finds it promoted."""
    rollout = Rollout([Stage(0.05), Stage(0.25), Stage(1.0)], clock=clock)
    rollout.promote("ready", actor="ada")
    rollout.pause("lunch", actor="ada")
    rollout.bind(history.append, stable_version="v1", canary_version="v2", name="agent", clock=clock)
    rollout.begin()
    assert (rollout.status, rollout.current_stage_idx) == (RolloutStatus.PAUSED, 1)
    assert [(event.kind.value, event.actor, event.reason) for event in history.events] == [
        ("started", "auto", "started by auto"),
        ("promoted", "ada", "ready"),
        ("paused", "ada", "lunch"),
    ]


def test_moves_made_before_binding_are_forgotten_where_a_run_exists(bound: Bound, clock: ManualClock) -> None:
    """The history that others share holds."""
    first = bound()
    first.begin()
    second = Rollout([Stage(0.05), Stage(1.0)], clock=clock)
    second.promote()
    second.bind(lambda event: None, stable_version="v1", canary_version="v2", name="agent", clock=clock)
    second.follow(first.history)
    assert second.current_stage_idx == 0


def test_the_plan_of_the_started_event_holds(bound: Bound) -> None:
    """A process with another plan follows the stored one, and keeps its own for the next run."""
    bound(stages=[Stage(0.1), Stage(1.0)]).begin()
    other = bound(stages=[Stage(0.5), Stage(1.0)])
    assert [stage.percent for stage in other.stages] == [0.1, 1.0]
    assert other.traffic_share == 0.1
    assert other.own_plan == Plan([Stage(0.5), Stage(1.0)])
    other.restart()
    assert other.traffic_share == 0.5


def test_each_run_has_a_salt_of_its_own(bound: Bound) -> None:
    """Name, canary version and number of the run."""
    rollout = bound()
    rollout.begin()
    assert rollout.state.salt == "agent:v2:1"
    rollout.restart()
    assert rollout.state.salt == "agent:v2:2"


def test_a_salt_may_be_given(bound: Bound) -> None:
    """An empty one gives the original's buckets."""
    rollout = bound()
    rollout.begin(salt="")
    assert rollout.state.salt == ""


# Other versions


def test_other_versions_supersede_a_run_that_is_going(bound: Bound) -> None:
    """Workers of the old pair serve their stable from then on; those of the new one run."""
    old = bound()
    old.begin()
    old.promote()
    new = bound("v1", "v3")
    assert new.status is RolloutStatus.PENDING
    new.begin(supersede=True)
    old.follow(new.history)
    assert (old.status, old.traffic_share, old.current_stage_idx) == (RolloutStatus.SUPERSEDED, 0.0, 1)
    assert (new.status, new.traffic_share, new.run) == (RolloutStatus.RUNNING, 0.05, 2)
    assert [event.kind for event in new.history[-2:]] == [EventKind.SUPERSEDED, EventKind.STARTED]
    assert old.newest.versions == ("v1", "v3")


def test_superseding_must_be_meant(bound: Bound) -> None:
    """Without supersede=True a run of others that is going is left alone."""
    old = bound()
    old.begin()
    with pytest.raises(IllegalMoveError, match=r"its run 1 of versions \('v1', 'v2'\) is running; finish it, or pass"):
        bound("v1", "v3").begin()
    assert old.status is RolloutStatus.RUNNING


@pytest.mark.parametrize("end", ["promote_full", "rollback"])
def test_other_versions_follow_a_finished_run(bound: Bound, end: str) -> None:
    """Nothing needs to be superseded; the old pair's workers keep what their run ended with."""
    old = bound()
    old.begin()
    getattr(old, end)()
    share = old.traffic_share
    new = bound("v2", "v3")
    new.begin()
    old.follow(new.history)
    assert (old.traffic_share, old.is_complete) == (share, end == "promote_full")
    assert EventKind.SUPERSEDED not in [event.kind for event in new.history]
    assert new.run == 2


def test_a_completed_run_stays_complete_whatever_follows(bound: Bound) -> None:
    """Its workers stay at 100 % canary while other versions are tried and rolled back."""
    old = bound()
    old.begin()
    old.promote_full()
    new = bound("v2", "v3")
    new.begin()
    new.rollback()
    old.follow(new.history)
    assert (old.status, old.traffic_share) == (RolloutStatus.COMPLETED, 1.0)
    assert old.revision == new.revision


def test_a_superseded_rollout_is_not_moved(bound: Bound) -> None:
    """Promotion says False, rollback does nothing, and the rest is illegal and says why."""
    old, new = bound(), bound("v1", "v3")
    old.begin()
    new.follow(old.history)
    new.begin(supersede=True)
    old.follow(new.history)
    assert old.promote() is False
    old.rollback()
    for move in (old.pause, old.resume, old.promote_full, old.complete, old.restart):
        with pytest.raises(IllegalMoveError, match="other versions have taken its place; deploy the versions to roll"):
            move()
    assert old.revision == new.revision


def test_a_completed_rollout_is_not_rolled_back_under_other_versions(bound: Bound) -> None:
    """The event would end the other versions' run."""
    old = bound()
    old.begin()
    old.promote_full()
    new = bound("v2", "v3")
    new.begin()
    old.follow(new.history)
    with pytest.raises(IllegalMoveError, match=r"cannot roll back .*other versions have taken its place"):
        old.rollback()
    assert new.status is RolloutStatus.RUNNING


def test_a_worker_that_comes_late_sees_what_its_versions_may_see(bound: Bound) -> None:
    """A process of the old pair that starts after the new pair's begin is pending, hence stable."""
    new = bound("v1", "v3")
    new.begin()
    late = bound("v1", "v2")
    assert (late.status, late.traffic_share, late.revision) == (RolloutStatus.PENDING, 0.0, new.revision)


def test_versions_may_come_back(bound: Bound) -> None:
    """Deploying the first pair again begins its next run, with a salt that was never used."""
    first = bound()
    first.begin()
    other = bound("v1", "v3")
    other.begin(supersede=True)
    again = bound()
    again.begin(supersede=True)
    assert (again.run, again.status, again.state.salt) == (3, RolloutStatus.RUNNING, "agent:v2:3")


# Promotions that wait for all workers


def test_a_rise_waits_until_it_takes_effect(bound: Bound, clock: ManualClock) -> None:
    """So that no user flaps between workers that have read it and others; the stage's time begins then."""
    rollout = bound(promotion_delay=5)
    rollout.begin()
    clock.advance(5)
    rollout.promote()
    assert (rollout.traffic_share, rollout.current_percent) == (0.05, 0.25)
    assert rollout.history[-1].effective_at == clock.wall() + 5
    clock.advance(4.9)
    assert (rollout.traffic_share, rollout.time_in_stage()) == (0.05, 0)
    clock.advance(0.1)
    assert rollout.traffic_share == 0.25
    clock.advance(3)
    assert rollout.time_in_stage() == pytest.approx(3)


def test_a_first_share_waits_from_nobody_on_the_canary(bound: Bound, clock: ManualClock) -> None:
    """A new run begins with nobody on the canary until its share takes effect."""
    rollout = bound(promotion_delay=5)
    rollout.begin()
    assert rollout.traffic_share == 0.0
    clock.advance(5)
    assert rollout.traffic_share == 0.05


def test_a_fall_never_waits(bound: Bound, clock: ManualClock) -> None:
    """A rollback takes effect at once, also while a promotion waits, which then never comes."""
    rollout = bound(promotion_delay=5)
    rollout.begin()
    clock.advance(5)
    rollout.promote()
    rollout.rollback()
    assert rollout.traffic_share == 0.0
    clock.advance(10)
    assert rollout.traffic_share == 0.0


def test_a_pause_to_stable_never_waits(bound: Bound, clock: ManualClock) -> None:
    """Its end does, and the time until the share is back is no time in the stage."""
    rollout = bound(promotion_delay=5)
    rollout.begin()
    clock.advance(25)
    rollout.pause(to_stable=True)
    assert rollout.traffic_share == 0.0
    clock.advance(100)
    rollout.resume()
    assert (rollout.traffic_share, rollout.time_in_stage()) == (0.0, 20)
    clock.advance(5)
    assert (rollout.traffic_share, rollout.time_in_stage()) == (0.05, 20)
    clock.advance(1)
    assert rollout.time_in_stage() == 21


def test_a_share_that_never_fell_does_not_wait(bound: Bound, clock: ManualClock) -> None:
    """After a restart from 100 % the new run's share, with its new users, holds at once."""
    rollout = bound(promotion_delay=5)
    rollout.begin()
    rollout.promote_full()
    clock.advance(5)
    rollout.restart()
    assert rollout.traffic_share == 0.05


# What stands in a history


def test_whatever_a_history_holds_rolled_back_is_final(bound: Bound, clock: ManualClock) -> None:
    """A promotion that follows a rollback of the same run, however it got there, changes the revision alone."""
    rollout = bound()
    rollout.begin()
    promoted = replace_event(rollout.history[0], revision=3, kind=EventKind.PROMOTED, data={"stage": 1})
    rollout.rollback()
    state = rollout.state
    rollout.follow([promoted])
    assert rollout.state == replace(state, revision=3)


@pytest.mark.parametrize("stage", [-1, 0, 3, 1.5, True, "1", None])
def test_a_promotion_to_no_next_stage_means_nothing(bound: Bound, stage: object) -> None:
    """A damaged event must not stop a reader before the rollback that may follow."""
    rollout = bound()
    rollout.begin()
    rollout.follow([replace_event(rollout.history[0], revision=2, kind=EventKind.PROMOTED, data={"stage": stage})])
    assert (rollout.revision, rollout.current_stage_idx, rollout.status) == (2, 0, RolloutStatus.RUNNING)


def test_a_run_begins_once(bound: Bound) -> None:
    """A second started event of the same run does not bring a rolled back one to life."""
    rollout = bound()
    rollout.begin()
    rollout.rollback()
    rollout.follow([replace_event(rollout.history[0], revision=3)])
    assert (rollout.revision, rollout.status) == (3, RolloutStatus.ROLLED_BACK)


def test_an_event_of_another_run_means_nothing(bound: Bound) -> None:
    """A rollback of run 1 that arrives in run 2 does not touch it."""
    rollout = bound()
    rollout.begin()
    rollout.restart()
    rollout.follow([replace_event(rollout.history[0], revision=3, kind=EventKind.ROLLED_BACK)])
    assert (rollout.run, rollout.status) == (2, RolloutStatus.RUNNING)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"stable_version": ""}, "stable_version must be a string that is not empty, got ''"),
        ({"plan": {}}, "plan must have 'stages', got only"),
        ({"salt": None}, "salt of a started event must be a string, got None"),
    ],
)
def test_a_run_that_cannot_be_read_is_refused(bound: Bound, damage: dict[str, Any], message: str) -> None:
    """The reader keeps its state."""
    rollout = bound()
    rollout.begin()
    started = rollout.history[0]
    with pytest.raises(ValueError, match=message):
        rollout.follow([replace_event(started, revision=2, run=2, data={**started.data, **damage})])
    assert (rollout.revision, rollout.status) == (1, RolloutStatus.RUNNING)


def test_the_state_is_the_fold_of_the_events(bound: Bound, clock: ManualClock) -> None:
    """Folding the history by itself gives the very state."""
    rollout = bound()
    rollout.begin()
    rollout.promote()
    rollout.pause()
    clock.advance(3)
    rollout.resume()
    state = RolloutState()
    for event in rollout.history:
        state = advance(state, event)
    assert state == rollout.state


# Being told


def test_subscribers_are_told_of_each_event_with_the_state_after_it(bound: Bound) -> None:
    """Own moves and followed ones, in order, until they unsubscribe."""
    first, second = bound(), bound()
    told: list[tuple[str, int]] = []
    unsubscribe = second.subscribe(lambda event, state: told.append((event.kind.value, state.stage_idx)))
    first.begin()
    first.promote()
    second.follow(first.history)
    second.rollback()
    unsubscribe()
    unsubscribe()
    second.restart()
    assert told == [("started", 0), ("promoted", 1), ("rolled_back", 0)]


def test_a_subscriber_may_move_the_rollout(bound: Bound) -> None:
    """Everyone sees the events in one order."""
    rollout, told = bound(), []

    def roll_back_at_once(event: Event, state: RolloutState) -> None:
        if event.kind is EventKind.PROMOTED:
            rollout.rollback()

    rollout.subscribe(roll_back_at_once)
    rollout.subscribe(lambda event, state: told.append(event.kind.value))
    rollout.begin()
    rollout.promote()
    assert rollout.status is RolloutStatus.ROLLED_BACK
    assert told == ["started", "promoted", "rolled_back"]


def test_a_subscriber_that_raises_stops_nobody(bound: Bound, caplog: pytest.LogCaptureFixture) -> None:
    """The event has happened; the error is logged and the others are told."""
    rollout, told = bound(), []

    def fail(event: Event, state: RolloutState) -> None:
        raise RuntimeError("no")

    rollout.subscribe(fail)
    rollout.subscribe(lambda event, state: told.append(event.kind))
    rollout.begin()
    assert told == [EventKind.STARTED]
    assert "a subscriber of the rollout failed on revision 1 (started)" in caplog.text


def replace_event(event: Event, **changes: Any) -> Event:
    """Return an event with other parts."""
    return Event.from_json({**event.to_json(), "id": "another", **changes})

"""A tick: publish, read, analyse, act; by several workers of one rollout."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent_canary import (
    AgentCanary,
    AutoAction,
    EventKind,
    FindingStatus,
    Rollout,
    RolloutStatus,
    Stage,
    StoreError,
    Verdict,
)
from agent_canary.testing import ManualClock
from tests.canary.kit import serve, users
from tests.controller.conftest import ToldStore

Workers = Callable[..., AgentCanary]


def kinds(canary: AgentCanary) -> list[str]:
    """Return what has happened so far."""
    return [event.kind.value for event in canary.rollout.history]


def test_a_tick_judges_what_all_workers_have_seen(make_worker: Workers, clock: ManualClock) -> None:
    """Neither of two has seen enough for the stage; both together have."""
    first, second = make_worker(), make_worker()
    serve(first, users(400)[:250])
    serve(second, users(400)[250:])
    clock.advance(11)
    verdict = first.tick()
    assert verdict is not None
    assert "of 20 canary answers are in" in verdict.sentence
    second.tick()
    assert second.rollout.current_stage_idx == 1


def test_a_tick_reads_what_others_decided(make_worker: Workers) -> None:
    """A rollback by one worker is followed by all at their next tick."""
    first, second = make_worker(), make_worker()
    first.rollout.rollback("bad")
    assert second.rollout.status is RolloutStatus.RUNNING
    second.tick()
    assert second.rollout.status is RolloutStatus.ROLLED_BACK
    assert second.status()["traffic_share"] == 0.0
    assert {second.route(key) for key in users(200)} == {"v1"}


def test_ticking_often_changes_nothing(make_worker: Workers, clock: ManualClock) -> None:
    """Totals are running totals: a hundred ticks count each answer once."""
    canary = make_worker()
    serve(canary, users(500), lambda version, user: user.endswith("7"))
    clock.advance(1)
    first = canary.tick()
    assert first is not None
    for _ in range(100):
        canary.tick()
    again = canary.explain()
    assert again.findings == first.findings


def test_the_workers_take_turns_in_one_analysis(make_worker: Workers, clock: ManualClock) -> None:
    """What a test remembers is in the store: whoever judges next goes on from there, and each answer counts once."""
    one, (left, right) = make_worker(name="one"), (make_worker(name="two"), make_worker(name="two"))
    for round_ in range(6):
        for index in range(40):
            bad = index < 2 + 3 * round_
            one.record("v2", not bad, 10)
            (left if index % 2 else right).record("v2", not bad, 10)
            one.record("v1", index > 0, 10)
            (left if index % 2 else right).record("v1", index > 0, 10)
        clock.advance(1)
        # The one that does not judge publishes first, so that both workers' answers are in every analysis.
        for canary in (one, left, right) if round_ % 2 else (one, right, left):
            canary.auto_decide()
    mine, theirs = one.explain().findings[0], right.explain().findings[0]
    assert (mine.canary_total, mine.canary_bad) == (theirs.canary_total, theirs.canary_bad)
    assert mine.status is theirs.status is FindingStatus.FAIL


def test_another_worker_may_be_faster_to_analyse(make_worker: Workers, store: ToldStore, clock: ManualClock) -> None:
    """Then there is no verdict here, nothing moves, and whoever asks is told so."""
    canary = make_worker()
    store.loses_analyses = True
    serve(canary, users(1000))
    clock.advance(60)
    assert canary.tick() is None
    assert canary.auto_decide() is AutoAction.HOLD
    assert canary.explain() == Verdict(AutoAction.HOLD, "another worker is analysing just now")
    assert kinds(canary) == ["started"]


def test_another_worker_may_be_faster_to_act(make_worker: Workers, store: ToldStore, clock: ManualClock) -> None:
    """A promotion that conflicts with somebody's rollback is none; the rollback is followed at once."""
    canary, other = make_worker(), make_worker()
    serve(canary, users(1000))
    clock.advance(60)
    store.before_append = lambda: other.rollout.rollback("seen by a person", actor="ada")
    verdict = canary.tick()
    assert verdict is not None
    assert verdict.action is AutoAction.PROMOTE
    assert kinds(canary) == ["started", "rolled_back"]
    assert canary.status()["traffic_share"] == 0.0


def test_another_worker_may_be_faster_to_apply(make_worker: Workers, store: ToldStore, clock: ManualClock) -> None:
    """The same with deciding by hand, at each kind of event."""
    canary, other = make_worker(stages=[Stage(1.0, 0, 0)]), make_worker(stages=[Stage(1.0, 0, 0)])
    clock.advance(1)
    store.before_append = lambda: other.rollout.promote_full(actor="ada")
    canary.apply(canary.auto_decide())
    assert kinds(canary) == ["started", "completed"]


def test_a_store_that_cannot_be_reached_is_said(make_worker: Workers, store: ToldStore) -> None:
    """Who ticks by hand gets the error; requests are routed and booked as before."""
    canary = make_worker()
    routed = [canary.route(key) for key in users(100)]
    store.gone = True
    with pytest.raises(StoreError, match="cannot be reached"):
        canary.tick()
    assert [canary.route(key) for key in users(100)] == routed
    serve(canary, users(100))
    store.gone = False
    canary.tick()
    totals = [canary.status()[f"{arm}_metrics"]["total"] for arm in ("stable", "canary")]
    assert sum(totals) == 100


def test_a_finished_rollout_is_not_judged(make_worker: Workers, clock: ManualClock) -> None:
    """The verdict says so; explain() keeps the one that ended it."""
    canary = make_worker()
    serve(canary, users(500), lambda version, user: version == "v2")
    clock.advance(1)
    canary.tick()
    reason = canary.explain()
    assert reason.action is AutoAction.ROLLBACK
    verdict = canary.tick()
    assert verdict == Verdict(AutoAction.HOLD, f"the rollout is rolled back: {reason.sentence}")
    assert canary.explain() == reason


def test_events_by_the_library_carry_their_evidence(make_worker: Workers, clock: ManualClock) -> None:
    """Actor auto, the verdict's sentence as the reason, and the whole verdict as JSON."""
    canary = make_worker()
    serve(canary, users(1000))
    clock.advance(60)
    canary.tick()
    event = canary.rollout.history[-1]
    assert (event.kind, event.actor) == (EventKind.PROMOTED, "auto")
    assert event.reason == "stage 1 of 4 (5 %): time, samples and thresholds are met and no guardrail fails"
    assert event.evidence is not None
    assert Verdict.from_json(event.evidence) == canary.explain()


def test_the_evidence_of_a_rollback_reads_back(make_worker: Workers, clock: ManualClock) -> None:
    """Also where stable never failed and the ratio is infinite."""
    canary = make_worker()
    serve(canary, users(500), lambda version, user: version == "v2")
    clock.advance(1)
    canary.tick()
    event = canary.rollout.history[-1]
    assert event.kind is EventKind.ROLLED_BACK
    assert event.evidence is not None
    assert Verdict.from_json(event.evidence) == canary.explain()


def test_a_worker_that_is_gone_still_counts(make_worker: Workers, clock: ManualClock) -> None:
    """What it had published is evidence; its unfinished requests hold nobody back."""
    gone, canary = make_worker(), make_worker()
    serve(gone, users(1000))
    clock.advance(1)
    gone.tick()
    gone.close()
    clock.advance(60)
    canary.tick()
    assert canary.rollout.current_stage_idx == 1


def test_a_verdict_about_one_run_does_not_move_the_next() -> None:
    """A person restarts between the analysis and what follows from it."""
    canary = AgentCanary(
        "v1", "v2", Rollout([Stage(1.0, min_duration_seconds=1e6)]), clock=ManualClock(), autopilot=False
    )
    for number in range(40):
        canary.assign(f"user-{number}").fail("broken")
    verdict = canary._worker.analyse()
    assert verdict is not None
    assert verdict.action is AutoAction.ROLLBACK
    canary.rollout.restart("tried again")
    canary._worker.controller.act(verdict)
    assert (canary.rollout.run, canary.rollout.status) == (2, RolloutStatus.RUNNING)


def test_a_verdict_about_one_stage_does_not_leave_the_next() -> None:
    """A person promotes between the analysis and what follows from it."""
    stages = [Stage(0.5, 0, 0, 0.0), Stage(0.75, 0, 0, 0.0), Stage(1.0, 1e6, 0, 0.0)]
    canary = AgentCanary("v1", "v2", Rollout(stages), clock=ManualClock(), autopilot=False)
    verdict = canary._worker.analyse()
    assert verdict is not None
    assert verdict.action is AutoAction.PROMOTE
    canary.rollout.promote("by hand")
    canary._worker.controller.act(verdict)
    assert canary.rollout.current_stage_idx == 1

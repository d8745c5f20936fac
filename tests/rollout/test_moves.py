"""The moves of a rollout by itself: what each does, what is illegal, and the answers of the original API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from agent_canary import EventKind, FailureRate, IllegalMoveError, Rate, Rollout, RolloutStatus, Stage, VersionMetrics
from agent_canary.plan import Latency, Plan, Policies
from agent_canary.testing import ManualClock


@dataclass
class Seen:
    """Metrics that meet the gates of the default stage."""

    total: int = 100
    success_rate: float = 1.0
    p95_ms: float = 100.0


# The original's answers


def test_it_begins_in_its_first_stage(rollout: Rollout) -> None:
    """Running, index 0, nothing complete."""
    assert (rollout.status, rollout.current_stage_idx, rollout.current_percent) == (RolloutStatus.RUNNING, 0, 0.05)
    assert rollout.traffic_share == 0.05
    assert rollout.current_stage == rollout.stages[0]
    assert not rollout.is_complete


def test_the_standard_rollout_has_five_stages() -> None:
    """1, 5, 25, 50 and 100 %."""
    assert [stage.percent for stage in Rollout.standard().stages] == [0.01, 0.05, 0.25, 0.5, 1.0]


def test_the_standard_rollout_takes_options(clock: ManualClock) -> None:
    """Guardrails, signals, salt and clock are those of any rollout."""
    rollout = Rollout.standard(rollback_on=[FailureRate(2)], hold_on=[Rate("refusal")], keep_salt=True, clock=clock)
    assert rollout.plan.rollback_on == (FailureRate(2),)
    assert rollout.plan.hold_on == (Rate("refusal"),)
    assert rollout.plan.keep_salt is True
    clock.advance(7)
    assert rollout.time_in_stage() == 7


POLICIES: Policies = {
    "rollback_on": [FailureRate(2), Latency(0.95)],
    "hold_on": [Rate("refusal")],
    "keep_salt": True,
    "promote": "when_not_worse",
    "delta": 0.05,
    "on_no_data": "pause",
    "on_inconclusive": "promote",
    "patience": timedelta(hours=2),
}


@pytest.mark.parametrize(
    ("make", "stages"),
    [
        (lambda **more: Rollout([Stage(0.5)], **more), (Stage(0.5),)),
        (Rollout.standard, Rollout.standard().stages),
        (Rollout.guarded, Rollout.guarded().stages),
    ],
    ids=["by stages", "standard", "guarded"],
)
def test_every_maker_takes_every_policy(make: Callable[..., Rollout], stages: tuple[Stage, ...]) -> None:
    """They reach the plan, and none of them has a default there of its own."""
    assert make(**POLICIES).plan == Plan(stages, **POLICIES)
    assert make().plan == Plan(stages)


def test_the_guarded_rollout_is_the_standard_one_without_a_bar() -> None:
    """The same steps, times and samples; success is compared with stable's and with nothing else."""
    for guarded, standard in zip(Rollout.guarded().stages, Rollout.standard().stages, strict=True):
        assert standard.success_threshold == 0.99
        assert guarded == replace(standard, success_threshold=0.0)


def test_a_guarded_rollout_promotes_an_agent_that_often_fails(clock: ManualClock) -> None:
    """Where the standard one would stay for ever."""
    seen = Seen(success_rate=0.6)
    guarded, standard = Rollout.guarded(clock=clock), Rollout.standard(clock=clock)
    clock.advance(300)
    assert guarded.can_promote(seen) is True
    assert standard.can_promote(seen) is False


def test_a_policy_that_does_not_exist_is_refused() -> None:
    """As any keyword that a function does not have."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'on_nodata'"):
        Rollout([Stage(0.5)], on_nodata="hold")


@pytest.mark.parametrize(("stages", "message"), [([], "at least one"), ([Stage(0.5), Stage(0.1)], "non-decreasing")])
def test_a_bad_plan_is_refused(stages: list[Stage], message: str) -> None:
    """A rollout without stages, or with falling percents, is an error at once."""
    with pytest.raises(ValueError, match=f"stages must .*{message}"):
        Rollout(stages)


def test_promote_enters_the_next_stage(rollout: Rollout) -> None:
    """It says True, and index, percent and share are the next stage's."""
    assert rollout.promote() is True
    assert (rollout.current_stage_idx, rollout.current_percent, rollout.traffic_share) == (1, 0.25, 0.25)


def test_promote_says_false_at_the_end(rollout: Rollout) -> None:
    """In the last stage there is nothing to enter, and nothing happens."""
    rollout.promote()
    rollout.promote()
    revision = rollout.revision
    assert rollout.promote() is False
    assert (rollout.current_stage_idx, rollout.revision) == (2, revision)


def test_promote_says_false_when_rolled_back(rollout: Rollout) -> None:
    """Rolled back is final for its run."""
    rollout.rollback()
    assert rollout.promote() is False
    assert rollout.status is RolloutStatus.ROLLED_BACK


def test_promote_says_false_when_completed(rollout: Rollout) -> None:
    """Nothing follows."""
    rollout.promote_full()
    assert rollout.promote() is False
    assert rollout.status is RolloutStatus.COMPLETED


def test_it_is_complete_on_entering_a_last_stage_of_100_percent(rollout: Rollout) -> None:
    """As in the original: before the last stage's bake is over."""
    rollout.promote()
    assert not rollout.is_complete
    rollout.promote()
    assert rollout.is_complete
    assert rollout.status is RolloutStatus.RUNNING


def test_a_last_stage_below_100_percent_is_not_complete(clock: ManualClock) -> None:
    """Half of the users on the canary is no complete rollout."""
    rollout = Rollout([Stage(0.05), Stage(0.5)], clock=clock)
    rollout.promote()
    assert not rollout.is_complete
    assert rollout.promote() is False


def test_rollback_goes_to_index_0(rollout: Rollout) -> None:
    """The current percent is then stage 0's, while nobody gets the canary."""
    rollout.promote()
    rollout.rollback()
    assert (rollout.current_stage_idx, rollout.current_percent) == (0, 0.05)
    assert rollout.traffic_share == 0.0
    assert not rollout.is_complete


@pytest.mark.parametrize(
    "before",
    [
        lambda rollout: None,
        lambda rollout: rollout.promote(),
        lambda rollout: rollout.pause(),
        lambda rollout: rollout.pause(to_stable=True),
        lambda rollout: rollout.promote_full(),
        lambda rollout: rollout.rollback(),
    ],
    ids=["running", "promoted", "paused", "paused to stable", "completed", "rolled back"],
)
def test_rollback_is_legal_from_every_state(rollout: Rollout, before: Callable[[Rollout], object]) -> None:
    """A second time it does nothing; from anywhere else it is one event."""
    before(rollout)
    rollout.rollback()
    revision = rollout.revision
    rollout.rollback()
    assert (rollout.status, rollout.traffic_share) == (RolloutStatus.ROLLED_BACK, 0.0)
    assert rollout.revision == revision


def test_time_in_run_goes_on_over_stages_and_pauses(rollout: Rollout, clock: ManualClock) -> None:
    """Seconds since the run began, whatever happened in it; a new run begins at zero."""
    clock.advance(90)
    rollout.promote()
    rollout.pause()
    clock.advance(10)
    assert rollout.time_in_run() == 100
    rollout.restart()
    assert rollout.time_in_run() == 0


def test_time_in_stage_follows_the_clock(rollout: Rollout, clock: ManualClock) -> None:
    """Seconds since the stage was entered; a new stage begins at zero."""
    clock.advance(90)
    assert rollout.time_in_stage() == 90
    rollout.promote()
    assert rollout.time_in_stage() == 0


def test_can_promote_when_all_gates_are_met(rollout: Rollout, clock: ManualClock) -> None:
    """Time, samples and success rate of what it is given."""
    clock.advance(299)
    assert not rollout.can_promote(Seen())
    clock.advance(1)
    assert rollout.can_promote(Seen())
    assert not rollout.can_promote(Seen(total=99))
    assert not rollout.can_promote(Seen(success_rate=0.98))


def test_can_promote_looks_at_the_latency_where_a_stage_asks(clock: ManualClock) -> None:
    """Above max_p95_ms it says False."""
    rollout = Rollout([Stage(0.05, 0, 0, max_p95_ms=100), Stage(1.0)], clock=clock)
    assert rollout.can_promote(Seen(p95_ms=100))
    assert not rollout.can_promote(Seen(p95_ms=101))


def test_can_promote_judges_what_it_is_given(clock: ManualClock) -> None:
    """VersionMetrics are what it takes."""
    rollout = Rollout([Stage(0.05, 0, 2), Stage(1.0)], clock=clock)
    metrics = VersionMetrics()
    assert not rollout.can_promote(metrics)
    metrics.record(True, 10)
    metrics.record(True, 10)
    assert rollout.can_promote(metrics)


@pytest.mark.parametrize(
    "before",
    [
        lambda rollout: rollout.pause(),
        lambda rollout: rollout.rollback(),
        lambda rollout: rollout.promote_full(),
        lambda rollout: (rollout.promote(), rollout.promote()),
    ],
    ids=["paused", "rolled back", "completed", "in the last stage"],
)
def test_can_promote_says_false_where_it_cannot(
    rollout: Rollout, clock: ManualClock, before: Callable[[Rollout], object]
) -> None:
    """Whatever the metrics say."""
    before(rollout)
    clock.advance(10_000)
    assert not rollout.can_promote(Seen(total=10**6))


# Pausing


def test_a_pause_keeps_the_share(rollout: Rollout) -> None:
    """Users stay where they are."""
    rollout.pause()
    assert (rollout.status, rollout.traffic_share) == (RolloutStatus.PAUSED, 0.05)


def test_a_pause_to_stable_gives_everybody_stable(rollout: Rollout) -> None:
    """Resuming gives the stage's share back."""
    rollout.promote()
    rollout.pause(to_stable=True)
    assert (rollout.traffic_share, rollout.current_percent) == (0.0, 0.25)
    rollout.resume()
    assert (rollout.status, rollout.traffic_share, rollout.current_stage_idx) == (RolloutStatus.RUNNING, 0.25, 1)


def test_a_pause_does_not_count_as_time_in_stage(rollout: Rollout, clock: ManualClock) -> None:
    """Neither while it lasts nor afterwards."""
    clock.advance(10)
    rollout.pause()
    clock.advance(1000)
    assert rollout.time_in_stage() == 10
    rollout.resume()
    assert rollout.time_in_stage() == 10
    clock.advance(5)
    assert rollout.time_in_stage() == 15


def test_a_pause_may_be_changed(rollout: Rollout, clock: ManualClock) -> None:
    """From one kind to the other and back; its time goes on."""
    rollout.pause()
    clock.advance(5)
    rollout.pause(to_stable=True)
    assert rollout.traffic_share == 0.0
    clock.advance(5)
    rollout.pause()
    assert rollout.traffic_share == 0.05
    rollout.resume()
    assert rollout.time_in_stage() == 0


# Completing and beginning again


def test_promote_full_completes_from_any_stage(rollout: Rollout) -> None:
    """Everybody gets the canary, whatever the gates."""
    rollout.promote_full()
    assert (rollout.status, rollout.traffic_share, rollout.current_stage_idx) == (RolloutStatus.COMPLETED, 1.0, 2)
    assert rollout.is_complete


def test_promote_full_begins_the_time_of_the_last_stage(rollout: Rollout, clock: ManualClock) -> None:
    """Whatever time the stage had that it left."""
    clock.advance(60)
    rollout.promote_full()
    assert rollout.time_in_stage() == 0
    clock.advance(5)
    assert rollout.time_in_stage() == 5


def test_complete_ends_the_last_stage(rollout: Rollout, clock: ManualClock) -> None:
    """The bake's time stays what it was."""
    rollout.promote()
    rollout.promote()
    clock.advance(60)
    rollout.complete()
    assert (rollout.status, rollout.traffic_share) == (RolloutStatus.COMPLETED, 1.0)
    assert rollout.time_in_stage() == 60


def test_restart_begins_a_new_run(rollout: Rollout) -> None:
    """In the first stage, with another salt; also after a rollback, which is final only for its run."""
    rollout.promote()
    rollout.rollback()
    old_salt = rollout.state.salt
    rollout.restart()
    assert (rollout.run, rollout.status, rollout.current_stage_idx) == (2, RolloutStatus.RUNNING, 0)
    assert rollout.traffic_share == 0.05
    assert rollout.state.salt != old_salt


def test_a_kept_salt_stays(clock: ManualClock) -> None:
    """With keep_salt the same users get the canary in the next run."""
    rollout = Rollout([Stage(0.05)], keep_salt=True, clock=clock)
    old_salt = rollout.state.salt
    rollout.restart()
    assert rollout.state.salt == old_salt


# What is illegal


@pytest.mark.parametrize(
    ("before", "move", "message"),
    [
        ("pause", "promote", "cannot promote rollout 'default', which is paused: resume() it first, or rollback()"),
        ("pause", "pause", "cannot pause rollout 'default', which is paused: resume() it first, or rollback()"),
        ("pause", "complete", "cannot complete rollout 'default', which is paused: resume() it first, or rollback()"),
        (
            "pause",
            "promote_full",
            "cannot fully promote rollout 'default', which is paused: resume() it first, or rollback()",
        ),
        (
            "",
            "resume",
            (
                "cannot resume rollout 'default', which is running: it is neither paused nor finished; pause() or "
                "rollback() stop it"
            ),
        ),
        (
            "",
            "complete",
            (
                "cannot complete rollout 'default' in stage 1 of 3 at 0.05: promote() to a last stage of percent 1, or "
                "promote_full()"
            ),
        ),
        (
            "rollback",
            "pause",
            (
                "cannot pause rollout 'default', which is rolled back: rolled back is final for its "
                "run; restart() begins "
                "a new run"
            ),
        ),
        (
            "rollback",
            "resume",
            (
                "cannot resume rollout 'default', which is rolled back: rolled back is final for its "
                "run; restart() begins "
                "a new run"
            ),
        ),
        (
            "rollback",
            "promote_full",
            (
                "cannot fully promote rollout 'default', which is rolled back: rolled back is final "
                "for its run; restart() "
                "begins a new run"
            ),
        ),
        (
            "promote_full",
            "complete",
            (
                "cannot complete rollout 'default', which is completed: rollback() takes users back "
                "to stable, restart() "
                "begins a new run"
            ),
        ),
        (
            "promote_full",
            "pause",
            (
                "cannot pause rollout 'default', which is completed: rollback() takes users back to stable, restart() "
                "begins a new run"
            ),
        ),
    ],
)
def test_an_illegal_move_raises(rollout: Rollout, before: str, move: str, message: str) -> None:
    """The message says what the state is and what to do; nothing has changed."""
    if before:
        getattr(rollout, before)()
    state = rollout.state
    with pytest.raises(IllegalMoveError) as refused:
        getattr(rollout, move)()
    assert str(refused.value) == message
    assert rollout.state == state


# What the history keeps


def test_every_move_is_an_event(rollout: Rollout, clock: ManualClock) -> None:
    """With revision, id, time, actor, reason and evidence."""
    clock.advance(10)
    rollout.promote("enough samples", actor="ada", evidence={"samples": 120})
    started, promoted = rollout.history
    assert (started.revision, started.kind, started.run) == (1, EventKind.STARTED, 1)
    assert (promoted.revision, promoted.kind, promoted.run) == (2, EventKind.PROMOTED, 1)
    assert (promoted.actor, promoted.reason, promoted.evidence) == ("ada", "enough samples", {"samples": 120})
    assert promoted.at == clock.wall()
    assert promoted.data == {"stage": 1}
    assert started.id != promoted.id


def test_a_move_without_a_reason_says_who_made_it(rollout: Rollout) -> None:
    """No event is without a sentence."""
    rollout.rollback(actor="ada")
    assert rollout.history[-1].reason == "rolled back by ada"


def test_threads_may_move_it_at_once(clock: ManualClock) -> None:
    """Every promotion of eight threads is one event, revisions without a gap, no stage entered twice."""
    rollout = Rollout([Stage(step / 400) for step in range(401)], clock=clock)
    ready, promoted = threading.Barrier(8), []

    def promote() -> None:
        ready.wait(timeout=10)
        promoted.extend(rollout.promote() for _ in range(50))

    threads = [threading.Thread(target=promote) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert promoted == [True] * 400
    assert [event.revision for event in rollout.history] == list(range(1, 402))
    assert rollout.current_stage_idx == 400


def test_a_wrong_clock_is_refused() -> None:
    """A clock that returns no number is an error at construction."""
    with pytest.raises(ValueError, match="clock must return seconds as a finite number"):
        Rollout([Stage(0.5)], clock=lambda: "now")


def test_a_callable_is_a_clock() -> None:
    """Any callable that returns wall-clock seconds."""
    now = [1000.0]
    rollout = Rollout([Stage(0.5)], clock=lambda: now[0])
    now[0] = 1012.5
    assert rollout.time_in_stage() == timedelta(seconds=12.5).total_seconds()


def test_its_text_says_where_it_is(rollout: Rollout) -> None:
    """For logs and debuggers."""
    rollout.promote()
    assert repr(rollout) == "<Rollout 'default': run 1 running, stage 2 of 3, revision 2>"

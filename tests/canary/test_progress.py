"""A whole rollout on a manual clock: on, back, and when it stays."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from agent_canary import (
    AgentCanary,
    AutoAction,
    FailureRate,
    FindingStatus,
    IllegalMoveError,
    Rate,
    RolloutStatus,
    Stage,
)
from agent_canary.testing import ManualClock, disabled
from tests.canary.kit import counted, key_on, let_run, serve, users

Make = Callable[..., AgentCanary]


def kinds(canary: AgentCanary) -> list[str]:
    """Return what has happened so far."""
    return [event.kind.value for event in canary.rollout.history]


def one_in(number: int) -> Callable[[str, str], bool]:
    """Return failures of one request in *number*, whatever the version and the user."""
    draw = random.Random(number)
    return lambda version, user: draw.random() < 1 / number


# On


def test_a_harmless_canary_goes_all_the_way(canary: AgentCanary, clock: ManualClock) -> None:
    """As good as stable, with a few failures of both: through every stage, a bake at 100 %, and completed."""
    let_run(canary, clock, 120, users(3000), one_in(50))
    assert kinds(canary) == ["started", "promoted", "promoted", "promoted", "completed"]
    assert canary.rollout.status is RolloutStatus.COMPLETED
    assert {canary.route(key) for key in users(500)} == {"v2"}
    for before, after in pairwise(canary.rollout.history):
        assert after.at - before.at >= 10


@pytest.mark.parametrize("failing", [5, 2])
def test_a_canary_as_bad_as_stable_is_no_regression(make_canary: Make, clock: ManualClock, failing: int) -> None:
    """Both fail in a fifth, or in half, of their requests."""
    canary = make_canary()
    let_run(canary, clock, 120, users(3000), one_in(failing))
    assert canary.rollout.status is RolloutStatus.COMPLETED


def test_an_outage_that_hits_both_versions_is_no_regression(make_canary: Make, clock: ManualClock) -> None:
    """For some seconds everything fails; the stage's own threshold holds, and the rollout goes on afterwards."""
    canary = make_canary(stages=[Stage(share, 10, 20, 0.9) for share in (0.25, 0.5, 1.0)])
    let_run(canary, clock, 3, users(3000))
    let_run(canary, clock, 9, users(3000), lambda version, user: True)
    assert kinds(canary) == ["started"]
    assert "canary success is" in canary.explain().sentence
    let_run(canary, clock, 240, users(3000))
    assert canary.rollout.status is RolloutStatus.COMPLETED


def test_a_stage_has_its_own_gates(make_canary: Make, clock: ManualClock) -> None:
    """Time, samples, success and latency, each said while it is missing; no guardrail fails here."""
    canary = make_canary(stages=[Stage(0.5, 10, 20, 0.9, 1000), Stage(1.0)])
    serve(canary, users(20))
    clock.advance(1)
    canary.tick()
    assert "9 s of 10 s left" in canary.explain().sentence
    clock.advance(10)
    canary.tick()
    assert "of 20 canary answers are in" in canary.explain().sentence
    serve(canary, users(100), one_in(2))
    clock.advance(1)
    canary.tick()
    assert "canary success is" in canary.explain().sentence
    assert canary.rollout.current_stage_idx == 0


def test_a_slow_canary_stays(make_canary: Make, clock: ManualClock) -> None:
    """Where the stage has a latency gate."""
    canary = make_canary(stages=[Stage(0.5, 0, 20, 0.9, 1000), Stage(1.0)])
    for key in users(100):
        assignment = canary.assign(key)
        clock.advance(1.2 if assignment.is_canary else 0.2)
        assignment.succeed()
    canary.tick()
    assert re.fullmatch(
        r"stage 1 of 2 \(50 %\): canary p95 is 1,(19|20)\d ms, the stage allows 1,000 ms", canary.explain().sentence
    )


def test_the_samples_of_a_stage_are_its_own(make_canary: Make, clock: ManualClock) -> None:
    """A thousand answers in the first stage are none of the second."""
    canary = make_canary(stages=[Stage(0.5, 0, 20), Stage(0.6, 0, 20), Stage(1.0)])
    serve(canary, users(1000))
    clock.advance(1)
    canary.tick()
    clock.advance(1)
    canary.tick()
    assert canary.rollout.current_stage_idx == 1
    assert canary.explain().sentence == "stage 2 of 3 (60 %): 0 of 20 canary answers are in"


def test_the_last_stage_is_baked_before_it_is_completed(make_canary: Make, clock: ManualClock) -> None:
    """Everybody is on the canary from its begin on; completed is the event at the end of its own time."""
    canary = make_canary(stages=[Stage(0.5, 0, 0), Stage(1.0, 60, 10)])
    serve(canary, users(10))
    clock.advance(1)
    canary.tick()
    assert canary.rollout.is_complete
    serve(canary, users(10))
    clock.advance(59)
    canary.tick()
    assert canary.rollout.status is RolloutStatus.RUNNING
    clock.advance(1)
    canary.tick()
    assert canary.rollout.status is RolloutStatus.COMPLETED
    event = canary.rollout.history[-1]
    assert (event.actor, event.reason) == ("auto", "stage 2 of 2 (100 %): its time, samples and thresholds are met")


def test_a_last_stage_below_100_percent_waits_for_a_person(make_canary: Make, clock: ManualClock) -> None:
    """It says so, and promote_full() completes it."""
    canary = make_canary(stages=[Stage(0.25, 0, 0), Stage(0.5, 0, 0)])
    let_run(canary, clock, 10, users(100))
    assert kinds(canary) == ["started", "promoted"]
    assert canary.explain().sentence == (
        "stage 2 of 2 (50 %): its thresholds are met; it is the last, promote_full() completes it"
    )
    canary.rollout.promote_full(actor="ada")
    assert {canary.route(key) for key in users(100)} == {"v2"}


# Back


@pytest.mark.parametrize("stage", range(4))
def test_a_bad_canary_is_rolled_back_from_any_stage(canary: AgentCanary, clock: ManualClock, stage: int) -> None:
    """Good until it reaches the stage, then failing always: everybody is on stable again, for good."""

    def fails(version: str, user: str) -> bool:
        return version == "v2" and canary.rollout.current_stage_idx == stage

    let_run(canary, clock, 120, users(3000), fails)
    assert canary.rollout.status is RolloutStatus.ROLLED_BACK
    assert kinds(canary) == ["started", *["promoted"] * stage, "rolled_back"]
    assert {canary.route(key) for key in users(500)} == {"v1"}
    let_run(canary, clock, 5, users(100))
    assert canary.rollout.promote() is False
    assert canary.auto_decide() is AutoAction.HOLD
    assert kinds(canary)[-1] == "rolled_back"


def test_a_worse_canary_is_rolled_back(canary: AgentCanary, clock: ManualClock) -> None:
    """Five times the failures of stable, which is not total failure."""
    draw = random.Random(7)
    let_run(canary, clock, 120, users(3000), lambda version, user: draw.random() < (0.1 if version == "v2" else 0.02))
    assert kinds(canary)[-1] == "rolled_back"
    assert canary.rollout.history[-1].reason.startswith("failures: ")


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("many", [True, False], ids=["of many users", "of one user"])
def test_twenty_failures_of_the_first_twenty_roll_back(
    make_canary: Make, clock: ManualClock, share: float, many: bool
) -> None:
    """At every traffic share, while stable is healthy."""
    canary = make_canary(stages=[Stage(share), Stage(1.0)])
    for number in range(20):
        serve(canary, [key_on(canary, "v2", number if many else 0)], lambda version, user: True)
        serve(canary, [key_on(canary, "v1", number)])
    clock.advance(1)
    canary.tick()
    assert canary.rollout.status is RolloutStatus.ROLLED_BACK


def test_a_canary_that_fails_from_its_first_request_on_costs_a_handful(make_canary: Make, clock: ManualClock) -> None:
    """With users of both versions coming one by one, it is gone before a dozen of them met it."""
    canary = make_canary(stages=[Stage(0.5), Stage(1.0)])
    for user in users(1000):
        serve(canary, [user], lambda version, user: version == "v2")
        clock.advance(1)
        canary.tick()
        if canary.rollout.state.is_finished:
            break
    assert canary.rollout.history[-1].evidence is not None
    assert canary.rollout.history[-1].evidence["findings"][0]["canary_bad"] <= 12


def test_a_bad_score_rolls_back_where_the_answers_are_all_200(make_canary: Make, clock: ManualClock) -> None:
    """A 0/1 score by its name, judged when its horizon has passed."""
    draw = random.Random(3)
    canary = make_canary(rollback_on=[Rate("thumbs_up", higher_is_better=True, horizon=5)], stages=[Stage(0.25)])
    let_run(
        canary,
        clock,
        60,
        users(2000),
        lambda version, user: draw.random() < (0.3 if version == "v2" else 0.1),
        score="thumbs_up",
    )
    assert kinds(canary) == ["started", "rolled_back"]
    assert "of canary answers scored 0" in canary.rollout.history[-1].reason


def test_a_bad_signal_only_holds(make_canary: Make, clock: ManualClock) -> None:
    """However bad it looks."""
    canary = make_canary(hold_on=[Rate("thumbs_up", higher_is_better=True, horizon=5)])
    let_run(canary, clock, 60, users(2000), lambda version, user: version == "v2", score="thumbs_up")
    assert kinds(canary) == ["started"]
    assert canary.explain().action is AutoAction.HOLD
    assert canary.explain().sentence.startswith("held by a signal: thumbs_up: 100 % of canary answers scored 0")


def test_a_named_guardrail_holds_while_it_has_no_data(make_canary: Make, clock: ManualClock) -> None:
    """Nobody scores; the default guardrail, which has no data either at first, would not hold."""
    canary = make_canary(rollback_on=[Rate("thumbs_up")], stages=[Stage(0.5, 0, 0), Stage(1.0, 0, 0)])
    let_run(canary, clock, 5, users(1000))
    assert kinds(canary) == ["started"]
    assert canary.explain().sentence == (
        "waiting for data: thumbs_up: nothing to compare, 0 answers of the canary and 0 answers of stable; "
        "261 of this stage's canary answers have no score that counts yet"
    )
    by_default = make_canary(stages=[Stage(0.5, 0, 0), Stage(1.0, 0, 0)])
    by_default.tick()
    assert kinds(by_default) == ["started", "promoted"]


# The watermark


@pytest.mark.parametrize("slow", ["v1", "v2"])
def test_nothing_is_judged_while_one_arm_is_open(make_canary: Make, clock: ManualClock, slow: str) -> None:
    """The canary's failures are in, an answer of the same time is not: it holds back both arms of its slice."""
    canary = make_canary(stages=[Stage(0.5), Stage(1.0)])
    is_open = canary.assign(key_on(canary, slow, 100))
    for number in range(30):
        serve(canary, [key_on(canary, "v2", number)], lambda version, user: True)
        serve(canary, [key_on(canary, "v1", number)])
    for _ in range(20):
        clock.advance(1)
        canary.tick()
    assert kinds(canary) == ["started"]
    assert canary.explain().findings[0].canary_total == 0
    assert canary.status()["pending_slices"] > 1
    assert canary.status()["watermark_age_s"] >= 20
    is_open.succeed()
    canary.tick()
    assert kinds(canary) == ["started", "rolled_back"]


def test_an_answer_older_than_the_horizon_counts_as_failed(make_canary: Make, clock: ManualClock) -> None:
    """A canary that hangs does not hide: its open answers hold the slice back until then, and not longer."""
    canary = make_canary(stages=[Stage(0.5), Stage(1.0)], outcome_horizon=30)
    for number in range(30):
        canary.assign(key_on(canary, "v2", number))
        serve(canary, [key_on(canary, "v1", number)])
    clock.advance(30)
    canary.tick()
    assert kinds(canary) == ["started"]
    clock.advance(1)
    canary.tick()
    assert kinds(canary) == ["started", "rolled_back"]
    assert canary.status()["failure_reasons"]["v2"] == {"timed out": 30}


def test_stable_that_reports_its_failures_late_makes_no_false_alarm(canary: AgentCanary, clock: ManualClock) -> None:
    """Both fail alike; the canary at once, stable after twenty seconds: judged as they come, the canary looked bad."""
    draw, waiting = random.Random(5), []
    canary.rollout.promote()
    for second in range(100):
        for user in users(3000)[second * 30 % 3000 :][:30]:
            assignment = canary.assign(user)
            if draw.random() < 0.7:
                assignment.succeed()
            elif assignment.is_canary:
                assignment.fail()
            else:
                waiting.append((second + 20, assignment))
        for due, assignment in [entry for entry in waiting if entry[0] == second]:
            assignment.fail()
            waiting.remove((due, assignment))
        clock.advance(1)
        canary.tick()
        assert "rolled_back" not in kinds(canary)


def test_an_open_answer_that_is_no_evidence_holds_nobody_back(make_canary: Make, clock: ManualClock) -> None:
    """Requests without a key and overrides may stay open for ever."""
    canary = make_canary(stages=[Stage(0.5, 0, 20), Stage(1.0)], overrides={"ada": "v2"})
    canary.assign()
    canary.assign("ada")
    serve(canary, users(200))
    clock.advance(1)
    canary.tick()
    assert kinds(canary) == ["started", "promoted"]


# By hand


def test_deciding_by_hand_moves_nothing_until_it_is_applied(canary: AgentCanary, clock: ManualClock) -> None:
    """auto_decide recommends, explain says why, apply does it, with the verdict as the event's reason."""
    serve(canary, users(1000))
    clock.advance(10)
    assert canary.auto_decide() is AutoAction.PROMOTE
    assert canary.auto_decide() is AutoAction.PROMOTE
    assert kinds(canary) == ["started"]
    verdict = canary.explain()
    assert verdict.findings[0].status is FindingStatus.INCONCLUSIVE
    canary.apply(AutoAction.PROMOTE)
    assert kinds(canary) == ["started", "promoted"]
    assert canary.rollout.history[-1].reason == verdict.sentence


def test_what_nobody_recommended_may_be_applied(canary: AgentCanary) -> None:
    """Then the event says that the application did it; a word will do for an action."""
    canary.apply("promote")
    assert canary.rollout.history[-1].reason == "promote applied by the application"
    canary.apply(AutoAction.HOLD)
    assert canary.rollout.current_stage_idx == 1
    canary.apply(AutoAction.ROLLBACK)
    assert kinds(canary) == ["started", "promoted", "rolled_back"]
    canary.apply(AutoAction.PROMOTE)
    assert canary.rollout.status is RolloutStatus.ROLLED_BACK


def test_no_other_action_may_be_applied(canary: AgentCanary) -> None:
    """It is an error, and nothing moves."""
    with pytest.raises(ValueError, match="'abort' is not a valid AutoAction"):
        canary.apply("abort")
    assert kinds(canary) == ["started"]


def test_explain_analyses_when_nobody_has(canary: AgentCanary) -> None:
    """The first call makes an analysis; later ones repeat the last."""
    assert canary.explain().action is AutoAction.HOLD
    assert canary.explain().findings[0].status is FindingStatus.NO_DATA


def test_a_bake_is_completed_by_hand_too(make_canary: Make, clock: ManualClock) -> None:
    """Applying hold in a last stage whose gates are met."""
    canary = make_canary(stages=[Stage(1.0, 10, 0)])
    canary.apply(canary.auto_decide())
    assert canary.rollout.status is RolloutStatus.RUNNING
    clock.advance(10)
    assert canary.auto_decide() is AutoAction.HOLD
    assert canary.explain().sentence == ("stage 1 of 1 (100 %): nothing to compare with, thresholds only; they are met")
    canary.apply(AutoAction.HOLD)
    assert canary.rollout.status is RolloutStatus.COMPLETED


# Paused


def test_a_paused_rollout_is_not_promoted(canary: AgentCanary, clock: ManualClock) -> None:
    """Whatever its gates; its share stays."""
    let_run(canary, clock, 9, users(1000))
    serve(canary, users(1000))
    clock.advance(1)
    canary.rollout.pause("let me look", actor="ada")
    share = canary.status()["traffic_share"]
    let_run(canary, clock, 30, users(1000))
    assert kinds(canary) == ["started", "paused"]
    assert canary.status()["traffic_share"] == share
    assert canary.auto_decide() is AutoAction.HOLD
    assert canary.explain().sentence == (
        "paused: stage 1 of 4 (5 %): time, samples and thresholds are met and no guardrail fails"
    )
    with pytest.raises(IllegalMoveError, match=r"resume\(\) it first"):
        canary.apply(AutoAction.PROMOTE)
    canary.rollout.resume()
    let_run(canary, clock, 5, users(1000))
    assert kinds(canary)[:4] == ["started", "paused", "resumed", "promoted"]


def test_a_paused_rollout_is_rolled_back(canary: AgentCanary, clock: ManualClock) -> None:
    """Users still meet the canary, so it is still watched."""
    canary.rollout.pause()
    let_run(canary, clock, 30, users(3000), lambda version, user: version == "v2")
    assert kinds(canary) == ["started", "paused", "rolled_back"]


def test_paused_to_stable_serves_stable_to_everybody(canary: AgentCanary) -> None:
    """And gives the same users the canary back afterwards."""
    before = {key for key in users(1000) if canary.route(key) == "v2"}
    canary.rollout.pause(to_stable=True)
    assert {canary.route(key) for key in users(1000)} == {"v1"}
    canary.rollout.resume()
    assert {key for key in users(1000) if canary.route(key) == "v2"} == before


# A new run


def test_a_restart_begins_with_other_users_and_no_evidence(canary: AgentCanary, clock: ManualClock) -> None:
    """A new salt, new metrics of the canary, and nothing of what was held against the run before."""
    let_run(canary, clock, 30, users(3000), lambda version, user: version == "v2")
    before = {key for key in users(3000) if canary.assign(key).bucket < 0.05}
    canary.rollout.restart("fixed", actor="ada")
    after = {key for key in users(3000) if canary.route(key) == "v2"}
    assert 90 < len(after) < 220
    assert len(before & after) < 40
    assert canary.rollout.run == 2
    assert counted(canary, "v2") == (0, 0, 0)
    assert canary.explain().findings[0].canary_total == 0
    let_run(canary, clock, 120, users(3000))
    assert canary.rollout.status is RolloutStatus.COMPLETED


def test_a_kept_salt_keeps_the_users(make_canary: Make) -> None:
    """Where the plan says so."""
    canary = make_canary(keep_salt=True)
    before = {key for key in users(1000) if canary.route(key) == "v2"}
    canary.rollout.restart()
    assert {key for key in users(1000) if canary.route(key) == "v2"} == before


def test_answers_of_the_run_before_are_no_evidence_of_the_next(canary: AgentCanary, clock: ManualClock) -> None:
    """Requests that were open at the restart end without being counted for it."""
    opened = [canary.assign(key_on(canary, "v2", number)) for number in range(30)]
    canary.rollout.restart()
    for assignment in opened:
        assignment.fail()
    clock.advance(1)
    canary.tick()
    assert kinds(canary) == ["started", "started"]
    assert counted(canary, "v2") == (0, 0, 0)


def test_an_answer_belongs_to_the_stage_of_its_assignment(make_canary: Make, clock: ManualClock) -> None:
    """One that ends after a promotion is evidence of the stage before, and no sample of the new one."""
    canary = make_canary(stages=[Stage(0.25, 0, 0), Stage(0.5, 0, 10), Stage(1.0)])
    opened = [canary.assign(key_on(canary, "v2", number)) for number in range(20)]
    canary.rollout.promote()
    for assignment in opened:
        assert (assignment.stage_idx, assignment.traffic_share) == (0, 0.25)
        assignment.succeed()
    clock.advance(1)
    canary.tick()
    assert canary.explain().findings[0].canary_total == 20
    assert canary.explain().sentence == "stage 2 of 3 (50 %): 0 of 10 canary answers are in"


# The whole, many times


@pytest.mark.parametrize("seed", range(3))
def test_heavy_users_make_no_false_alarm(make_canary: Make, clock: ManualClock, seed: int) -> None:
    """Twenty users make most requests, and each of them fails always or never, on either version alike."""
    draw = random.Random(seed)
    canary = make_canary(stages=[Stage(0.25, 10, 20, 0.0), Stage(0.5, 10, 20, 0.0), Stage(1.0, 10, 20, 0.0)])
    unlucky = {user for user in users(400) if draw.random() < 0.3}
    heavy = [*users(20) * 30, *users(400)]
    draw.shuffle(heavy)
    let_run(canary, clock, 60, heavy, lambda version, user: user in unlucky)
    assert "rolled_back" not in kinds(canary)
    assert json.dumps(canary.status(), allow_nan=False)


# Found by people who tried to break it


def test_a_score_that_is_only_reported_when_bad_rolls_back(make_canary: Make, clock: ManualClock) -> None:
    """A thumbs-down button tells of no good answers: the bad ones are a share of all answers then."""
    canary = make_canary(stages=[Stage(0.5), Stage(1.0)], rollback_on=[FailureRate(), Rate("thumbs_down", horizon=5)])
    for second in range(60):
        for number in range(50):
            key = f"user-{second * 50 + number}"
            with canary.assign(key) as assignment:
                often = 2 if assignment.is_canary else 25
                if number % often == 0:
                    assignment.score("thumbs_down", 1)
        clock.advance(1)
        canary.tick()
    assert canary.rollout.status is RolloutStatus.ROLLED_BACK
    assert canary.explain().sentence.startswith("thumbs_down: ")


def test_nothing_is_promoted_while_everything_is_switched_off(canary: AgentCanary, clock: ManualClock) -> None:
    """Whoever comes back from lifting the switch finds the rollout where it was."""
    let_run(canary, clock, 9, users(1000))
    serve(canary, users(1000))
    with disabled():
        let_run(canary, clock, 100)
        assert canary.status()["traffic_share"] == 0.0
        assert canary.explain().sentence.startswith("switched off, everybody gets stable: ")
    assert kinds(canary) == ["started"]
    let_run(canary, clock, 1)
    assert kinds(canary) == ["started", "promoted"]


def test_two_who_apply_one_verdict_move_one_stage(canary: AgentCanary, clock: ManualClock) -> None:
    """The second one's recommendation was for the stage that is over."""
    let_run(canary, clock, 9, users(1000))
    serve(canary, users(1000))
    clock.advance(1)
    action = canary.auto_decide()
    assert action is AutoAction.PROMOTE
    canary.apply(action)
    canary.apply(action)
    assert canary.rollout.current_stage_idx == 1


def test_a_rollback_leaves_the_canarys_metrics_to_look_at(canary: AgentCanary, clock: ManualClock) -> None:
    """They are of the stage in which it failed, also when a person rolled it back, whose reason is then the verdict."""
    canary.rollout.promote()
    serve(canary, users(1000), lambda version, user: version == "v2")
    canary.rollout.rollback("ada saw it", actor="ada")
    assert canary.status()["canary_metrics"]["failures"] > 100
    assert canary.explain().sentence == "the rollout is rolled back: ada saw it"


def test_a_guardrail_that_nobody_can_judge_is_refused(make_canary: Make) -> None:
    """It would hold the rollout for ever."""

    class Mine:
        name = "mine"

        def to_json(self) -> dict[str, Any]:
            return {"type": "mine", "name": self.name}

    with pytest.raises(ValueError, match="must hold guardrails of the library"):
        make_canary(rollback_on=[Mine()])

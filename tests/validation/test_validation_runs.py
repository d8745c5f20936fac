"""A run through the public API reports what the traffic says, and its outcome says what the library did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent_canary import FailureRate, Finding, Latency, Rate, SampleRatio, Score, Stage
from validation.amounts import Constant, Lognormal, Mixed, NearlyOne, YesNo
from validation.arm import Arm, Failing, Scored
from validation.cell import Act, Cell
from validation.measuring import be_quiet, fingerprint, run_once
from validation.outcome import Outcome
from validation.rollout_run import RolloutRun
from validation.schedules import by_time
from validation.traffic import draw, generator
from validation.users import Users

USERS = Users(300, 1.0, 0.2)
FAILURES = (FailureRate(),)
HALF = (Stage(0.5, 10_000.0, 0, 0.0),)
"""A stage that is never left."""
SHORT = by_time((0.2, 60.0), (0.5, 60.0))


@pytest.fixture(autouse=True)
def _quiet() -> None:
    be_quiet()


def ran(cell: Cell, run: int = 0, alpha: float = 0.01) -> tuple[Outcome, RolloutRun]:
    """Return how a run ended, and the run."""
    rollout = RolloutRun(cell, draw(cell, generator(cell, run)), alpha, f"{cell.name} {run}")
    return rollout.run(), rollout


def finding(run: RolloutRun, name: str) -> Finding:
    """Return the last finding of a guardrail."""
    return next(each for each in run._canary.explain().findings if each.guardrail == name)


def test_the_library_has_seen_what_the_outcome_counts() -> None:
    """Answers, failures and users of the canary are those of its own finding."""
    outcome, run = ran(
        Cell("counts", USERS, Arm(failing=Failing(0.1)), guardrails=FAILURES, stages=HALF, seconds=200.0)
    )
    seen = finding(run, "failures")
    assert (seen.canary_total, seen.canary_bad) == (outcome.answers, outcome.failed)
    assert (seen.canary_users, seen.canary_bad_users) == (outcome.users, outcome.harmed)
    assert seen.stable_total == outcome.requests - outcome.answers
    assert outcome.end == "going"


@pytest.mark.parametrize("seconds", [3.0, 25.0])
def test_late_answers_are_reported_at_their_time(seconds: float) -> None:
    """What was asked for in the last seconds is still open, and the latencies are what they were."""
    arm = Arm(failing=Failing(0.1), seconds=Constant(seconds))
    cell = Cell("late", USERS, arm, guardrails=FAILURES, stages=HALF, seconds=200.0)
    outcome, run = ran(cell)
    traffic = draw(cell, generator(cell, 0))
    metrics = [run._canary.metrics(version) for version in run._canary.versions]
    assert sum(each.total for each in metrics) == (traffic.at + seconds <= 200.0).sum() < outcome.requests
    assert metrics[0].p50_ms == pytest.approx(1000.0 * seconds)


def test_answers_that_never_come_time_out() -> None:
    """The library counts them as failed when the horizon is over."""
    arm = Arm(failing=Failing(0.0), seconds=Mixed(0.2, Constant(1e6), Constant(1.0)))
    cell = Cell("hangs", USERS, arm, guardrails=FAILURES, stages=HALF, seconds=300.0, horizon=20.0)
    _, run = ran(cell)
    stable = run._canary.metrics("stable").totals
    assert stable.failed == stable.timed_out > 50


def test_everything_that_an_answer_has_is_reported() -> None:
    """Tokens, cost, first token and scores arrive as they were drawn, those that come later too."""
    arm = Arm(
        failing=Failing(0.0),
        seconds=Constant(2.0),
        first_token=Constant(0.5),
        cost=Constant(0.25),
        tokens=Constant(700.0),
        scores=(Scored("judge", Constant(0.75)), Scored("thumbs_down", YesNo(0.5), share=0.5, delay=15.0)),
    )
    guardrails = (Score("judge"), Rate("thumbs_down"))
    outcome, run = ran(Cell("reports", USERS, arm, guardrails=guardrails, stages=HALF, seconds=200.0))
    totals = run._canary.metrics("stable").totals
    assert totals.input_tokens == 700 * totals.total
    assert totals.cost_usd == pytest.approx(0.25 * totals.total)
    assert totals.first_token.quantile(0.5) == pytest.approx(500.0, rel=0.01)
    assert totals.scores["judge"].count == totals.total
    assert 0.4 < totals.scores["thumbs_down"].count / totals.total < 0.55
    assert outcome.end == "going"


def test_a_worse_canary_is_rolled_back_by_the_guardrail_that_sees_it() -> None:
    """And the outcome names it."""
    stable = Arm(failing=Failing(0.01), scores=(Scored("judge", NearlyOne()),))
    canary = replace(stable, scores=(Scored("judge", NearlyOne(2.0)),))
    guardrails = (FailureRate(), Score("judge"))
    outcome, _ = ran(Cell("judge", Users(2_000), stable, canary, False, guardrails, HALF, seconds=1000.0))
    assert (outcome.end, outcome.by, outcome.alarms) == ("rolled back", ("judge",), 1)


def test_a_harmless_canary_completes() -> None:
    """When the ramp is over."""
    outcome, _ = ran(
        Cell("harmless", USERS, Arm(failing=Failing(0.1)), guardrails=FAILURES, stages=SHORT, seconds=300.0)
    )
    assert outcome.end == "completed"
    assert outcome.seconds <= 140.0


def test_answers_without_a_key_are_recorded_without_one() -> None:
    """Half of them by the coin, and the evidence has no users."""
    outcome, run = ran(
        Cell("coins", USERS, Arm(failing=Failing(0.1)), guardrails=FAILURES, stages=HALF, seconds=400.0, keyed=False)
    )
    seen = finding(run, "failures")
    assert seen.canary_users == 0
    assert seen.canary_total == outcome.answers
    assert outcome.answers / outcome.requests == pytest.approx(0.5, abs=0.05)


def test_runs_without_keys_can_be_had_again() -> None:
    """The coins are part of the run."""
    cell = Cell("coins", USERS, Arm(failing=Failing(0.1)), guardrails=FAILURES, stages=HALF, seconds=100.0, keyed=False)
    assert ran(cell)[0] == ran(cell)[0]


def test_a_canary_that_is_used_more_answers_more() -> None:
    """Twice as often, and stable as often as before."""
    arm = Arm(failing=Failing(0.05))
    cell = Cell("used", Users(300), arm, replace(arm, use=2.0), guardrails=FAILURES, stages=HALF, seconds=1000.0)
    outcome, _ = ran(cell)
    stable = (outcome.requests - outcome.answers) / (300 - outcome.users)
    assert stable == pytest.approx(5.0 * 1000.0 / 300, rel=0.05)
    assert outcome.answers / outcome.users == pytest.approx(2.0 * stable, rel=0.06)


def test_users_whom_the_canary_loses_are_never_assigned() -> None:
    """The sample ratio sees that."""
    arm = Arm(failing=Failing(0.0))
    cell = Cell("lost", Users(5_000), arm, replace(arm, kept=0.5), False, (SampleRatio(),), HALF, seconds=1500.0)
    outcome, _ = ran(cell)
    assert (outcome.end, outcome.by) == ("rolled back", ("sample_ratio",))


def test_people_do_what_the_cell_says() -> None:
    """A pause to stable takes everybody from the canary, and the stage takes as much longer."""
    acts = (Act(30.0, "pause to stable"), Act(80.0, "resume"))
    cell = Cell("acts", USERS, Arm(failing=Failing(0.1)), guardrails=FAILURES, stages=SHORT, seconds=400.0)
    plain, _ = ran(cell)
    paused, run = ran(replace(cell, acts=acts))
    assert paused.seconds == plain.seconds + 50.0
    kinds = [event.kind.value for event in run._canary.rollout.history]
    assert kinds[:3] == ["started", "paused", "resumed"]


@pytest.mark.parametrize("salt", ["new", "old"])
def test_a_rollout_can_be_restarted_with_the_new_or_the_old_salt(salt: str) -> None:
    """By hand; that is no alarm."""
    acts = (Act(60.0, "roll back"), Act(60.0, "restart"))
    arm = Arm(failing=Failing(0.1))
    cell = Cell("restart", USERS, arm, guardrails=FAILURES, stages=SHORT, seconds=400.0, acts=acts)
    outcome, run = ran(replace(cell, policies={"keep_salt": salt == "old"}))
    salts = {event.data["salt"] for event in run._canary.rollout.history if event.kind.value == "started"}
    assert len(salts) == (1 if salt == "old" else 2)
    assert (outcome.end, outcome.alarms) == ("completed", 0)


def test_an_alarm_may_be_followed_by_one_more_run() -> None:
    """A bad canary is rolled back twice."""
    bad = Arm(failing=Failing(0.9))
    cell = Cell("again", Users(500), Arm(failing=Failing(0.01)), bad, False, FAILURES, HALF, seconds=600.0, again=True)
    outcome, run = ran(cell)
    assert (outcome.end, outcome.alarms) == ("rolled back", 2)
    assert run._canary.rollout.run == 2


def test_a_run_at_a_smaller_alpha_is_the_same_until_the_alarm() -> None:
    """What is not rolled back at 90 % ends alike at 1 %, so it is not run again; what is rolled back, is."""
    arm = Arm(failing=Failing(0.1), seconds=Lognormal(2.0, 0.5))
    worse = replace(arm, failing=Failing(0.2))
    guardrails = (FailureRate(1.0), Latency(tolerance=1.0))
    cell = Cell("nested", USERS, arm, worse, guardrails=guardrails, stages=SHORT, seconds=200.0)
    alarms = set()
    for run in range(8):
        large, small = ran(cell, run, 0.9)[0], ran(cell, run, 0.01)[0]
        assert run_once(replace(cell, alphas=(0.9, 0.01)), run).library == {0.9: large, 0.01: small}
        assert large.alarms or large == small
        alarms.add((large.alarms, small.alarms))
    assert alarms == {(0, 0), (1, 0)}


def test_rules_see_the_users_whom_the_library_has_on_the_canary() -> None:
    """Where nobody decides anything, all three have the same answers."""
    cell = Cell("same", USERS, Arm(failing=Failing(0.005)), guardrails=FAILURES, stages=HALF, seconds=300.0, rules=True)
    run = run_once(cell, 0)
    ours = run.library[0.01]
    assert run.original is not None
    assert run.fixed is not None
    assert (ours.answers, ours.users) == (run.original.answers, run.original.users)
    assert (ours.answers, ours.users) == (run.fixed.answers, run.fixed.users)


def test_a_cells_words_are_no_part_of_its_fingerprint() -> None:
    """A result stays good when a note is written, and not when the setting is another one."""
    cell = Cell("same", USERS, Arm())
    assert fingerprint(replace(cell, note="why", quick=True)) == fingerprint(cell)
    assert fingerprint(replace(cell, users=Users(301, 1.0, 0.2))) != fingerprint(cell)
    assert fingerprint(replace(cell, canary=Arm(failing=Failing(0.5)))) != fingerprint(cell)

"""What a plan says about missing data and open findings, from requests to events."""

from __future__ import annotations

import re
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from agent_canary import FailureRate, FirstToken, Rate, RolloutStatus, Score, Stage, Threshold
from agent_canary.plan.policies import Promote, Unsettled
from agent_canary.testing import disabled
from tests.deciding.trial import Answer, Trial

UNSETTLED: tuple[Unsettled, ...] = ("hold", "promote", "pause", "rollback")
AFTER: dict[Unsettled, list[str]] = {
    "hold": ["started"],
    "promote": ["started", "promoted"],
    "pause": ["started", "paused"],
    "rollback": ["started", "rolled_back"],
}
SHORT = (Stage(0.5, 10, 20, 0.0), Stage(1.0, 1000, 0, 0.0))
"""A stage of ten seconds, and one that is not left."""


def rare(draw: Random, is_canary: bool, user: int) -> Answer:
    """One failure in fifty."""
    return Answer(failed=draw.random() < 0.02)


def stays(trial: Trial, seconds: int) -> None:
    """Serve, and see that nothing moves."""
    before = trial.kinds
    trial.run(seconds, rare)
    assert trial.kinds == before


# Strict promotion


def test_the_strict_plan_promotes_once_every_guardrail_has_passed() -> None:
    """Time and samples are met long before; the sentence says what it was waiting for."""
    trial = Trial(SHORT, rollback_on=[FailureRate()], promote="when_not_worse")
    stays(trial, 20)
    assert trial.verdict.sentence.startswith("not shown to be no worse yet: failures: ")
    assert "would settle it" in trial.verdict.sentence
    trial.run(120, rare)
    assert trial.kinds == ["started", "promoted"]
    assert trial.canary.rollout.history[-1].reason == (
        "stage 1 of 2 (50 %): time, samples and thresholds are met and every guardrail passes"
    )


def test_the_strict_plan_holds_a_canary_that_is_a_little_worse() -> None:
    """A fifth more is tolerated by the guardrail, and is not shown to be less than a thousandth of answers."""
    trial = Trial(SHORT, rollback_on=[FailureRate(1.5)], promote="when_not_worse", delta=0.001)
    for _ in range(200):
        trial.run(1, lambda draw, is_canary, user: Answer(failed=draw.random() < (0.024 if is_canary else 0.02)))
    assert trial.kinds == ["started"]
    assert trial.finding("failures").status.value == "inconclusive"


@pytest.mark.parametrize("guardrail", [Score("judge", horizon=5), Rate("liked", higher_is_better=True, horizon=5)])
def test_the_strict_plan_promotes_by_scores(guardrail: Score | Rate) -> None:
    """Whatever is watched must have passed."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(scores={guardrail.name: 0.0 if draw.random() < 0.02 else 1.0})

    trial = Trial(SHORT, rollback_on=[guardrail], promote="when_not_worse")
    trial.run(150, answer)
    assert trial.kinds == ["started", "promoted"]


@pytest.mark.parametrize("promote", ["when_not_failing", "when_not_worse"])
def test_a_default_guardrail_without_data_holds_the_strict_plan_only(promote: Promote) -> None:
    """Fewer answers than latency needs for its first limit."""
    stages = (Stage(0.5, 10, 5, 0.0), Stage(1.0, 1000))
    trial = Trial(stages, per_second=2, promote=promote).run(20)
    assert trial.kinds == AFTER["hold" if promote == "when_not_worse" else "promote"]


# Inconclusive and no data, after patience


@pytest.mark.parametrize("policy", UNSETTLED)
def test_what_is_inconclusive_waits_for_patience(policy: Unsettled) -> None:
    """Ten seconds of the stage and thirty of patience; then the plan's word counts."""
    trial = Trial(SHORT, rollback_on=[FailureRate()], promote="when_not_worse", per_second=20, delta=0.001,
                  on_inconclusive=policy, patience=timedelta(seconds=30))  # fmt: skip
    stays(trial, 39)
    trial.run(2, rare)
    assert trial.kinds == AFTER[policy]
    if policy != "hold":
        assert "the plan's patience is over" in trial.canary.rollout.history[-1].reason
        assert "failures: " in trial.canary.rollout.history[-1].reason
    trial.run(20, rare)
    assert trial.kinds == AFTER[policy]


@pytest.mark.parametrize("policy", UNSETTLED)
@pytest.mark.parametrize("lacks", ["scores", "samples", "first tokens"])
def test_what_is_missing_waits_for_patience(policy: Unsettled, lacks: str) -> None:
    """A judge that is down, a canary that nobody meets, a model that does not stream."""
    of_trial: dict[str, Any] = {
        "scores": {"rollback_on": [Score("judge")]},
        "samples": {"stages": (Stage(0.5, 10, 10_000, 0.0), SHORT[1])},
        "first tokens": {"hold_on": [FirstToken(0.95)]},
    }[lacks]
    trial = Trial(**{"stages": SHORT, **of_trial}, on_no_data=policy, patience=30)
    stays(trial, 39)
    waited_for = trial.verdict.sentence
    trial.run(2, rare)
    assert trial.kinds == AFTER[policy]
    if policy != "hold":
        assert "the plan's patience is over" in trial.canary.rollout.history[-1].reason
    reason = {"scores": "judge: nothing to compare", "samples": "10,000 canary answers are in"}
    assert reason.get(lacks, "first_token_p95: nothing to compare") in waited_for


def test_a_pause_for_want_of_data_comes_once_in_a_stage() -> None:
    """Whoever resumed it knows; a person's own pause is none of these."""
    trial = Trial(SHORT, rollback_on=[Score("judge", horizon=5)], on_no_data="pause", patience=20)
    trial.canary.rollout.pause("lunch", actor="ada")
    trial.canary.rollout.resume()
    trial.run(40, rare)
    assert trial.kinds == ["started", "paused", "resumed", "paused"]
    trial.canary.rollout.resume()
    stays(trial, 40)
    assert trial.verdict.pauses
    trial.run(20, lambda draw, is_canary, user: Answer(scores={"judge": draw.random()}))
    assert trial.kinds[-1] == "promoted"


def test_a_failing_guardrail_does_not_wait() -> None:
    """Whatever is missing elsewhere, and whatever the plan says about it."""
    trial = Trial(SHORT, rollback_on=[FailureRate(), Score("judge")], on_no_data="promote", patience=0)
    trial.run(30, lambda draw, is_canary, user: Answer(failed=draw.random() < (0.3 if is_canary else 0.02)))
    assert trial.kinds == ["started", "rolled_back"]


def test_promotion_without_data_still_asks_for_the_stages_thresholds() -> None:
    """Patience outvotes want of data, not a success below the bar."""
    stages = (Stage(0.5, 10, 20, 0.999), SHORT[1])
    trial = Trial(stages, rollback_on=[Score("judge")], on_no_data="promote", patience=5)
    trial.run(60, rare)
    assert trial.kinds == ["started"]
    assert "canary success is" in trial.verdict.sentence


def test_nobody_is_rolled_back_for_want_of_data_while_switched_off() -> None:
    """Nobody meets the canary then: that nothing comes says nothing of it."""
    trial = Trial(SHORT, rollback_on=[Score("judge")], on_no_data="rollback", patience=5)
    with disabled():
        trial.wait(60)
    assert trial.kinds == ["started"]


# Scores that a stage waits for


def test_a_stage_waits_for_its_scores() -> None:
    """Half of the canary's answers must be scored; then it is left."""
    stages = (Stage(0.5, 10, 20, 0.0, min_scored=0.5, score_patience=100), SHORT[1])
    trial = Trial(stages, rollback_on=[Score("judge", horizon=5)])
    trial.run(15, lambda draw, is_canary, user: Answer(scores={"judge": 1.0} if user % 4 == 0 else {}))
    assert trial.kinds == ["started"]
    waited_for = r"judge: \d+ of \d+ canary answers have a score, the stage waits for \d+, for \d+ s more at most"
    assert re.search(waited_for, trial.verdict.sentence)
    trial.run(40, lambda draw, is_canary, user: Answer(scores={"judge": 1.0}))
    assert trial.kinds == ["started", "promoted"]


def test_a_stage_does_not_wait_for_scores_for_ever() -> None:
    """After its patience it goes on with those that there are."""
    stages = (Stage(0.5, 10, 20, 0.0, min_scored=0.5, score_patience=30), SHORT[1])
    trial = Trial(stages, rollback_on=[Score("judge", horizon=5)])
    few = lambda draw, is_canary, user: Answer(scores={"judge": 1.0} if user % 4 == 0 else {})  # noqa: E731
    assert trial.run(39, few).kinds == ["started"]
    assert trial.run(3, few).kinds == ["started", "promoted"]


# At 100 %


def test_at_full_traffic_nothing_would_settle_a_finding() -> None:
    """Stable has no traffic any more, so that no estimate of how much more it takes is right."""
    trial = Trial((Stage(0.5, 1000, 0, 0.0), Stage(1.0, 1000)), rollback_on=[FailureRate()], delta=0.02).run(10, rare)
    assert trial.finding("failures").settled_by
    trial.canary.rollout.promote()
    trial.run(1, rare)
    assert trial.finding("failures").status.value == "inconclusive"
    assert not trial.finding("failures").settled_by


def test_at_full_traffic_only_thresholds_count() -> None:
    """No score ever came, and the plan is as strict as can be: a last stage has nothing to compare with."""
    stages = (Stage(0.5, 5, 0, 0.0), Stage(1.0, 20, 50, 0.9))
    trial = Trial(stages, rollback_on=[Score("judge"), Threshold("p95_ms", at_most=500)], on_no_data="rollback",
                  promote="when_not_worse", on_inconclusive="pause", patience=0)  # fmt: skip
    trial.canary.rollout.promote("ada has seen it", actor="ada")
    trial.run(10, rare)
    assert trial.verdict.sentence == "stage 2 of 2 (100 %): nothing to compare with, thresholds only; 10 s of 20 s left"
    trial.run(12, rare)
    assert trial.canary.rollout.status is RolloutStatus.COMPLETED
    sentence = "stage 2 of 2 (100 %): nothing to compare with, thresholds only; they are met"
    assert trial.canary.rollout.history[-1].evidence is not None
    assert trial.canary.rollout.history[-1].evidence["sentence"] == sentence


def test_at_full_traffic_a_threshold_rolls_back() -> None:
    """The canary alone, too slow."""
    stages = (Stage(0.5, 5, 20, 0.0), Stage(1.0, 1000, 50, 0.0))
    trial = Trial(stages, rollback_on=[Threshold("p95_ms", at_most=500)]).run(10, rare)
    assert trial.kinds == ["started", "promoted"]
    trial.run(10, lambda draw, is_canary, user: Answer(latency_ms=700))
    assert trial.kinds == ["started", "promoted", "rolled_back"]


# What would settle it


@pytest.mark.parametrize("seed", range(3))
def test_what_would_settle_a_failure_is_about_right(seed: int) -> None:
    """Twice the failures, at first inconclusive: the estimate is in users and time, and holds within a factor."""
    trial = Trial(rollback_on=[FailureRate()], users=20_000, seed=seed)

    def worse(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(failed=draw.random() < (0.08 if is_canary else 0.03))

    while not (trial.finding("failures") if trial.run(1, worse) else None).log_e_value > 1.5:  # type: ignore[union-attr, operator]
        assert trial.kinds == ["started"]
    finding = trial.finding("failures")
    said = r"about ([\d,]+) more canary users, some ([\d,]+) seconds at the present rate, would settle it"
    told = re.search(said, finding.settled_by)
    assert told, finding
    assert finding.settled_by in finding.sentence
    more, seconds = (int(number.replace(",", "")) for number in told.groups())
    assert more == pytest.approx(50 * seconds, rel=0.5, abs=50)
    before = trial.clock.monotonic()
    trial.run(300, worse)
    assert trial.kinds == ["started", "rolled_back"]
    assert 0.2 * seconds - 2 < trial.clock.monotonic() - before < 5 * seconds + 2


@pytest.mark.parametrize("seed", range(3))
def test_what_would_settle_a_score_is_about_right(seed: int) -> None:
    """Of a score that half of the answers have: the time is by the scores' own pace."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(scores={"judge": 0.8 + draw.gauss(0.0, 0.2)} if user % 2 else {})

    trial = Trial(hold_on=[Score("judge", tolerance=0.03, horizon=1)], users=20_000, seed=seed).run(8, answer)
    finding = trial.finding("judge")
    told = re.search(r"about ([\d,]+) more canary users, some (\d+) seconds", finding.settled_by)
    assert told, finding
    more, seconds = (int(number.replace(",", "")) for number in told.groups())
    assert more == pytest.approx(22 * seconds, rel=0.35, abs=30)
    before = trial.clock.monotonic()
    while trial.finding("judge").status.value == "inconclusive":
        trial.run(1, answer)
        assert trial.clock.monotonic() - before < 5 * seconds + 5
    assert trial.finding("judge").status.value == "pass"
    assert trial.finding("judge").settled_by == ""

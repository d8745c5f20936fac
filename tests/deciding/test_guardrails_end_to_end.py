"""Each guardrail from requests to its finding: it fails for a worse canary, not for a harmless one, and says why."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import pytest

from agent_canary import (
    AutoAction,
    Cost,
    FailureRate,
    FirstToken,
    Guardrail,
    Latency,
    Rate,
    SampleRatio,
    Score,
    Stage,
    Threshold,
    Tokens,
)
from tests.deciding.trial import ALL_TIME, Answer, Behaviour, Trial

Worse = Callable[[float], Behaviour]
"""Makes a behaviour of how much worse the canary is: 1.0 for as good."""


def slower(factor: float) -> Behaviour:
    """Latencies with a tail, in milliseconds around 200."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(latency_ms=min(990.0, draw.lognormvariate(5.3, 0.4) * (factor if is_canary else 1.0)))

    return answer


def later(factor: float) -> Behaviour:
    """First tokens around 100 ms, of answers that all take as long."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        first = draw.lognormvariate(4.6, 0.3) * (factor if is_canary else 1.0)
        return Answer(latency_ms=950.0, first_token_ms=min(first, 900.0))

    return answer


def dearer(factor: float) -> Behaviour:
    """Answers of about a cent and of 900 tokens; a tenth of them reports neither."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        times = draw.lognormvariate(0.0, 0.5) * (factor if is_canary else 1.0)
        return Answer() if user % 10 == 0 else Answer(cost_usd=0.01 * times, tokens=int(900 * times))

    return answer


def failing(factor: float) -> Behaviour:
    """Failures of three per cent."""
    return lambda draw, is_canary, user: Answer(failed=draw.random() < 0.03 * (factor if is_canary else 1.0))


def disliked(factor: float) -> Behaviour:
    """A yes or no for every answer, a tenth of them no."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        bad = draw.random() < 0.1 * (factor if is_canary else 1.0)
        return Answer(scores={"liked": 0.0 if bad else 1.0})

    return answer


def judged(factor: float) -> Behaviour:
    """A judge's score of 0.8 with a standard deviation of 0.1, within 0 and 1; a tenth lower for each step."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        value = 0.8 - (0.05 * (factor - 1.0) if is_canary else 0.0) + draw.gauss(0.0, 0.1)
        return Answer(scores={"judge": min(1.0, max(0.0, value))})

    return answer


def losing(factor: float) -> Behaviour:
    """The canary's users leave before their answer is there: none of them, or one of so many more."""
    return lambda draw, is_canary, user: Answer(cancelled=is_canary and factor > 1.0 and user % 3 == 0)


LIKED = Rate("liked", higher_is_better=True, horizon=5)
JUDGE = Score("judge", horizon=5)

KEYED: list[tuple[Guardrail, Worse, float, str]] = [
    (FailureRate(), failing, 4.0, r"failures: 1\d\.\d % of canary answers failed \(.*against .* %.*4.* times as often"),
    (Latency(), slower, 1.6, r"latency: .*p(50|95|99).* ms .*on stable"),
    (Latency(0.95), slower, 1.8, r"latency_p95: .*1\.1 times stable's past p95 of \d+ ms"),
    (Latency(0.5, tolerance=1.3), slower, 2.0, r"latency_p50: .*1\.3 times stable's past p50 of \d+ ms"),
    (FirstToken(0.5), later, 1.5, r"first_token_p50: .*p50 of \d+(\.\d)? ms"),
    (FirstToken(), later, 1.5, r"first_token: .* ms"),
    (Cost(), dearer, 2.0, r"cost: .*\$0\.0\d+"),
    (Cost(0.95), dearer, 2.0, r"cost_p95: .*\$0\.0\d+"),
    (Tokens(0.5), dearer, 2.0, r"tokens_p50: .*tokens"),
    (
        JUDGE,
        judged,
        2.4,
        r"judge: 0\.7\d+ against 0\.8\d* on stable, difference −0\.0\d+ ± 0\.0\d+ over \d+ canary users",
    ),
    (LIKED, disliked, 3.0, r"liked: \d\d\.\d % of canary answers scored 0 \(.*\) against .* % on stable"),
    (
        SampleRatio(),
        losing,
        1.3,
        r"sample_ratio: 4\d\.\d % of [\d,]+ users first seen .* the shares say 50\.0 %.*get lost",
    ),
]


@pytest.mark.parametrize(
    ("guardrail", "behaviour", "factor", "said"), KEYED, ids=lambda part: getattr(part, "name", "")
)
def test_a_worse_canary_is_rolled_back(guardrail: Guardrail, behaviour: Worse, factor: float, said: str) -> None:
    """By the guardrail's finding, whose sentence is the event's reason and has the numbers."""
    trial = Trial(rollback_on=[guardrail]).run(60, behaviour(factor))
    assert trial.kinds == ["started", "rolled_back"]
    finding = trial.finding(guardrail.name)
    assert (finding.status.value, finding.role) == ("fail", "rollback")
    assert finding.log_e_value is not None
    assert finding.log_threshold is not None
    assert finding.log_e_value >= finding.log_threshold
    assert re.search(said, finding.sentence), finding.sentence
    assert "evidence" in finding.sentence
    assert trial.canary.rollout.history[-1].reason == trial.verdict.sentence == finding.sentence
    assert min(finding.canary_total, finding.stable_total, finding.canary_users or 1) > 0


@pytest.mark.parametrize(
    ("guardrail", "behaviour"), [row[:2] for row in KEYED], ids=lambda part: getattr(part, "name", "")
)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_harmless_canary_stays(guardrail: Guardrail, behaviour: Worse, seed: int) -> None:
    """Minutes with thousands of answers of both."""
    trial = Trial(rollback_on=[guardrail], seed=seed).run(60, behaviour(1.0))
    assert trial.kinds == ["started"]
    finding = trial.finding(guardrail.name)
    assert finding.status.value in ("pass", "inconclusive")
    assert finding.log_e_value is not None
    assert finding.log_e_value < 3.0


@pytest.mark.parametrize("guardrail", [row[0] for row in KEYED], ids=lambda part: getattr(part, "name", ""))
def test_as_a_signal_it_only_holds(guardrail: Guardrail) -> None:
    """The same finding in the other role."""
    behaviour, factor = next(row[1:3] for row in KEYED if row[0] is guardrail)
    trial = Trial([Stage(0.5, 25, 20, 0.0), Stage(1.0)], rollback_on=[], hold_on=[guardrail]).run(30, behaviour(factor))
    assert trial.kinds == ["started"]
    assert trial.verdict.sentence.startswith(f"held by a signal: {guardrail.name}: ")
    assert trial.finding(guardrail.name).role == "hold"


# Without a key

UNKEYED: list[tuple[Guardrail, Worse, float, str]] = [
    (FailureRate(), failing, 4.0, r"failures: .* of canary answers failed"),
    (Latency(0.95), slower, 2.0, r"latency_p95: .*p95 of \d+ ms"),
    (Latency(), slower, 1.8, r"latency: "),
    (Score("judge"), judged, 2.6, r"judge: 0\.7\d+ against 0\.8\d* .* over \d+ canary answers"),
    (Score("judge", bounds=(0.0, 1.0)), judged, 2.6, r"judge: 0\.7\d+ against 0\.8\d* .* over \d+ canary answers"),
    (Rate("liked", higher_is_better=True), disliked, 3.0, r"liked: .* of canary answers scored 0"),
]


@pytest.mark.parametrize(("guardrail", "behaviour", "factor", "said"), UNKEYED)
def test_a_worse_canary_without_keys_is_rolled_back(
    guardrail: Guardrail, behaviour: Worse, factor: float, said: str
) -> None:
    """Answers count one by one; there are no users to tell of."""
    trial = Trial(rollback_on=[guardrail]).record(60, behaviour(factor))
    assert trial.kinds == ["started", "rolled_back"]
    finding = trial.finding(guardrail.name)
    assert re.search(said, finding.sentence), finding.sentence
    assert finding.canary_users == 0


@pytest.mark.parametrize(("guardrail", "behaviour"), [row[:2] for row in UNKEYED])
def test_a_harmless_canary_without_keys_stays(guardrail: Guardrail, behaviour: Worse) -> None:
    """The same traffic for both."""
    trial = Trial(rollback_on=[guardrail]).record(60, behaviour(1.0))
    assert trial.kinds == ["started"]
    assert trial.finding(guardrail.name).status.value in ("pass", "inconclusive")


def test_scores_of_a_few_users_do_not_hide_those_without_a_key() -> None:
    """Too few keyed ones to be judged, and thousands without: the sentence tells of these."""
    trial = Trial(rollback_on=[JUDGE], per_second=3, users=9).run(5, judged(1.0))
    trial = trial.wait(10)
    assert "too few" in trial.finding("judge").sentence
    many = Trial(rollback_on=[JUDGE], users=9, per_second=9)
    many.run(2, judged(1.0)).wait(10).record(60, judged(2.6))
    assert many.kinds == ["started", "rolled_back"]
    assert "too few" not in many.finding("judge").sentence
    assert "canary answers" in many.finding("judge").sentence


# What only some of them have


def test_nothing_is_compared_while_the_canary_warms_up() -> None:
    """Three times as slow for twenty seconds is forgiven once, and only with a warm-up."""
    cold = Trial(rollback_on=[Latency(warm_up=20)]).run(10, slower(3.0))
    assert cold.finding("latency").sentence.endswith("nothing to compare, warming up for 10 seconds more")
    cold.run(10, slower(3.0))
    assert cold.finding("latency").status.value == "no_data"
    assert "nothing to compare" in cold.finding("latency").sentence
    cold.run(40, slower(1.0))
    assert cold.kinds == ["started"]
    assert cold.finding("latency").canary_total > 1000
    assert Trial(rollback_on=[Latency()]).run(20, slower(3.0)).kinds == ["started", "rolled_back"]
    slow = Trial(rollback_on=[Latency(warm_up=20)]).run(40, slower(3.0))
    assert slow.kinds == ["started", "rolled_back"]
    assert slow.clock.monotonic() >= 1_000_020


def test_without_a_limit_a_finding_says_what_it_waits_for() -> None:
    """How many answers of stable tell of the amount: none, where nobody reports it."""
    trial = Trial(rollback_on=[FirstToken()]).run(5)
    assert "no limit yet" in trial.finding("first_token").sentence
    assert "0 answers of stable tell it so far" in trial.finding("first_token").sentence


def test_amounts_are_compared_where_a_rollout_is_decided_by_hand() -> None:
    """auto_decide alone, without a tick, takes limits too."""
    trial = Trial(rollback_on=[Latency()])
    tick, trial.canary.tick = trial.canary.tick, trial.canary.auto_decide  # type: ignore[assignment, method-assign]
    trial.run(30, slower(2.0))
    assert trial.canary.auto_decide() is AutoAction.ROLLBACK
    assert tick() is not None


def test_a_covariate_sharpens_a_score() -> None:
    """What users differ in anyway is taken out: the same difference is seen sooner, with a narrower interval."""

    def answer(knows: bool) -> Behaviour:
        def of_user(draw: Random, is_canary: bool, user: int) -> Answer:
            usual = 0.5 + 0.4 * (user * 7919 % 1000) / 1000
            value = usual - (0.06 if is_canary else 0.0) + draw.gauss(0.0, 0.05)
            return Answer(scores={"judge": value}, covariate=usual if knows else None)

        return of_user

    with_it, without = (Trial(rollback_on=[JUDGE], users=4000).run(40, answer(knows)) for knows in (True, False))
    assert with_it.kinds == ["started", "rolled_back"]
    assert with_it.clock.monotonic() < without.clock.monotonic()
    seen = Trial(hold_on=[JUDGE], users=4000).run(20, answer(True)).finding("judge")
    blurred = Trial(hold_on=[JUDGE], users=4000).run(20, answer(False)).finding("judge")
    assert seen.interval is not None
    assert blurred.interval is not None
    assert seen.interval[1] - seen.interval[0] < 0.7 * (blurred.interval[1] - blurred.interval[0])


def test_a_lower_score_may_be_the_better_one() -> None:
    """The direction is the guardrail's."""

    def wordier(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(scores={"words": draw.gauss(230.0 if is_canary else 200.0, 40.0)})

    worse = Trial(rollback_on=[Score("words", tolerance=10, higher_is_better=False, horizon=5)]).run(60, wordier)
    assert worse.kinds == ["started", "rolled_back"]
    assert "the guardrail allows +10" in worse.finding("words").sentence
    better = Trial(rollback_on=[Score("words", tolerance=10, horizon=5)]).run(60, wordier)
    assert better.finding("words").status.value == "pass"


def test_a_finding_counts_the_scores_that_are_outstanding() -> None:
    """Half of the answers have a score; of the last five seconds none counts yet."""

    def half(draw: Random, is_canary: bool, user: int) -> Answer:
        return judged(1.0)(draw, is_canary, user) if user % 2 else Answer()

    finding = Trial(rollback_on=[JUDGE]).run(30, half).finding("judge")
    answers = finding.canary_total + (finding.outstanding or 0)
    assert 1400 < answers < 1600
    assert 0.38 < finding.canary_total / answers < 0.46
    assert f"{finding.outstanding:,} of this stage's canary answers have no score that counts yet" in finding.sentence


def test_what_is_only_reported_when_bad_has_nothing_outstanding() -> None:
    """A thumbs-down button: whoever is content says nothing."""

    def button(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(scores={"thumbs_down": 1.0}) if draw.random() < 0.05 else Answer()

    finding = Trial(rollback_on=[Rate("thumbs_down", horizon=5)]).run(30, button).finding("thumbs_down")
    assert finding.outstanding is None
    assert finding.canary_total > 1000
    assert "no score that counts yet" not in finding.sentence


# Fixed rules

THRESHOLDS: list[tuple[Threshold, Worse, str]] = [
    (Threshold("success_rate", at_least=0.95), failing, r"success_rate is 0\.9\d+ in this stage.* at least 0\.95"),
    (Threshold("p95_ms", at_most=500), slower, r"p95_ms is \d+ in this stage, over \d+ answers; .* at most 500"),
    (Threshold("p50_ms", at_most=300), slower, r"p50_ms is \d+"),
    (Threshold("p99_ms", at_most=800), slower, r"p99_ms is \d+"),
    (Threshold("first_token_p50_ms", at_most=150), later, r"first_token_p50_ms is \d+"),
    (Threshold("first_token_p95_ms", at_most=250), later, r"first_token_p95_ms is \d+"),
    (Threshold("cost_usd", at_most=0.018), dearer, r"cost_usd is 0\.0\d+"),
    (Threshold("tokens", at_most=1600), dearer, r"tokens is [\d,]+"),
    (Threshold("judge", at_least=0.75), judged, r"judge is 0\.7\d+"),
]  # fmt: skip


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize(("threshold", "behaviour", "said"), THRESHOLDS, ids=lambda part: getattr(part, "name", ""))
def test_a_threshold_is_the_canarys_own(threshold: Threshold, behaviour: Worse, said: str, share: float) -> None:
    """It needs no stable, so it holds at 100 % too; as good a canary as before keeps it."""
    stages = [Stage(share, 1e6)]
    bad = Trial(stages, rollback_on=[threshold]).run(70, behaviour(2.4))
    assert bad.kinds == ["started", "rolled_back"]
    assert re.search(said, bad.finding(threshold.name).sentence), bad.finding(threshold.name).sentence
    assert bad.finding(threshold.name).log_e_value is None
    good = Trial(stages, rollback_on=[threshold], users=20_000).run(62, behaviour(1.0))
    if threshold.metric == "judge":
        good.wait(70)
    assert good.kinds == ["started"]
    assert good.finding(threshold.name).status.value == "pass"


def test_a_threshold_waits_for_answers_that_tell() -> None:
    """Answers that report no cost are none; at its minimum it looks."""
    rule = Threshold("cost_usd", at_least=0.001, min_samples=200)
    trial = Trial(rollback_on=[rule], hold_on=[Cost()]).run(5)
    assert trial.finding(rule.name).status.value == "no_data"
    assert "0 of the 200 canary answers it takes tell cost_usd in this stage" in trial.finding(rule.name).sentence
    assert trial.run(10, dearer(1.0)).finding(rule.name).status.value == "pass"


@pytest.mark.parametrize("with_key", [True, False])
def test_a_threshold_of_a_rate_is_of_the_values_as_they_were_reported(with_key: bool) -> None:
    """The rate counts the bad ones, whatever they are called; the threshold is about the mean."""
    rule = Threshold("liked", at_least=0.8)
    trial = Trial(rollback_on=[LIKED, rule])
    for _ in range(3):
        (trial.run if with_key else trial.record)(10, disliked(1.0))
    finding = trial.finding("threshold_liked")
    assert finding.status.value == "pass"
    assert finding.canary_value == pytest.approx(0.9, abs=0.03)


def test_the_defaults_are_failures_latency_and_the_sample_ratio() -> None:
    """With half, two fifths and a tenth of alpha; a harmless canary passes what can be passed."""
    trial = Trial([ALL_TIME], alpha=0.05).run(120, slower(1.0))
    found = {finding.guardrail: finding for finding in trial.verdict.findings}
    assert {name: finding.alpha for name, finding in found.items()} == pytest.approx(
        {"failures": 0.025, "latency": 0.02, "sample_ratio": 0.005}
    )
    assert trial.canary.status()["alpha_budget"] == pytest.approx(
        {"failures": 0.025, "latency": 0.02, "sample_ratio": 0.005}
    )
    assert found["failures"].status.value == "pass"

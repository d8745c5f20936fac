"""From findings and gates to a verdict; its sentences and its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import AutoAction, FailureRate, Finding, FindingStatus, Plan, Rate, SafetyMargin, Stage, Verdict
from agent_canary.deciding.analysis import Analysis
from agent_canary.deciding.case import Moment
from agent_canary.deciding.memory import AnalysisMemory
from agent_canary.deciding.verdict import StageGates, decide
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.plan.policies import Policies, Unsettled
from tests.deciding.evidence import of_all, seen, users

STAGE = "stage 2 of 5 (5 %)"


def finding(status: FindingStatus, role: str = "rollback", name: str = "failures") -> Finding:
    """Return a finding whose sentence tells its status."""
    return Finding(name, role, status, f"{name} is {status.value}")


def verdict_of(
    *findings: Finding,
    unmet: Sequence[str] = (),
    short: Sequence[str] = (),
    overdue: bool = False,
    compares: bool = True,
    **policies: Unpack[Policies],
) -> Verdict:
    """Return what follows; without ``rollback_on=`` the guardrails are the library's defaults."""
    gates = StageGates(STAGE, tuple(unmet), tuple(short), overdue, compares)
    return decide(findings, Plan([Stage(0.05), Stage(1.0)], **policies), gates)


# What follows


@pytest.mark.parametrize("status", [FindingStatus.PASS, FindingStatus.INCONCLUSIVE, FindingStatus.NO_DATA])
def test_met_gates_promote_when_nothing_fails(status: FindingStatus) -> None:
    """Inconclusive does not hold: the stage's numbers say what is enough. Nor does a default guardrail without data."""
    verdict = verdict_of(finding(status))
    assert verdict.action is AutoAction.PROMOTE
    assert verdict.sentence == "stage 2 of 5 (5 %): time, samples and thresholds are met and no guardrail fails"


def test_a_failing_guardrail_rolls_back() -> None:
    """Whatever the gates and the other findings say; the reason is its sentence."""
    failing = finding(FindingStatus.FAIL)
    verdict = verdict_of(
        finding(FindingStatus.FAIL, "hold", "tone"), failing, unmet=["60 s of 600 s left"], compares=False
    )
    assert (verdict.action, verdict.sentence) == (AutoAction.ROLLBACK, "failures is fail")
    assert verdict.findings[1] is failing


@pytest.mark.parametrize("overdue", [False, True])
def test_a_failing_signal_only_holds(overdue: bool) -> None:
    """It never rolls back, however bad it looks, and no patience outvotes it."""
    verdict = verdict_of(
        finding(FindingStatus.PASS),
        finding(FindingStatus.FAIL, "hold", "tone"),
        short=["7 of 200 canary answers are in"],
        overdue=overdue,
        on_no_data="promote",
    )
    assert (verdict.action, verdict.sentence) == (AutoAction.HOLD, "held by a signal: tone is fail")


def test_a_named_guardrail_without_data_holds() -> None:
    """One that the user named must have looked before a promotion."""
    verdict = verdict_of(finding(FindingStatus.NO_DATA), rollback_on=[FailureRate()])
    assert (verdict.action, verdict.sentence) == (AutoAction.HOLD, "waiting for data: failures is no_data")


@pytest.mark.parametrize("status", [FindingStatus.PASS, FindingStatus.INCONCLUSIVE])
def test_a_named_guardrail_with_data_does_not_hold(status: FindingStatus) -> None:
    """Inconclusive is enough."""
    assert verdict_of(finding(status), rollback_on=[FailureRate()]).action is AutoAction.PROMOTE


def test_unmet_gates_hold() -> None:
    """The sentence names the stage and all that is missing."""
    verdict = verdict_of(
        finding(FindingStatus.PASS), unmet=["60 s of 600 s left"], short=["7 of 200 canary answers are in"]
    )
    assert verdict.action is AutoAction.HOLD
    assert verdict.sentence == "stage 2 of 5 (5 %): 60 s of 600 s left; 7 of 200 canary answers are in"


# Missing data, and findings that nothing follows from

ACTIONS = [
    ("hold", AutoAction.HOLD, False),
    ("promote", AutoAction.PROMOTE, False),
    ("pause", AutoAction.HOLD, True),
    ("rollback", AutoAction.ROLLBACK, False),
]


@pytest.mark.parametrize(("policy", "action", "pauses"), ACTIONS)
def test_missing_data_wait_for_patience(policy: Unsettled, action: AutoAction, pauses: bool) -> None:
    """Before patience is over everything holds; then the plan's word counts, and the sentence says why."""
    for lacks in ({"short": ["7 of 200 canary answers are in"]}, {"rollback_on": [FailureRate()]}):
        waiting = verdict_of(finding(FindingStatus.NO_DATA), on_no_data=policy, **lacks)
        assert (waiting.action, waiting.pauses) == (AutoAction.HOLD, False)
        verdict = verdict_of(finding(FindingStatus.NO_DATA), on_no_data=policy, overdue=True, **lacks)
        assert (verdict.action, verdict.pauses) == (action, pauses)
        assert ("patience is over" in verdict.sentence) is (policy != "hold")
        assert waiting.sentence.removeprefix("waiting for data: ").split(": ")[-1] in verdict.sentence
        assert ("waiting for data" in verdict.sentence) is ("waiting for data" in waiting.sentence and policy == "hold")
        assert verdict.sentence.count("stage 2 of 5") <= 1


@pytest.mark.parametrize(("policy", "action", "pauses"), ACTIONS)
@pytest.mark.parametrize("status", [FindingStatus.INCONCLUSIVE, FindingStatus.NO_DATA])
def test_the_strict_plan_waits_to_be_shown(
    policy: Unsettled, action: AutoAction, pauses: bool, status: FindingStatus
) -> None:
    """A finding that is open holds under "when not worse" until patience is over; a default one without data too."""
    strict = replace(finding(status), alpha=0.01)
    waiting = verdict_of(strict, promote="when_not_worse", on_inconclusive=policy)
    assert (waiting.action, waiting.pauses) == (AutoAction.HOLD, False)
    assert waiting.sentence == f"not shown to be no worse yet: failures is {status.value}"
    verdict = verdict_of(strict, promote="when_not_worse", on_inconclusive=policy, overdue=True)
    assert (verdict.action, verdict.pauses) == (action, pauses)


def test_the_strict_plan_promotes_what_is_shown() -> None:
    """A pass is needed of what is tested; a fixed rule and the sample ratio cannot be shown."""
    verdict = verdict_of(
        replace(finding(FindingStatus.PASS), alpha=0.005),
        replace(finding(FindingStatus.INCONCLUSIVE, name="sample_ratio"), alpha=0.001),
        finding(FindingStatus.INCONCLUSIVE, name="safety_margin"),
        promote="when_not_worse",
    )
    assert verdict.action is AutoAction.PROMOTE
    assert verdict.sentence == "stage 2 of 5 (5 %): time, samples and thresholds are met and every guardrail passes"


def test_what_the_user_named_and_has_no_data_is_missing_and_not_inconclusive() -> None:
    """Each has its own word in the plan."""
    lacking = replace(finding(FindingStatus.NO_DATA), alpha=0.01)
    verdict = verdict_of(
        lacking, rollback_on=[FailureRate()], promote="when_not_worse", on_no_data="promote", overdue=True
    )
    assert verdict.action is AutoAction.PROMOTE
    verdict = verdict_of(
        lacking, rollback_on=[FailureRate()], promote="when_not_worse", on_inconclusive="rollback", overdue=True
    )
    assert verdict.action is AutoAction.HOLD


def test_patience_does_not_outvote_the_stages_own_thresholds() -> None:
    """Promoted without data still means that time and success are met."""
    verdict = verdict_of(unmet=["canary success is 80 %"], short=["0 of 5"], overdue=True, on_no_data="promote")
    assert (verdict.action, verdict.sentence) == (AutoAction.HOLD, "stage 2 of 5 (5 %): canary success is 80 %")


def test_at_full_traffic_nothing_is_waited_for_that_can_not_come() -> None:
    """There is nothing to compare with: thresholds only, and the sentence says so."""
    lacking = replace(finding(FindingStatus.NO_DATA), alpha=0.01)
    verdict = verdict_of(
        lacking,
        compares=False,
        overdue=True,
        rollback_on=[FailureRate()],
        promote="when_not_worse",
        on_no_data="rollback",
        on_inconclusive="pause",
    )
    assert verdict.action is AutoAction.PROMOTE
    assert verdict.sentence == "stage 2 of 5 (5 %): nothing to compare with, thresholds only; they are met"
    waiting = verdict_of(lacking, compares=False, rollback_on=[FailureRate()], unmet=["60 s of 600 s left"])
    assert waiting.sentence == "stage 2 of 5 (5 %): nothing to compare with, thresholds only; 60 s of 600 s left"


def test_the_words_of_an_action_are_the_originals() -> None:
    """It is a str enum."""
    assert [action.value for action in AutoAction] == ["promote", "rollback", "hold"]
    assert AutoAction("promote") is AutoAction.PROMOTE
    assert isinstance(AutoAction.HOLD, str)


# Sentences, word for word


@pytest.mark.parametrize(
    ("totals", "plan", "sentence"),
    [
        (
            users(0.05, 4000, lambda canary: 2, lambda canary: 0.1 if canary else 0.02),
            Plan([Stage(0.05)]),
            (
                "failures: 8.8 % of canary answers failed (40 of 454, 39 users met one) against 2.1 % on stable "
                "(160 of 7,546), difference +7 ± 4 points, 4.2 times as often where 1.2 is tolerated; evidence "
                "N to 1, alarm from 200 to 1"
            ),
        ),
        (
            users(0.5, 19, lambda canary: 1, float, first_at=5.0),
            Plan([Stage(0.5)]),
            (
                "failures: 100 % of canary answers failed (8 of 8, 8 users met one) against 0 % on stable (0 of 11), "
                "infinitely more often where 1.2 is tolerated; evidence N to 1, alarm from 200 to 1"
            ),
        ),
        (
            users(0.05, 4000, lambda canary: 2, lambda canary: 0.02),
            Plan([Stage(0.05)]),
            (
                "failures: 0.88 % of canary answers failed (4 of 454, 4 users met one) against 2.1 % on stable "
                "(160 of 7,546), 0.42 times as often where 1.2 is tolerated; "
                "no evidence yet, alarm from 200 to 1; about 50 more canary answers would settle it"
            ),
        ),
        (
            users(0.5, 4000, lambda canary: 1, lambda canary: 0.5 if canary else 0.001),
            Plan([Stage(0.5)]),
            (
                "failures: 48.5 % of canary answers failed (964 of 1,986, 964 users met one) against 0.20 % on stable "
                "(4 of 2,014), 244 times as often where 1.2 is tolerated; evidence "
                "N to 1, alarm from 200 to 1"
            ),
        ),
        (
            seen(unkeyed={(0, 0.5): (200, 20, 200, 2)}),
            Plan([Stage(0.5)]),
            (
                "failures: 10.0 % of canary answers failed (20 of 200) against 1.0 % on stable (2 of 200), 10 times as "
                "often where 1.2 is tolerated; evidence N to 1, alarm from 200 to 1"
            ),
        ),
        (
            seen({(0, 0.5): (1, 0, 200, 0)}),
            Plan([Stage(0.5)]),
            (
                "failures: 0 % of canary answers failed (0 of 1) against 0 % on stable (0 of 200); "
                "no evidence yet, alarm from 200 to 1"
            ),
        ),
        (
            seen({(0, 0.5): (1, 0, 0, 0)}),
            Plan([Stage(0.5)]),
            "failures: nothing to compare, 1 answer of the canary and 0 answers of stable",
        ),
        (
            seen(
                scored={"thumbs_up": {(0, 0.5): (300, 61, 300, 20)}},
                failing={"thumbs_up": [(unit, 0.5, unit < 60) for unit in range(80)]},
            ),
            Plan([Stage(0.5)], [Rate("thumbs_up", 1.5, higher_is_better=True)]),
            (
                "thumbs_up: 20.3 % of canary answers scored 0 (61 of 300, 60 users met one) against 6.7 % on stable "
                "(20 of 300), difference +14 ± 8 points, 3.0 times as often where 1.5 is tolerated; evidence N to 1, "
                "alarm from 100 to 1"
            ),
        ),
        (
            seen({(0, 0.01): (20, 20, 2000, 3)}),
            Plan([Stage(0.01)]),
            "breaker: each of the canary's 20 answers failed, 0.15 % of stable's 2,000 answers failed",
        ),
        (
            seen({(0, 0.01): (20, 20, 0, 0)}),
            Plan([Stage(0.01)]),
            "breaker: each of the canary's 20 answers failed, stable has no traffic to compare with",
        ),
        (
            seen({(0, 0.5): (50, 5, 1000, 10)}),
            Plan([Stage(0.5)], [SafetyMargin(0.05, 50)]),
            (
                "safety_margin: success 90.0 % of 50 answers on the canary, 99.0 % of 1,000 answers "
                "on stable; the fixed rule "
                "allows 5 points less, from 50 answers on"
            ),
        ),
    ],
)
def test_the_first_finding_explains_itself(totals: RunTotals, plan: Plan, sentence: str) -> None:
    """One sentence with the numbers that a person would ask for; how strong the evidence is, others test."""
    said = Analysis(plan, 0.01).run(of_all(totals), Moment(), AnalysisMemory())[0].sentence
    assert re.sub(r"evidence [\d,.^]+ to 1", "evidence N to 1", said) == sentence


# JSON

NUMBERS = st.none() | st.floats(allow_nan=False)
FINDINGS = st.builds(
    Finding,
    guardrail=st.text(),
    role=st.sampled_from(["rollback", "hold"]),
    status=st.sampled_from(FindingStatus),
    sentence=st.text(),
    stable_total=st.integers(0),
    canary_bad=st.integers(0),
    canary_bad_users=st.integers(0),
    canary_value=NUMBERS,
    difference=NUMBERS,
    interval=st.none() | st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    ratio=NUMBERS,
    tolerance=NUMBERS,
    log_e_value=NUMBERS,
    log_threshold=NUMBERS,
    alpha=NUMBERS,
    outstanding=st.none() | st.integers(0),
    settled_by=st.text(),
)


@given(
    st.builds(Verdict, st.sampled_from(AutoAction), st.text(), st.lists(FINDINGS, max_size=3).map(tuple), st.booleans())
)
def test_json_gives_the_verdict_back(verdict: Verdict) -> None:
    """Through text and back, infinite ratios included, in JSON that every reader takes."""
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False))) == verdict


def test_an_infinite_number_is_a_text() -> None:
    """JSON has none."""
    data = Finding("failures", "rollback", FindingStatus.FAIL, "", ratio=inf).to_json()
    assert data["ratio"] == "inf"


def test_json_of_a_later_release_is_read() -> None:
    """Keys that this release does not know are ignored."""
    verdict = Verdict(AutoAction.HOLD, "waiting", (finding(FindingStatus.PASS),))
    data = verdict.to_json()
    data["findings"][0]["p_value"] = 0.3
    assert Verdict.from_json({**data, "at": 5}) == verdict


@pytest.mark.parametrize("missing", ["guardrail", "role", "status", "sentence"])
def test_a_finding_without_a_part_is_refused(missing: str) -> None:
    """The message names what is missing."""
    data = finding(FindingStatus.PASS).to_json()
    del data[missing]
    with pytest.raises(ValueError, match=f"finding must have '{missing}', got only"):
        Finding.from_json(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": "panic"}, "'panic' is not a valid AutoAction"),
        (
            {"findings": [{**finding(FindingStatus.PASS).to_json(), "status": "odd"}]},
            "'odd' is not a valid FindingStatus",
        ),
    ],
)
def test_a_word_of_a_later_release_is_refused(change: dict[str, object], message: str) -> None:
    """An action that this release does not know cannot be guessed."""
    with pytest.raises(ValueError, match=message):
        Verdict.from_json({**Verdict(AutoAction.HOLD, "", ()).to_json(), **change})


@pytest.mark.parametrize("missing", ["action", "sentence", "findings"])
def test_a_verdict_without_a_part_is_refused(missing: str) -> None:
    """The message names what is missing."""
    data = Verdict(AutoAction.HOLD, "", ()).to_json()
    del data[missing]
    with pytest.raises(ValueError, match=f"verdict must have '{missing}', got only"):
        Verdict.from_json(data)

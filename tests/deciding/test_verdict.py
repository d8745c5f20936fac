"""From findings and gates to a verdict; its sentences and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import AutoAction, Finding, FindingStatus, Plan, Rate, SafetyMargin, Stage, Verdict
from agent_canary.deciding.analysis import Analysis
from agent_canary.deciding.memory import AnalysisMemory
from agent_canary.deciding.verdict import decide
from agent_canary.metrics.run_totals import RunTotals
from tests.deciding.evidence import of_all, seen, users

STAGE = "stage 2 of 5 (5 %)"


def finding(status: FindingStatus, role: str = "rollback", name: str = "failures") -> Finding:
    """Return a finding whose sentence tells its status."""
    return Finding(name, role, status, f"{name} is {status.value}")


def verdict_of(*findings: Finding, required: Sequence[str] = (), unmet: Sequence[str] = ()) -> Verdict:
    """Return what follows."""
    return decide(findings, frozenset(required), unmet, STAGE)


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
    verdict = verdict_of(finding(FindingStatus.FAIL, "hold", "tone"), failing, unmet=["60 s of 600 s left"])
    assert (verdict.action, verdict.sentence) == (AutoAction.ROLLBACK, "failures is fail")
    assert verdict.findings[1] is failing


def test_a_failing_signal_only_holds() -> None:
    """It never rolls back, however bad it looks."""
    verdict = verdict_of(finding(FindingStatus.PASS), finding(FindingStatus.FAIL, "hold", "tone"))
    assert (verdict.action, verdict.sentence) == (AutoAction.HOLD, "held by a signal: tone is fail")


def test_a_required_guardrail_without_data_holds() -> None:
    """One that the user named must have looked before a promotion."""
    verdict = verdict_of(finding(FindingStatus.NO_DATA), required=["failures"])
    assert (verdict.action, verdict.sentence) == (AutoAction.HOLD, "waiting for data: failures is no_data")


@pytest.mark.parametrize("status", [FindingStatus.PASS, FindingStatus.INCONCLUSIVE])
def test_a_required_guardrail_with_data_does_not_hold(status: FindingStatus) -> None:
    """Inconclusive is enough."""
    assert verdict_of(finding(status), required=["failures"]).action is AutoAction.PROMOTE


def test_unmet_gates_hold() -> None:
    """The sentence names the stage and all that is missing."""
    verdict = verdict_of(finding(FindingStatus.PASS), unmet=["60 s of 600 s left", "7 of 200 canary answers are in"])
    assert verdict.action is AutoAction.HOLD
    assert verdict.sentence == "stage 2 of 5 (5 %): 60 s of 600 s left; 7 of 200 canary answers are in"


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
                "(160 of 7,546), 4.2 times as often where 1.2 is tolerated; evidence 281,559,641 to "
                "1, alarm from 111 to 1"
            ),
        ),
        (
            users(0.5, 18, lambda canary: 1, float, first_at=5.0),
            Plan([Stage(0.5)]),
            (
                "failures: 100 % of canary answers failed (8 of 8, 8 users met one) against 0 % on stable (0 of 10), "
                "infinitely more often where 1.2 is tolerated; evidence 1,570 to 1, alarm from 1,000 to 1"
            ),
        ),
        (
            users(0.05, 4000, lambda canary: 2, lambda canary: 0.02),
            Plan([Stage(0.05)]),
            (
                "failures: 0.88 % of canary answers failed (4 of 454, 4 users met one) against 2.1 % on stable "
                "(160 of 7,546), 0.42 times as often where 1.2 is tolerated; evidence less than 1 to "
                "1, alarm from 111 to 1"
            ),
        ),
        (
            users(0.5, 4000, lambda canary: 1, lambda canary: 0.5 if canary else 0.001),
            Plan([Stage(0.5)]),
            (
                "failures: 48.5 % of canary answers failed (964 of 1,986, 964 users met one) against 0.20 % on stable "
                "(4 of 2,014), 244 times as often where 1.2 is tolerated; evidence 10^240 to 1, alarm from 111 to 1"
            ),
        ),
        (
            seen(unkeyed={(0, 0.5): (200, 20, 200, 2)}),
            Plan([Stage(0.5)]),
            (
                "failures: 10.0 % of canary answers failed (20 of 200) against 1.0 % on stable (2 of 200), 10 times as "
                "often where 1.2 is tolerated; evidence 753 to 1, alarm from 111 to 1"
            ),
        ),
        (
            seen({(0, 0.5): (1, 0, 200, 0)}),
            Plan([Stage(0.5)]),
            (
                "failures: 0 % of canary answers failed (0 of 1) against 0 % on stable (0 of 200); "
                "evidence 1.0 to 1, alarm "
                "from 111 to 1"
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
                "(20 of 300), 3 times as often where 1.5 is tolerated; evidence 7.8 to 1, alarm from 100 to 1"
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
    """One sentence with the numbers that a person would ask for."""
    assert Analysis(plan, 0.01).run(of_all(totals), 0, AnalysisMemory())[0].sentence == sentence


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
    ratio=NUMBERS,
    tolerance=NUMBERS,
    log_e_value=NUMBERS,
    log_threshold=NUMBERS,
    alpha=NUMBERS,
)


@given(st.builds(Verdict, st.sampled_from(AutoAction), st.text(), st.lists(FINDINGS, max_size=3).map(tuple)))
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
    data["findings"][0]["interval"] = [0.9, 1.3]
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

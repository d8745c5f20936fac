"""An analysis of a whole plan: its budget, the fixed rule, and guardrails that nobody here can judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent_canary import FailureRate, Finding, FindingStatus, Plan, Rate, SafetyMargin, SampleRatio, Stage
from agent_canary.deciding.analysis import Analysis
from agent_canary.deciding.case import Moment
from agent_canary.deciding.memory import AnalysisMemory
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.plan import guardrail_from_json
from tests.deciding.evidence import Slices, of_all, seen

MARGIN = Plan([Stage(0.5)], [SafetyMargin(0.05, 50)])


def findings_of(plan: Plan, totals: RunTotals, stage_idx: int = 0) -> tuple[Finding, ...]:
    """Return the findings of a first analysis."""
    return Analysis(plan, 0.01).run(of_all(totals), Moment(stage_idx), AnalysisMemory())


# The budget


@pytest.mark.parametrize("alpha", [0, 1, 0.0, 1.0, -0.1, 5, float("nan"), "0.01", True, None])
def test_alpha_is_a_probability(alpha: Any) -> None:
    """The message names it, its range and the value."""
    with pytest.raises(ValueError, match=r"alpha must be a number i(n|nside) [\[(]0, 1[\])], got "):
        Analysis(Plan([Stage(0.5)]), alpha)


def test_alpha_is_shared_among_guardrails() -> None:
    """Equally; the fixed rule, which has no error control, takes none of it, and a signal gets the same as each."""
    plan = Plan([Stage(0.5)], [FailureRate(), Rate("refusal"), SafetyMargin(0.05, 50)], [Rate("tone")])
    analysis = Analysis(plan, 0.02)
    assert analysis.budget == {"failures": 0.01, "refusal": 0.01}
    alphas = {finding.guardrail: finding.alpha for finding in analysis.run(of_all(), Moment(), AnalysisMemory())}
    assert alphas == {"failures": 0.01, "refusal": 0.01, "safety_margin": None, "tone": 0.01}


def test_the_defaults_share_it_by_weight() -> None:
    """Half to failures, two fifths to latency, a tenth to the sample ratio; the fixed rule beside them takes none."""
    expected = {"failures": 0.025, "latency": 0.02, "sample_ratio": 0.005}
    assert Analysis(Plan([Stage(0.5)]), 0.05).budget == pytest.approx(expected)
    assert Analysis(Plan([Stage(0.5)]).with_guardrail(SafetyMargin(0.05, 50)), 0.05).budget == pytest.approx(expected)


def test_what_the_user_names_shares_it_equally() -> None:
    """Also when they are the library's own; one alone has it all."""
    both = Plan([Stage(0.5)], [FailureRate(), SampleRatio()])
    assert Analysis(both, 0.05).budget == {"failures": 0.025, "sample_ratio": 0.025}
    assert Analysis(Plan([Stage(0.5)], [FailureRate()]), 0.05).budget == {"failures": 0.05}


def test_a_plan_of_signals_only_has_a_threshold_too() -> None:
    """Without guardrails each signal gets alpha."""
    (finding,) = findings_of(Plan([Stage(0.5)], [], [Rate("tone")]), seen())
    assert finding.alpha == 0.01


# Findings


def test_there_is_a_finding_for_each_guardrail_and_signal() -> None:
    """Guardrails first, in the plan's order, each with its role."""
    plan = Plan([Stage(0.5)], [Rate("refusal"), FailureRate()], [Rate("tone")])
    found = [(finding.guardrail, finding.role) for finding in findings_of(plan, seen())]
    assert found == [("refusal", "rollback"), ("failures", "rollback"), ("tone", "hold")]


def test_a_guardrail_of_a_later_release_has_no_data() -> None:
    """This process follows the rollout, and says that it cannot judge."""
    plan = Plan([Stage(0.5)], [guardrail_from_json({"type": "latency_p50", "name": "p50"})])
    (finding,) = findings_of(plan, seen({(0, 0.5): (100, 0, 100, 0)}))
    assert finding.status is FindingStatus.NO_DATA
    assert finding.sentence == "p50: this process cannot judge a UnknownGuardrail"


# The fixed rule of the original


@pytest.mark.parametrize(
    ("slices", "status"),
    [
        ({(0, 0.5): (100, 11, 1000, 50)}, FindingStatus.FAIL),
        ({(0, 0.5): (100, 10, 1000, 50)}, FindingStatus.INCONCLUSIVE),
        ({(0, 0.5): (50, 50, 10, 0)}, FindingStatus.FAIL),
        ({(0, 0.5): (49, 49, 10, 0)}, FindingStatus.NO_DATA),
        ({(0, 0.5): (100, 100, 0, 0)}, FindingStatus.NO_DATA),
        ({}, FindingStatus.NO_DATA),
    ],
)
def test_the_fixed_rule_compares_two_rates(slices: Slices, status: FindingStatus) -> None:
    """It fails when canary success is below stable's minus the margin, from so many canary answers on."""
    for totals in (seen(slices), seen(unkeyed=slices)):
        *_, finding = findings_of(MARGIN, totals)
        assert (finding.guardrail, finding.status) == ("safety_margin", status)


def test_the_fixed_rule_looks_at_the_present_stage() -> None:
    """As the original did, whose metrics began anew with each stage."""
    totals = seen({(0, 0.05): (100, 100, 1000, 0), (1, 0.25): (100, 0, 1000, 0)})
    assert findings_of(MARGIN, totals, 0)[0].status is FindingStatus.FAIL
    assert findings_of(MARGIN, totals, 1)[0].status is FindingStatus.INCONCLUSIVE


def test_the_margin_itself_is_tolerated() -> None:
    """Only what is below stable's success minus the margin fails."""
    plan = Plan([Stage(0.5)], [SafetyMargin(0.25, 0)])
    assert findings_of(plan, seen({(0, 0.5): (4, 2, 4, 1)}))[0].status is FindingStatus.INCONCLUSIVE


def test_without_a_minimum_the_fixed_rule_still_needs_answers() -> None:
    """Nothing is below nothing."""
    (finding,) = findings_of(Plan([Stage(0.5)], [SafetyMargin(0.0, 0)]), seen({(0, 0.5): (0, 0, 10, 0)}))
    assert finding.status is FindingStatus.NO_DATA


def test_an_analysis_changes_nothing_of_what_it_saw() -> None:
    """The breaker adds up all answers; what has a key stays apart from what has none."""
    evidence = of_all(seen({(0, 0.5): (100, 1, 100, 1)}, {(0, 0.5): (50, 2, 50, 2)}))
    before = {key: replace(counts) for key, counts in evidence.outcomes().items()}
    Analysis(Plan([Stage(0.5)]), 0.01).run(evidence, Moment(), AnalysisMemory())
    assert evidence.outcomes() == before

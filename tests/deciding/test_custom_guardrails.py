"""Guardrails that a user wrote: what they are shown, what becomes of their findings and of their errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent_canary import AgentCanary, Comparison, Finding, FindingStatus, Plan, Rate, Rollout, Score, Stage
from agent_canary.plan import guardrail_from_json, register_guardrail
from tests.deciding.trial import Answer, Trial

SHORT = (Stage(0.5, 5, 20, 0.0), Stage(1.0, 1000))


@dataclass(frozen=True)
class Mine:
    """A guardrail that does what it is told."""

    says: Callable[[Comparison], Any] = field(compare=False)
    name: str = "mine"

    def to_json(self) -> dict[str, Any]:
        """Return what others read."""
        return {"type": "mine", "name": self.name}

    def judge(self, comparison: Comparison) -> Finding:
        """Do as it is told."""
        found: Finding = self.says(comparison)
        return found


def says(status: str, **numbers: Any) -> Mine:
    """A guardrail that always says the same."""
    return Mine(lambda comparison: comparison.finding(status, "as it was told", **numbers))


@pytest.mark.parametrize(
    ("status", "as_guardrail", "as_signal"),
    [
        ("fail", ["started", "rolled_back"], ["started"]),
        ("pass", ["started", "promoted"], ["started", "promoted"]),
        ("inconclusive", ["started", "promoted"], ["started", "promoted"]),
        ("no_data", ["started"], ["started"]),
    ],
)
def test_its_finding_counts_like_any_other(status: str, as_guardrail: list[str], as_signal: list[str]) -> None:
    """Rolls back or holds by its role; it was named, so it holds while it has no data."""
    guardrail = Trial(SHORT, rollback_on=[says(status)]).run(8)
    assert guardrail.kinds == as_guardrail
    signal = Trial(SHORT, rollback_on=[], hold_on=[says(status)]).run(8)
    assert signal.kinds == as_signal
    assert signal.finding("mine").sentence == "mine: as it was told"


def test_a_pass_is_needed_by_the_strict_plan() -> None:
    """Its finding has an alpha, so it is waited for."""
    assert Trial(SHORT, rollback_on=[says("inconclusive")], promote="when_not_worse").run(8).kinds == ["started"]
    assert Trial(SHORT, rollback_on=[says("pass")], promote="when_not_worse").run(8).kinds == ["started", "promoted"]


def test_it_sees_both_versions_in_the_present_stage() -> None:
    """Answers, failures, latencies, cost, tokens and the scores that somebody watches."""
    shown: list[Comparison] = []

    def look(comparison: Comparison) -> Finding:
        shown.append(comparison)
        return comparison.finding(FindingStatus.PASS, "seen", canary_value=comparison.canary.success_rate)

    judge, liked = Score("judge", horizon=1), Rate("liked", higher_is_better=True, horizon=1)
    trial = Trial(SHORT[:1], rollback_on=[judge, Mine(look)], hold_on=[liked], alpha=0.02)

    def answer(draw: object, is_canary: bool, user: int) -> Answer:
        scores = {"judge": 0.25 if is_canary else 0.75, "liked": 0.0 if is_canary else 1.0, "unwatched": 1.0}
        return Answer(is_canary, latency_ms=400 if is_canary else 200, cost_usd=0.5, tokens=10, scores=scores)

    trial.run(1, lambda draw, is_canary, user: Answer()).run(4, answer)
    last = shown[-1]
    assert (last.guardrail, last.role, last.stage_idx, last.alpha) == ("mine", "rollback", 0, 0.01)
    assert last.canary.answers == last.canary.failures + round(last.canary.success_rate * last.canary.answers)
    assert last.stable.failures == 0
    assert last.canary.latency_ms[0.95] == pytest.approx(400, rel=0.01)
    assert last.stable.latency_ms[0.5] == pytest.approx(200, rel=0.01)
    assert (last.canary.cost_usd, last.canary.tokens) == (pytest.approx(0.5), pytest.approx(10))
    assert set(last.canary.score_means) == {"judge", "liked"}
    assert (last.canary.score_means["judge"], last.stable.score_means["judge"]) == (0.25, 0.75)
    assert (last.canary.score_means["liked"], last.stable.score_means["liked"]) == (0.0, 1.0)
    assert last.canary.score_counts["judge"] > 20
    finding = trial.finding("mine")
    assert (finding.alpha, finding.canary_total) == (0.01, last.canary.answers)


def test_a_rate_without_a_key_is_shown_as_it_was_reported() -> None:
    """As with a key, whichever of its values is the bad one."""
    shown: list[Comparison] = []
    mine = Mine(lambda comparison: shown.append(comparison) or comparison.finding("pass", ""))  # type: ignore[func-returns-value]
    trial = Trial(rollback_on=[mine, Rate("liked", higher_is_better=True)])
    trial.record(3, lambda draw, is_canary, user: Answer(scores={"liked": 1.0 if is_canary else 0.0}))
    assert (shown[-1].canary.score_means["liked"], shown[-1].stable.score_means["liked"]) == (1.0, 0.0)


# What goes wrong


def raises(comparison: Comparison) -> Finding:
    """A mistake of its author's."""
    return comparison.finding("pass", f"{1 / comparison.stage_idx}")


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (raises, "ZeroDivisionError"),
        (lambda comparison: None, "TypeError"),
        (lambda comparison: comparison.finding("bad", ""), "ValueError"),
        (lambda comparison: comparison.finding("pass", "", p_value=0.1), "TypeError"),
        (lambda comparison: comparison.finding("pass", "", canary_value=1j), "TypeError"),
        (lambda comparison: comparison.finding("pass", "", canary_total={1}), "TypeError"),
    ],
)
def test_what_it_raises_is_counted_and_logged(
    mistake: Callable[[Comparison], Any], error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no data then, which holds; the other guardrails, and the ticks, go on."""
    trial = Trial(SHORT, rollback_on=[Mine(mistake), Rate("liked", horizon=1)]).run(8)
    assert trial.kinds == ["started"]
    finding = trial.finding("mine")
    assert (finding.status, finding.role) == (FindingStatus.NO_DATA, "rollback")
    assert finding.sentence == f"mine: its judge() raised {error}"
    assert trial.canary.status()["errors"]["guardrail mine"] == 8
    logged = [record for record in caplog.records if "guardrail mine failed" in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


def test_a_finding_that_was_made_by_hand_keeps_its_guardrails_name_and_role() -> None:
    """A signal cannot roll back by saying that it is none."""
    mine = Mine(lambda comparison: Finding("other", "rollback", FindingStatus.FAIL, "by hand"))
    trial = Trial(SHORT, rollback_on=[], hold_on=[mine]).run(8)
    assert trial.kinds == ["started"]
    assert trial.finding("mine").role == "hold"


def test_numbers_of_other_kinds_are_plain_numbers_in_json() -> None:
    """A bool, or an infinite ratio."""
    trial = Trial(SHORT, rollback_on=[says("pass", ratio=float("inf"), canary_value=True)]).run(2)
    assert trial.finding("mine").ratio == float("inf")
    assert json.dumps(trial.canary.status(), allow_nan=False)


# Other processes


def test_another_process_reads_it_back_once_it_is_registered() -> None:
    """Before, it says that it cannot judge it, and holds."""
    plan = Plan(SHORT, [says("pass")])
    register_guardrail("mine", lambda data: says("pass"))
    assert isinstance(guardrail_from_json(json.loads(plan.canonical_json())["rollback_on"][0]), Mine)
    unknown = Plan.from_json({**plan.to_json(), "rollback_on": [{"type": "theirs", "name": "theirs"}]})
    assert unknown.required == {"theirs"}


def test_one_that_cannot_judge_is_refused() -> None:
    """It would hold its rollout for ever."""

    @dataclass(frozen=True)
    class Mute:
        name: str = "mute"

        def to_json(self) -> dict[str, Any]:
            return {"type": "mute", "name": self.name}

    with pytest.raises(ValueError, match=r"a method judge\(comparison\), got .*Mute"):
        AgentCanary("v1", "v2", Rollout(SHORT, rollback_on=[Mute()]), autopilot=False)

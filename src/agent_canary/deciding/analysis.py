"""One evaluation of all guardrails and signals over the totals of all workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import require_fraction
from ..metrics.arms import BinaryCounts, CountsBySlice, merge_counts
from ..metrics.evidence import Evidence
from ..plan import FailureRate, Guardrail, Plan, Rate, SafetyMargin
from . import wording
from .binary import BinaryEvidence, judge
from .breaker import trip
from .finding import Finding, FindingStatus
from .memory import AnalysisMemory, ExactTest


@dataclass(frozen=True, slots=True)
class Case:
    """What a guardrail is judged by.

    Attributes:
        role: ``rollback`` or ``hold``.
        alpha: The probability of a false alarm that it may spend in the whole run.
        evidence: Of all workers.
        stage_idx: The present stage, from 0.
        memory: What the analyses before remembered; judges change it in place.
    """

    role: str
    alpha: float
    evidence: Evidence
    stage_idx: int
    memory: AnalysisMemory


Judge = Callable[[Any, Case], Finding]


def require_judged(plan: Plan) -> None:
    """Refuse a plan with a guardrail that nobody here can judge: it would hold its rollout for ever.

    Raises:
        ValueError: There is one.
    """
    for guardrail in (*plan.rollback_on, *plan.hold_on):
        if type(guardrail) not in _judges:
            known = ", ".join(kind.__name__ for kind in _judges)
            raise ValueError(
                f"rollback_on and hold_on must hold guardrails of the library ({known}), got {guardrail!r}"
            )


class Analysis:
    """Judges the guardrails and signals of a plan.

    Args:
        plan: What was agreed.
        alpha: The probability, in (0, 1), that a canary as good as stable is ever rolled back in a whole run: shared
            equally among the guardrails with error control. Signals, which only hold, get the same each.

    Raises:
        ValueError: *alpha* is not inside (0, 1), or a guardrail is of a type that cannot be judged.
    """

    def __init__(self, plan: Plan, alpha: float) -> None:
        if not 0.0 < require_fraction("alpha", alpha) < 1.0:
            raise ValueError(
                f"alpha must be a number inside (0, 1), got {alpha!r}: 0.01 allows one false alarm in 100 runs"
            )
        self.plan = plan
        self.alpha = alpha
        tested = [guardrail for guardrail in plan.rollback_on if not isinstance(guardrail, SafetyMargin)]
        self.alpha_each = alpha / max(1, len(tested))

    @property
    def budget(self) -> dict[str, float]:
        """The probability of a false alarm that each guardrail may spend in a whole run; fixed rules have none."""
        return {
            guardrail.name: self.alpha_each
            for guardrail in self.plan.rollback_on
            if not isinstance(guardrail, SafetyMargin)
        }

    def run(self, evidence: Evidence, stage_idx: int, memory: AnalysisMemory) -> tuple[Finding, ...]:
        """Return a finding for each guardrail and signal, and bring *memory* up to date."""
        findings = [
            self._judge(guardrail, Case(role, self.alpha_each, evidence, stage_idx, memory))
            for role, guardrails in (("rollback", self.plan.rollback_on), ("hold", self.plan.hold_on))
            for guardrail in guardrails
        ]
        tripped = trip(_outcomes(evidence), memory.streak) if self.plan.rollback_on else None
        return (tripped, *findings) if tripped else tuple(findings)

    def _judge(self, guardrail: Guardrail, case: Case) -> Finding:
        known = _judges.get(type(guardrail))
        if known is None:
            sentence = f"{guardrail.name}: this process cannot judge a {type(guardrail).__name__}"
            return Finding(guardrail.name, case.role, FindingStatus.NO_DATA, sentence)
        return known(guardrail, case)


def _judge_failures(spec: FailureRate, case: Case) -> Finding:
    seen = case.evidence
    evidence = BinaryEvidence(
        keyed=seen.outcomes(),
        unkeyed=seen.unkeyed_outcomes(),
        failing=seen.failing("failures"),
        first=seen.first_outcomes,
        watermark=seen.watermark,
    )
    return judge(spec.name, "failed", case.role, spec.tolerance, case.alpha, evidence, _exact(case.memory, spec.name))


def _judge_rate(spec: Rate, case: Case) -> Finding:
    evidence = BinaryEvidence(keyed=_scored(case.evidence, spec.name), failing=case.evidence.failing(spec.name))
    noun = f"scored {0 if spec.higher_is_better else 1}"
    return judge(spec.name, noun, case.role, spec.tolerance, case.alpha, evidence, _exact(case.memory, spec.name))


def _scored(evidence: Evidence, name: str) -> CountsBySlice:
    """The scores; where nobody ever reports the good value (a thumbs-down button), the bad ones among all answers."""
    scored = evidence.scored(name)
    if not scored or any(counts.total > counts.bad for counts in scored.values()):
        return scored
    return {
        key: scored.get(key, BinaryCounts()).among(answers)
        for key, answers in {**scored, **evidence.outcomes()}.items()
    }


def _judge_margin(spec: SafetyMargin, case: Case) -> Finding:
    canary = case.evidence.stage(case.stage_idx, is_canary=True)
    stable = case.evidence.stage(case.stage_idx, is_canary=False)
    if canary.total < spec.min_samples or not canary.total or not stable.total:
        status = FindingStatus.NO_DATA
    else:
        worse = canary.success_rate < stable.success_rate - spec.margin
        status = FindingStatus.FAIL if worse else FindingStatus.INCONCLUSIVE
    sentence = (
        f"{spec.name}: success {wording.percent(canary.succeeded, canary.total)} of {wording.answers(canary.total)} "
        f"on the canary, {wording.percent(stable.succeeded, stable.total)} of {wording.answers(stable.total)} on "
        f"stable; the fixed rule allows {100 * spec.margin:g} points less, from {spec.min_samples} answers on"
    )
    return Finding(spec.name, case.role, status, sentence, stable.total, stable.failed, canary.total, canary.failed)


_judges: Mapping[type, Judge] = {FailureRate: _judge_failures, Rate: _judge_rate, SafetyMargin: _judge_margin}


def _exact(memory: AnalysisMemory, name: str) -> ExactTest:
    return memory.exact.setdefault(name, ExactTest())


def _outcomes(evidence: Evidence) -> CountsBySlice:
    slices = evidence.outcomes()
    merge_counts(slices, evidence.unkeyed_outcomes())
    return slices

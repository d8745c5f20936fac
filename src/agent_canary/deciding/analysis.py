"""One evaluation of all guardrails and signals over the totals of all workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import require_fraction
from ..metrics.arms import CountsBySlice, merge_counts
from ..metrics.evidence import Evidence
from ..plan import (
    Cost,
    FailureRate,
    FirstToken,
    Guardrail,
    Latency,
    Plan,
    Rate,
    SafetyMargin,
    SampleRatio,
    Score,
    Threshold,
    Tokens,
)
from .amounts import judge_amount
from .binary import judge_failures, judge_rate
from .breaker import trip
from .case import Case, Judge, Moment
from .custom import CustomGuardrail, judge_custom
from .finding import Finding, FindingStatus
from .fixed import judge_margin, judge_threshold
from .limits import renew_limits
from .memory import AnalysisMemory
from .sample_ratio import judge_sample_ratio
from .scores import judge_score

_judges: Mapping[type, Judge] = {
    Cost: judge_amount,
    FailureRate: judge_failures,
    FirstToken: judge_amount,
    Latency: judge_amount,
    Rate: judge_rate,
    SafetyMargin: judge_margin,
    SampleRatio: judge_sample_ratio,
    Score: judge_score,
    Threshold: judge_threshold,
    Tokens: judge_amount,
}

_DEFAULT_WEIGHTS = {"failures": 5.0, "latency": 4.0, "sample_ratio": 1.0}
"""How the library's own guardrails share alpha; those that a user names share it equally."""

_JUDGED = 1000
"""What judging a guardrail takes at least, in the steps of a pause."""

Report = Callable[[str, Exception], None]


def require_judged(plan: Plan) -> None:
    """Refuse a plan with a guardrail that nobody here can judge: it would hold its rollout for ever.

    Raises:
        ValueError: There is one.
    """
    for guardrail in plan.guardrails:
        if _judge_of(guardrail) is None:
            known = ", ".join(kind.__name__ for kind in _judges)
            raise ValueError(
                f"rollback_on and hold_on must hold guardrails of the library ({known}) or ones with a method "
                f"judge(comparison), got {guardrail!r}"
            )


class Analysis:
    """Judges the guardrails and signals of a plan.

    Args:
        plan: What was agreed.
        alpha: The probability, in (0, 1), that a canary as good as stable is ever rolled back in a whole run: shared
            among the guardrails with error control. Signals, which only hold, get an equal share each, apart.
        report: Told of what a custom guardrail raises; None to let it through.

    Raises:
        ValueError: *alpha* is not inside (0, 1).
    """

    def __init__(self, plan: Plan, alpha: float, report: Report | None = None) -> None:
        if not 0.0 < require_fraction("alpha", alpha) < 1.0:
            raise ValueError(
                f"alpha must be a number inside (0, 1), got {alpha!r}: 0.01 allows one false alarm in 100 runs"
            )
        self.plan = plan
        self.alpha = alpha
        self.budget = _budget(plan, alpha)
        self._alpha_of_signal = alpha / max(1, len(self.budget))
        self._report = report

    def run(self, evidence: Evidence, moment: Moment, memory: AnalysisMemory) -> tuple[Finding, ...]:
        """Return a finding for each guardrail and signal, and bring *memory* up to date."""
        findings = [
            self._judge(guardrail, self._case(guardrail, role, evidence, moment, memory))
            for role, guardrails in (("rollback", self.plan.rollback_on), ("hold", self.plan.hold_on))
            for guardrail in guardrails
        ]
        renew_limits(self.plan, evidence, moment, memory)
        tripped = trip(_outcomes(evidence), memory.streak) if self.plan.rollback_on else None
        return (tripped, *findings) if tripped else tuple(findings)

    def _case(
        self, guardrail: Guardrail, role: str, evidence: Evidence, moment: Moment, memory: AnalysisMemory
    ) -> Case:
        alpha = self.budget.get(guardrail.name, self._alpha_of_signal)
        return Case(role, alpha, self.plan, evidence, moment, memory)

    def _judge(self, guardrail: Guardrail, case: Case) -> Finding:
        judge = _judge_of(guardrail)
        if judge is None:
            sentence = f"{guardrail.name}: this process cannot judge a {type(guardrail).__name__}"
            return Finding(guardrail.name, case.role, FindingStatus.NO_DATA, sentence)
        case.evidence.pause(_JUDGED)
        is_foreign = isinstance(guardrail, CustomGuardrail)
        if not is_foreign or self._report is None:
            return judge(guardrail, case)
        try:
            return judge(guardrail, case)
        except Exception as error:
            self._report(f"guardrail {guardrail.name}", error)
            sentence = f"{guardrail.name}: its judge() raised {type(error).__name__}"
            return Finding(guardrail.name, case.role, FindingStatus.NO_DATA, sentence)


def _judge_of(guardrail: Guardrail) -> Judge | None:
    known = _judges.get(type(guardrail))
    return judge_custom if known is None and isinstance(guardrail, CustomGuardrail) else known


def _budget(plan: Plan, alpha: float) -> dict[str, float]:
    tested = [guardrail.name for guardrail in plan.rollback_on if not isinstance(guardrail, SafetyMargin | Threshold)]
    weights = {name: _DEFAULT_WEIGHTS.get(name, 1.0) if plan.default_guardrails else 1.0 for name in tested}
    whole = sum(weights.values())
    return {name: alpha * weight / whole for name, weight in weights.items()}


def _outcomes(evidence: Evidence) -> CountsBySlice:
    slices: CountsBySlice = {}
    for counts in (evidence.outcomes(), evidence.unkeyed_outcomes()):
        merge_counts(slices, counts)
    return slices

"""Guardrails that a user wrote, and what they see of both versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from ..plan import Guardrail, Rate, Score
from .case import Case
from .finding import Finding, FindingStatus
from .stage_scores import stage_score


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One version over the assignments that may be judged, of all workers.

    Attributes:
        answers: Requests that succeeded or failed.
        failures: How many of them failed.
        score_counts: How many scores there are of each name that a :class:`~agent_canary.Score` or
            :class:`~agent_canary.Rate` of the plan watches.
        score_means: Their means by name.
        latency_ms: Quantiles of the latency by p: 0.5, 0.95 and 0.99; milliseconds, within 0.54 %.
        cost_usd: Mean US dollars per answer that reported a cost; 0 when none did.
        tokens: Mean tokens per answer that reported them; 0 when none did.
    """

    answers: int
    failures: int
    score_counts: Mapping[str, int]
    score_means: Mapping[str, float]
    latency_ms: Mapping[float, float]
    cost_usd: float
    tokens: float

    @property
    def success_rate(self) -> float:
        """Share in [0, 1] of answers that succeeded; 1.0 when there are none."""
        return 1.0 - self.failures / self.answers if self.answers else 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a custom guardrail judges: both versions in the present stage.

    Attributes:
        stable: Stable's answers.
        canary: The canary's answers.
        stage_idx: The stage, from 0.
        alpha: The probability of a false alarm that this guardrail may spend in the whole run.
        guardrail: Its name.
        role: ``rollback`` or ``hold``.
    """

    stable: ArmSummary
    canary: ArmSummary
    stage_idx: int
    alpha: float
    guardrail: str
    role: str

    def finding(self, status: FindingStatus | str, sentence: str, **numbers: Any) -> Finding:
        """Return the guardrail's finding.

        Args:
            status: ``pass``, ``fail``, ``inconclusive`` or ``no_data``.
            sentence: Why, with numbers; the guardrail's name is put in front.
            **numbers: Any of :class:`~agent_canary.Finding`'s fields, such as ``canary_value=0.3``.
        """
        known: dict[str, Any] = {
            "stable_total": self.stable.answers,
            "stable_bad": self.stable.failures,
            "canary_total": self.canary.answers,
            "canary_bad": self.canary.failures,
            "alpha": self.alpha,
        }
        said = f"{self.guardrail}: {sentence}"
        return Finding(self.guardrail, self.role, FindingStatus(status), said, **{**known, **numbers})


@runtime_checkable
class CustomGuardrail(Guardrail, Protocol):
    """A guardrail that judges for itself.

    Its error control is its own: ``comparison.alpha`` says what it may spend in the whole run, over all its looks. What
    it raises is counted and logged, and the guardrail then has no data.
    """

    def judge(self, comparison: Comparison) -> Finding:
        """Return ``comparison.finding(status, sentence)``. Called at each analysis, about once a second: be quick."""
        ...


def judge_custom(spec: CustomGuardrail, case: Case) -> Finding:
    """Return what a custom guardrail says."""
    comparison = Comparison(
        stable=_summary(case, is_canary=False),
        canary=_summary(case, is_canary=True),
        stage_idx=case.moment.stage_idx,
        alpha=case.alpha,
        guardrail=spec.name,
        role=case.role,
    )
    finding = spec.judge(comparison)
    if not isinstance(finding, Finding):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"judge() of guardrail {spec.name!r} must return comparison.finding(...), got {finding!r}")
    # Whatever the store cannot keep must fail here, where it costs this finding and not the tick.
    json.dumps(finding.to_json(), allow_nan=False)
    return replace(finding, guardrail=spec.name, role=case.role)


def _summary(case: Case, *, is_canary: bool) -> ArmSummary:
    stage_idx = case.moment.stage_idx
    totals = case.evidence.stage(stage_idx, is_canary=is_canary)
    names = [each.name for each in case.plan.guardrails if isinstance(each, Rate | Score)]
    scores = {name: stage_score(case, name, is_canary=is_canary) for name in names}
    return ArmSummary(
        answers=totals.total,
        failures=totals.failed,
        score_counts={name: sums.count for name, sums in scores.items()},
        score_means={name: sums.mean for name, sums in scores.items()},
        latency_ms={p: totals.quantile("latency", p)[1] for p in (0.5, 0.95, 0.99)},
        cost_usd=totals.mean("cost"),
        tokens=totals.mean("tokens"),
    )

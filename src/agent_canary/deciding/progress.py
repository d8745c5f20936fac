"""How far the present stage is from being left."""

from __future__ import annotations

from dataclasses import replace

from ..metrics.evidence import Evidence
from ..plan import Plan, Rate, Score, Stage
from ..plan.gates import unmet_gates, unmet_scores
from .case import Moment
from .pace import scored_answers
from .verdict import StageGates


def gates_of(plan: Plan, evidence: Evidence, moment: Moment, name: str) -> StageGates:
    """Return what the present stage still asks for.

    Args:
        plan: What was agreed.
        evidence: Of all workers.
        moment: Where the rollout is.
        name: The stage as people name it.
    """
    stage, elapsed = plan.stages[moment.stage_idx], moment.seconds_in_stage
    canary = evidence.stage(moment.stage_idx, is_canary=True)
    scored = {
        each.name: scored_answers(evidence, moment.stage_idx, each.name)
        for each in plan.guardrails
        if isinstance(each, Rate | Score) and stage.min_scored
    }
    return StageGates(
        name=name,
        unmet=(
            *unmet_gates(replace(stage, min_samples=0), elapsed, canary),
            *_bar_above_stable(stage, evidence, moment),
        ),
        short_of_data=(*_unmet_samples(stage, canary.total), *unmet_scores(stage, elapsed, canary.total, scored)),
        is_overdue=elapsed >= stage.min_duration_seconds + plan.patience,
        compares=stage.percent < 1.0,
    )


def _unmet_samples(stage: Stage, answers: int) -> tuple[str, ...]:
    return (f"{answers:,} of {stage.min_samples:,} canary answers are in",) if answers < stage.min_samples else ()


def _bar_above_stable(stage: Stage, evidence: Evidence, moment: Moment) -> tuple[str, ...]:
    """Say so when stable itself would not get over the stage's bar: no canary as good as it ever will."""
    canary, stable = (evidence.stage(moment.stage_idx, is_canary=arm) for arm in (True, False))
    if not stable.total or max(canary.success_rate, stable.success_rate) >= stage.success_threshold:
        return ()
    return (f"stable's own success is {100.0 * stable.success_rate:.4g} %: Rollout.guarded() has no such bar",)

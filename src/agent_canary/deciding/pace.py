"""How fast the canary's answers and scores come in the present stage."""

from __future__ import annotations

import math

from ..metrics.evidence import Evidence
from .case import Case

RENEWED_AFTER_SECONDS = 10.0
"""To unite the samples of a hundred workers takes as long as all other findings together, and nothing hurries."""


def answers_per_second(case: Case) -> float:
    """The canary's answers per second in the present stage; 0 when there was no time yet."""
    if case.moment.seconds_in_stage <= 0.0:
        return 0.0
    return case.evidence.stage(case.moment.stage_idx, is_canary=True).total / case.moment.seconds_in_stage


def scored_answers(evidence: Evidence, stage_idx: int, name: str) -> int:
    """How many of the canary's answers of a stage have a score of this name, its horizon passed."""
    keyed = sum(arms.canary.answers for key, arms in evidence.clusters(name).items() if key.stage_idx == stage_idx)
    unkeyed = evidence.unkeyed_scores(name)
    return keyed + sum(canary.count for key, (canary, _) in unkeyed.items() if key.stage_idx == stage_idx)


def scores_per_second(case: Case, name: str) -> float:
    """The canary's scores of a name per second in the present stage; 0 when there was no time yet."""
    if case.moment.seconds_in_stage <= 0.0:
        return 0.0
    return scored_answers(case.evidence, case.moment.stage_idx, name) / case.moment.seconds_in_stage


def outstanding_scores(case: Case, name: str) -> int:
    """How many of the canary's answers of the present stage have no score of this name yet."""
    stage_idx = case.moment.stage_idx
    answers = case.evidence.stage(stage_idx, is_canary=True).total
    return max(0, answers - scored_answers(case.evidence, stage_idx, name))


def users_of(case: Case) -> tuple[int, int]:
    """How many users met stable first, and how many have met the canary, as of ten seconds ago at most."""
    memory, now = case.memory, case.evidence.watermark
    if memory.users is None or abs(now - memory.users_at) >= RENEWED_AFTER_SECONDS:
        memory.users = case.evidence.users()
        memory.users_at = now if math.isfinite(now) else 0.0
    return memory.users

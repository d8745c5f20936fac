"""What a guardrail is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..metrics.evidence import Evidence
from ..plan import Plan
from .finding import Finding
from .memory import AnalysisMemory


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the rollout is when it is judged.

    Attributes:
        stage_idx: The present stage, from 0.
        seconds_in_stage: Bake time so far, pauses not counted; >= 0.
        seconds_in_run: Seconds since the run began; >= 0.
    """

    stage_idx: int = 0
    seconds_in_stage: float = 0.0
    seconds_in_run: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """What a guardrail is judged by.

    Attributes:
        role: ``rollback`` or ``hold``.
        alpha: The probability of a false alarm that it may spend in the whole run.
        plan: What was agreed.
        evidence: Of all workers.
        moment: Where the rollout is.
        memory: What the analyses before remembered; judges change it in place.
    """

    role: str
    alpha: float
    plan: Plan
    evidence: Evidence
    moment: Moment
    memory: AnalysisMemory


Judge = Callable[[Any, Case], Finding]

PASS_ALPHA = 0.05
"""The probability that a canary which is worse than *delta* is ever shown to be "not worse"."""

DISPLAY_ALPHA = 0.05
"""Intervals that are shown hold at 95 %, however often one looks."""

"""The gates that lead out of a stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from .stage import Stage


class StageMetrics(Protocol):
    """What a stage's gates need to know of the canary."""

    @property
    def total(self) -> int:
        """Answers of the canary."""
        ...

    @property
    def success_rate(self) -> float:
        """The successful share of them, in [0, 1]."""
        ...

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of their latency, milliseconds."""
        ...


def unmet_gates(stage: Stage, seconds_in_stage: float, metrics: StageMetrics) -> tuple[str, ...]:
    """Return a sentence for each gate of *stage* that is not met yet; empty when all are.

    Args:
        stage: The stage to leave.
        seconds_in_stage: How long it has lasted, seconds.
        metrics: The canary's, of this stage.
    """
    unmet: list[str] = []
    if seconds_in_stage < stage.min_duration_seconds:
        left = stage.min_duration_seconds - seconds_in_stage
        unmet.append(f"{left:,.0f} s of {stage.min_duration_seconds:,.0f} s left")
    if metrics.total < stage.min_samples:
        unmet.append(f"{metrics.total:,} of {stage.min_samples:,} canary answers are in")
    if not stage.success_threshold <= metrics.success_rate:  # NaN meets no gate
        success, bar = 100.0 * metrics.success_rate, 100.0 * stage.success_threshold
        unmet.append(f"canary success is {success:.4g} %, the stage asks for {bar:g} %")
    if stage.max_p95_ms is not None and not metrics.p95_ms <= stage.max_p95_ms:
        unmet.append(f"canary p95 is {metrics.p95_ms:,.0f} ms, the stage allows {stage.max_p95_ms:,.0f} ms")
    return tuple(unmet)


def unmet_scores(stage: Stage, seconds_in_stage: float, answers: int, scored: Mapping[str, int]) -> tuple[str, ...]:
    """Return a sentence for each score that *stage* still waits for; empty when it waits for none.

    Args:
        stage: The stage to leave.
        seconds_in_stage: How long it has lasted, seconds.
        answers: Canary answers of this stage.
        scored: How many of them have the score of each name.
    """
    left = stage.min_duration_seconds + stage.score_patience - seconds_in_stage
    if left <= 0.0:
        return ()
    needed = _share_of(answers, stage.min_scored)
    return tuple(
        f"{name}: {count:,} of {answers:,} canary answers have a score, the stage waits for {needed:,}, for "
        f"{left:,.0f} s more at most"
        for name, count in sorted(scored.items())
        if count < needed
    )


def _share_of(answers: int, share: float) -> int:
    # 0.07 * 100 is more than 7 in floats.
    return math.ceil(round(share * answers, 6))

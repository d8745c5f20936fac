"""Ramps that the cells take. But for the standard one, none has a bar on success: what rolls back is the evidence."""

from __future__ import annotations

from agent_canary import Rollout, Stage


def by_time(*steps: tuple[float, float]) -> tuple[Stage, ...]:
    """Return stages of (percent, seconds) that ask for nothing but time, and the last one of 100 %."""
    return (*(Stage(percent, seconds, 0, 0.0) for percent, seconds in steps), Stage(1.0, 0.0, 0, 0.0))


RAMP = by_time((0.01, 300.0), (0.05, 600.0), (0.25, 900.0), (0.50, 1200.0))
"""1, 5, 25 and 50 % over 50 minutes: the times of ``Rollout.standard()``."""

FEW_USERS = by_time((0.20, 900.0), (0.50, 2100.0))
"""20 and 50 %: with less, next to nobody of 20 users would meet the canary."""

ELEVEN = by_time(*((percent, 270.0) for percent in (0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.75)))
"""Eleven shares up to 75 % over 50 minutes."""

BY_SAMPLES = (
    *(Stage(percent, 30.0, answers, 0.0) for percent, answers in ((0.05, 50), (0.10, 200), (0.25, 500), (0.50, 1500))),
    Stage(1.0, 0.0, 0, 0.0),
)
"""5 to 50 %, each left when the canary has given its answers."""

FEW_BY_SAMPLES = (Stage(0.20, 30.0, 300, 0.0), Stage(0.50, 30.0, 2000, 0.0), Stage(1.0, 0.0, 0, 0.0))
"""The same for few users."""

FIRST_PERCENT = (Stage(0.01, 3000.0, 0, 0.0), Stage(1.0, 0.0, 0, 0.0))
"""1 % of the users for 50 minutes."""

STANDARD = Rollout.standard().stages
"""The library's own, with 99 % success in each stage."""

GUARDED = tuple(Stage(each.percent, each.min_duration_seconds, each.min_samples, 0.0) for each in STANDARD)
"""The same without a bar on success."""

GO_ON = {"on_no_data": "promote", "patience": 0.0}
"""Policies under which a stage is left although a guardrail has nothing to compare, as happens with few users."""

"""The gates out of a stage, and the sentence for each that is not met."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import pytest

from agent_canary import Stage
from agent_canary.plan.gates import unmet_gates

STAGE = Stage(0.05, min_duration_seconds=600, min_samples=1200, success_threshold=0.99, max_p95_ms=2000)


@dataclass
class Seen:
    """What the canary has done in the stage."""

    total: int = 1200
    success_rate: float = 0.99
    p95_ms: float = 2000.0


def test_gates_are_met_at_their_bounds() -> None:
    """Time, samples and success are met when they are reached, the latency as long as it is not passed."""
    assert unmet_gates(STAGE, 600.0, Seen()) == ()


@pytest.mark.parametrize(
    ("seconds", "seen", "sentence"),
    [
        (540.0, Seen(), "60 s of 600 s left"),
        (600.0, Seen(total=1199), "1,199 of 1,200 canary answers are in"),
        (600.0, Seen(success_rate=0.9876), "canary success is 98.76%, the stage asks for 99.00%"),
        (600.0, Seen(p95_ms=2001.0), "canary p95 is 2,001 ms, the stage allows 2,000 ms"),
        (600.0, Seen(success_rate=nan), "canary success is nan%, the stage asks for 99.00%"),
        (600.0, Seen(p95_ms=nan), "canary p95 is nan ms, the stage allows 2,000 ms"),
    ],
)
def test_one_unmet_gate_is_said(seconds: float, seen: Seen, sentence: str) -> None:
    """Each gate alone keeps the stage, and says how far it is; a number that is none meets no gate."""
    assert unmet_gates(STAGE, seconds, seen) == (sentence,)


def test_all_unmet_gates_are_said() -> None:
    """In one order, so that a person sees everything that is missing."""
    assert len(unmet_gates(STAGE, 0.0, Seen(0, 0.5, 3000.0))) == 4


def test_without_a_latency_gate_latency_is_not_looked_at() -> None:
    """None means no such gate."""
    assert unmet_gates(Stage(0.05, 0, 0), 0.0, Seen(p95_ms=1e9)) == ()

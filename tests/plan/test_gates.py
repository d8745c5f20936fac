"""The gates out of a stage, and the sentence for each that is not met."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_canary import Stage
from agent_canary.plan.gates import unmet_gates, unmet_scores

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
        (600.0, Seen(success_rate=0.9876), "canary success is 98.76 %, the stage asks for 99 %"),
        (600.0, Seen(p95_ms=2001.0), "canary p95 is 2,001 ms, the stage allows 2,000 ms"),
        (600.0, Seen(success_rate=nan), "canary success is nan %, the stage asks for 99 %"),
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


WAITING = Stage(0.05, 600, min_scored=0.5, score_patience=1800)


def test_scores_that_are_awaited_are_said() -> None:
    """By name, with how many there are, how many it takes, and how long it waits at most."""
    assert unmet_scores(WAITING, 700.0, 412, {"judge": 120, "tone": 206, "grounded": 205}) == (
        "grounded: 205 of 412 canary answers have a score, the stage waits for 206, for 1,700 s more at most",
        "judge: 120 of 412 canary answers have a score, the stage waits for 206, for 1,700 s more at most",
    )


def test_the_wait_for_scores_ends() -> None:
    """Patience begins when the bake ends; then the stage goes on without them."""
    assert len(unmet_scores(WAITING, 2399.9, 412, {"judge": 0})) == 1
    assert unmet_scores(WAITING, 2400.0, 412, {"judge": 0}) == ()


def test_by_default_no_score_is_awaited() -> None:
    """A share of 0 is met by none."""
    assert unmet_scores(STAGE, 0.0, 412, {"judge": 0}) == ()


def test_without_answers_no_score_is_awaited() -> None:
    """Whether answers are missing is for the stage's samples to say."""
    assert unmet_scores(WAITING, 0.0, 0, {"judge": 0}) == ()


@example(answers=100, hundredths=7)  # 0.07 * 100 is more than 7 in floats
@given(answers=st.integers(0, 10**6), hundredths=st.integers(0, 100))
def test_a_share_of_scores_is_met_exactly_where_it_is_reached(answers: int, hundredths: int) -> None:
    """Whatever floats make of the share: one score less than that is not enough."""
    stage = Stage(0.05, min_scored=hundredths / 100)
    needed = -(-answers * hundredths // 100)
    assert unmet_scores(stage, 0.0, answers, {"judge": needed}) == ()
    assert needed == 0 or unmet_scores(stage, 0.0, answers, {"judge": needed - 1}) != ()

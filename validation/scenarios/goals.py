"""What was promised, with the library's own stages and at its own alpha."""

from __future__ import annotations

from functools import partial

from agent_canary import FailureRate, Latency, SampleRatio, Score

from ..amounts import Lognormal, Normal, Scaled, Shifted
from ..arm import Arm, Failing, Scored
from ..cell import Cell, Goal
from ..schedules import GUARDED, STANDARD
from ..users import Users

_MANY = Users(20_000)
_HEAVY = Users(2_000, sigma=2.0, correlation=0.3)
_SECONDS = Lognormal(2.0, 0.6)
_JUDGE = Normal(0.80, 0.20)
_DEFAULT_AND_JUDGE = (FailureRate(), Latency(), SampleRatio(), Score("judge", tolerance=0.0))


def _answers(rate: float, slower: float = 1.0, judge: float | None = None) -> Arm:
    scores = () if judge is None else (Scored("judge", Shifted(_JUDGE, judge)),)
    return Arm(failing=Failing(rate), seconds=Scaled(_SECONDS, slower), scores=scores)


_harmless = partial(Cell, alphas=(0.01,), seconds=14_400.0, quick=True, goals=(Goal("completed", 0.97),), rules=True)
_worse = partial(Cell, harmless=False, alphas=(0.01,), seconds=7200.0, stages=STANDARD, quick=True)

CELLS = (
    _worse(
        "99.9 to 99 % success, 20,000 users, 5 a second",
        _MANY,
        _answers(0.001),
        _answers(0.01),
        goals=(Goal("caught", 0.92), Goal("failed answers", 13.0)),
        rules=True,
    ),
    _worse(
        "99.9 to 99 % success, 20,000 users, 20 a second",
        _MANY,
        _answers(0.001),
        _answers(0.01),
        goals=(Goal("caught", 0.99),),
        per_second=20.0,
        rules=True,
    ),
    _harmless(
        "harmless, 99.9 % success, 20,000 users",
        _MANY,
        _answers(0.001),
        stages=STANDARD,
    ),
    _harmless(
        "harmless, 80 % success, 2,000 users of very unequal use, no bar on success",
        _HEAVY,
        _answers(0.20),
        stages=GUARDED,
    ),
    _worse(
        "judge - 0.05 with a standard deviation of 0.2",
        _MANY,
        _answers(0.001, judge=0.0),
        _answers(0.001, judge=-0.05),
        goals=(Goal("canary users", 500.0),),
        guardrails=_DEFAULT_AND_JUDGE,
    ),
    _worse(
        "all answers take 1.25 times as long",
        _MANY,
        _answers(0.001),
        _answers(0.001, slower=1.25),
        goals=(Goal("canary answers", 1200.0),),
    ),
)

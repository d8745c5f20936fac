"""How long answers take."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from agent_canary import Latency

from ..amounts import Amount, Constant, Lognormal, Mixed, Scaled
from ..arm import Arm, Failing
from ..cell import Cell
from ..schedules import BY_SAMPLES, ELEVEN, FEW_USERS, GO_ON
from ..users import Users

STRICT = (Latency(tolerance=1.0),)
DEFAULT = (Latency(),)

MANY = Users(20_000)
HEAVY = Users(2_000, sigma=2.0, correlation=0.5)

USUAL = Lognormal(2.0, 0.6)
TWO_PEAKS = Mixed(0.7, Lognormal(0.3, 0.3), Lognormal(4.0, 0.4))
"""Cached or not."""


def taking(seconds: Amount, failing: float = 0.005) -> Arm:
    """Return a version whose answers take so long."""
    return Arm(failing=Failing(failing), seconds=seconds)


_like_stable = partial(Cell, guardrails=STRICT)
_of_few = partial(_like_stable, stages=FEW_USERS, policies=GO_ON)
_slower = partial(Cell, harmless=False, guardrails=DEFAULT, alphas=(0.01,), tick=5.0)

_SLOWS_DOWN = replace(taking(USUAL), pace=((0.0, 1.0), (3000.0, 2.5)))
_SLOW_FOR_A_WHILE = replace(taking(USUAL), pace=((840.0, 1.0), (850.0, 4.0), (1150.0, 4.0), (1160.0, 1.0)))

HARMLESS = [
    _like_stable("lognormal latencies", MANY, taking(USUAL), quick=True),
    _like_stable("lognormal latencies, 95th percentile alone", MANY, taking(USUAL), guardrails=(Latency(0.95, 1.0),)),
    _like_stable("very skewed latencies (sigma 1.2)", MANY, taking(Lognormal(1.0, 1.2))),
    _like_stable("two peaks: 70 % cached, 30 % not", MANY, taking(TWO_PEAKS)),
    _like_stable(
        "3 % take 30 s, 1 % never come",
        MANY,
        taking(Mixed(0.04, Mixed(0.75, Constant(30.0), Constant(1e6)), USUAL)),
    ),
    _like_stable("2,000 users of very unequal use, correlation 0.5", HEAVY, taking(USUAL), quick=True),
    _of_few("200 users of very unequal use, correlation 0.5", Users(200, 2.0, 0.5), taking(USUAL)),
    _of_few("20 users of very unequal use, correlation 0.5", Users(20, 2.0, 0.5), taking(USUAL)),
    _like_stable(
        "two peaks, very unequal use, correlation 0.5, eleven stages", HEAVY, taking(TWO_PEAKS), stages=ELEVEN
    ),
    _like_stable("stages by samples, very unequal use, correlation 0.5", HEAVY, taking(USUAL), stages=BY_SAMPLES),
    _like_stable("both get slower, up to 2.5 times, during the ramp", MANY, _SLOWS_DOWN),
    _like_stable("both are 4 times as slow for 5 minutes, over a promotion", HEAVY, _SLOW_FOR_A_WHILE),
    _like_stable(
        "the canary is exactly as slow as tolerated: + 10 %",
        MANY,
        taking(USUAL),
        canary=taking(Scaled(USUAL, 1.1)),
        guardrails=DEFAULT,
    ),
    _like_stable("the canary is used 1.3 times as much", MANY, taking(USUAL), canary=replace(taking(USUAL), use=1.3)),
]

HARMFUL = [
    _slower("all answers + 25 %", MANY, taking(USUAL), taking(Scaled(USUAL, 1.25)), quick=True),
    _slower(
        "all answers + 25 %, 2,000 users of very unequal use, correlation 0.5",
        HEAVY,
        taking(USUAL),
        taking(Scaled(USUAL, 1.25)),
    ),
    _slower("all answers + 50 %", MANY, taking(USUAL), taking(Scaled(USUAL, 1.5))),
    _slower("3 % of the answers take 5 times as long", MANY, taking(USUAL), taking(Scaled(USUAL, 5.0, 0.03))),
    _slower(
        "the faster half takes twice as long",
        MANY,
        taking(TWO_PEAKS),
        taking(Mixed(0.7, Lognormal(0.6, 0.3), Lognormal(4.0, 0.4))),
    ),
    _slower(
        "cached in 40 % instead of 70 %",
        MANY,
        taking(TWO_PEAKS),
        taking(Mixed(0.4, Lognormal(0.3, 0.3), Lognormal(4.0, 0.4))),
    ),
]

CELLS = (*HARMLESS, *HARMFUL)

"""What answers cost, how many tokens they need, and when they begin."""

from __future__ import annotations

from functools import partial

from agent_canary import Cost, FirstToken, Tokens

from ..amounts import Lognormal, Mixed, Scaled
from ..arm import Arm, Failing
from ..cell import Cell
from ..users import Users

MANY = Users(20_000)
HEAVY = Users(2_000, sigma=2.0, correlation=0.5)

_SECONDS = Lognormal(2.0, 0.6)
_FIRST_TOKEN = Lognormal(0.4, 0.5)
_COST = Lognormal(0.004, 1.2)
_TOKENS = Mixed(0.8, Lognormal(700.0, 0.7), Lognormal(9_000.0, 0.5))
"""Most answers need one call, some a chain of them."""


def _arm(cost: float = 1.0, tokens: float = 1.0, first_token: float = 1.0, failing: float = 0.005) -> Arm:
    return Arm(
        failing=Failing(failing),
        seconds=_SECONDS,
        first_token=Scaled(_FIRST_TOKEN, first_token),
        cost=Scaled(_COST, cost),
        tokens=Scaled(_TOKENS, tokens),
    )


_more = partial(Cell, harmless=False, alphas=(0.01,), tick=5.0)

HARMLESS = [
    Cell("cost, very skewed", MANY, _arm(), guardrails=(Cost(tolerance=1.0),), quick=True),
    Cell("cost, 2,000 users of very unequal use, correlation 0.5", HEAVY, _arm(), guardrails=(Cost(tolerance=1.0),)),
    Cell("tokens, two peaks, very unequal use, correlation 0.5", HEAVY, _arm(), guardrails=(Tokens(tolerance=1.0),)),
    Cell("first token, very unequal use, correlation 0.5", HEAVY, _arm(), guardrails=(FirstToken(tolerance=1.0),)),
]

HARMFUL = [
    _more("cost + 30 %", MANY, _arm(), _arm(cost=1.3), guardrails=(Cost(),)),
    _more("tokens + 50 %", MANY, _arm(), _arm(tokens=1.5), guardrails=(Tokens(),)),
    _more("first token + 30 %", MANY, _arm(), _arm(first_token=1.3), guardrails=(FirstToken(),)),
    _more(
        "first token + 30 %, very unequal use, correlation 0.5",
        HEAVY,
        _arm(),
        _arm(first_token=1.3),
        guardrails=(FirstToken(),),
    ),
]

CELLS = (*HARMLESS, *HARMFUL)

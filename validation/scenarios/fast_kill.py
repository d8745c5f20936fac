"""A canary that is broken from its first request on, at the smallest exposure."""

from __future__ import annotations

from functools import partial

from agent_canary import Stage

from ..arm import Arm, Failing
from ..cell import Cell, Goal
from ..schedules import FIRST_PERCENT
from ..users import Users

_MANY = Users(20_000)


_broken = partial(
    Cell,
    harmless=False,
    alphas=(0.01,),
    stages=FIRST_PERCENT,
    tick=1.0,
    seconds=3000.0,
    rules=True,
    goals=(Goal("caught", 0.99), Goal("failed answers", 12.0)),
)


def failing(rate: float) -> Arm:
    """Return a version of which so many answers fail."""
    return Arm(failing=Failing(rate))


CELLS = (
    _broken("always fails, 1 % of 20,000 users", _MANY, failing(0.0), failing(1.0), quick=True),
    _broken("half of the answers fail, 1 % of 20,000 users", _MANY, failing(0.01), failing(0.50), quick=True),
    _broken("always fails, 1 % of 20,000 users, 50 a second", _MANY, failing(0.001), failing(1.0), per_second=50.0),
    _broken(
        "always fails, 1 % of 2,000 users of very unequal use",
        Users(2_000, 2.0, 0.3),
        failing(0.02),
        failing(1.0),
        goals=(Goal("caught", 0.99), Goal("failed answers", 21.0)),
        note="Some ten users are on the canary, and one of them may come often: the breaker ends it after 20 failures.",
    ),
    _broken(
        "always fails, half of four tenants",
        Users(4, 0.5),
        failing(0.01),
        failing(1.0),
        stages=(Stage(0.5, 3000.0, 0, 0.0), Stage(1.0, 0.0, 0, 0.0)),
        goals=(),
        note="Four tenants are no experiment: where none falls to the canary, there is nothing to catch.",
    ),
    _broken(
        "always fails, to everybody from the start",
        _MANY,
        failing(0.01),
        failing(1.0),
        stages=(Stage(1.0, 3000.0, 0, 0.0),),
        goals=(Goal("caught", 0.99), Goal("failed answers", 30.0)),
        note="Nothing to compare with: the breaker, after 20 failures in a row.",
    ),
)

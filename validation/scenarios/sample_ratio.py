"""Whether as many users come to the canary as were sent there."""

from __future__ import annotations

from agent_canary import SampleRatio

from ..arm import Arm, Failing
from ..cell import Cell
from ..schedules import ELEVEN, FEW_USERS, GO_ON
from ..users import Users

_ARM = Arm(failing=Failing(0.005))
_ONLY = (SampleRatio(),)

CELLS = (
    Cell("all come, 20,000 users", Users(20_000), _ARM, guardrails=_ONLY, quick=True),
    Cell("all come, 20,000 users of very unequal use", Users(20_000, 2.0), _ARM, guardrails=_ONLY),
    Cell(
        "all come, 200 users of very unequal use",
        Users(200, 2.0),
        _ARM,
        guardrails=_ONLY,
        stages=FEW_USERS,
        policies=GO_ON,
    ),
    Cell(
        "all come, 2,000 users of very unequal use, eleven stages",
        Users(2_000, 2.0),
        _ARM,
        guardrails=_ONLY,
        stages=ELEVEN,
    ),
    Cell(
        "all come, and use the canary twice as much",
        Users(2_000, 1.0),
        _ARM,
        Arm(failing=Failing(0.005), use=2.0),
        guardrails=_ONLY,
    ),
    Cell(
        "a fifth of the canary's 20,000 users never come",
        Users(20_000),
        _ARM,
        Arm(failing=Failing(0.005), kept=0.8),
        guardrails=_ONLY,
        harmless=False,
        alphas=(0.01,),
        quick=True,
    ),
    Cell(
        "half of the canary's 2,000 users never come",
        Users(2_000, 1.0),
        _ARM,
        Arm(failing=Failing(0.005), kept=0.5),
        guardrails=_ONLY,
        harmless=False,
        alphas=(0.01,),
    ),
)

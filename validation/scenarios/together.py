"""Many guardrails at once share one alpha."""

from __future__ import annotations

from dataclasses import replace

from agent_canary import Cost, FailureRate, FirstToken, Latency, Rate, SampleRatio, Score, Tokens

from ..amounts import Lognormal, NearlyOne, YesNo
from ..arm import Arm, Failing, Scored
from ..cell import Cell, Goal
from ..schedules import BY_SAMPLES, RAMP
from ..users import Users

HEAVY = Users(2_000, sigma=2.0, correlation=0.3)

STRICT = (
    FailureRate(1.0),
    Latency(tolerance=1.0),
    FirstToken(tolerance=1.0),
    Score("judge", tolerance=0.0),
    Rate("thumbs_down", tolerance=1.0),
    Cost(tolerance=1.0),
    Tokens(tolerance=1.0),
    SampleRatio(),
)
"""All that the library has, each of them as strict as it can be."""

AGENT = Arm(
    failing=Failing(0.05),
    seconds=Lognormal(2.0, 0.8),
    first_token=Lognormal(0.4, 0.5),
    cost=Lognormal(0.004, 1.2),
    tokens=Lognormal(900.0, 1.0),
    scores=(Scored("judge", NearlyOne(), 0.5), Scored("thumbs_down", YesNo(0.05), 0.2, 20.0)),
)

CELLS = (
    Cell("the library's default guardrails", HEAVY, AGENT, rules=True, quick=True, goals=(Goal("completed", 0.97),)),
    Cell("eight guardrails, strict", HEAVY, AGENT, guardrails=STRICT, stages=RAMP, quick=True),
    Cell(
        "eight guardrails, strict, 20,000 users",
        replace(HEAVY, number=20_000, sigma=1.0),
        AGENT,
        guardrails=STRICT,
    ),
    Cell("eight guardrails, strict, stages by samples", HEAVY, AGENT, guardrails=STRICT, stages=BY_SAMPLES),
)

"""What judges and users say about answers."""

from __future__ import annotations

from functools import partial

from agent_canary import Rate, Score

from ..amounts import Amount, Constant, Lognormal, Mixed, NearlyOne, Normal, Scaled, Shifted, YesNo
from ..arm import Arm, Failing, Scored
from ..cell import Cell
from ..schedules import BY_SAMPLES, ELEVEN, FEW_USERS, GO_ON
from ..users import Users

STRICT = (Score("judge", tolerance=0.0),)
DEFAULT = (Score("judge"),)
THUMBS = (Rate("thumbs_down", tolerance=1.0),)

MANY = Users(20_000)
HEAVY = Users(2_000, sigma=2.0, correlation=0.3)
ALIKE = Users(20_000, correlation=0.5)

JUDGE = Normal(0.80, 0.20)
"""A judge's score with a standard deviation of 0.2."""
MOSTLY_NOTHING = Mixed(0.9, Constant(0.0), Lognormal(1.0, 1.0))
HEAVY_TAILED = Lognormal(1.0, 2.0)


def scored(amount: Amount, name: str = "judge", *, share: float = 1.0, delay: float = 0.0, history: int = 0) -> Arm:
    """Return a version whose answers get such scores."""
    return Arm(failing=Failing(0.005), scores=(Scored(name, amount, share, delay, history),))


_like_stable = partial(Cell, guardrails=STRICT)
_of_few = partial(_like_stable, stages=FEW_USERS, policies=GO_ON)
_worse = partial(Cell, harmless=False, guardrails=DEFAULT, alphas=(0.01,), tick=5.0)

HARMLESS = [
    _like_stable("a judge's score, normal", MANY, scored(JUDGE)),
    _like_stable("a judge's score, skewed (beta 8, 1)", MANY, scored(NearlyOne()), quick=True),
    _like_stable("a score that is 0 in 90 % of the answers", MANY, scored(MOSTLY_NOTHING)),
    _like_stable("a heavy-tailed score (lognormal, sigma 2)", MANY, scored(HEAVY_TAILED)),
    _like_stable("skewed, 2,000 users of very unequal use, correlation 0.3", HEAVY, scored(NearlyOne()), quick=True),
    _like_stable("heavy-tailed, 2,000 users of very unequal use, correlation 0.3", HEAVY, scored(HEAVY_TAILED)),
    _of_few(
        "skewed, 200 users of very unequal use, correlation 0.3",
        Users(200, 2.0, 0.3),
        scored(NearlyOne()),
    ),
    _of_few(
        "skewed, 20 users of very unequal use, correlation 0.3",
        Users(20, 2.0, 0.3),
        scored(NearlyOne()),
    ),
    _like_stable("skewed, eleven stages, very unequal use, correlation 0.3", HEAVY, scored(NearlyOne()), stages=ELEVEN),
    _like_stable("skewed, stages by samples, very unequal use", HEAVY, scored(NearlyOne()), stages=BY_SAMPLES),
    _like_stable("30 % of the answers are scored, 30 s later", HEAVY, scored(NearlyOne(), share=0.3, delay=30.0)),
    _like_stable("with a covariate (CUPED), correlation 0.5", ALIKE, scored(JUDGE, history=10)),
    _like_stable(
        "skewed, with a covariate (CUPED), very unequal use, correlation 0.5",
        Users(2_000, 2.0, 0.5),
        scored(NearlyOne(), history=10),
    ),
    _like_stable("5 % say no: the mean of a yes or no", MANY, scored(YesNo(0.95))),
    _like_stable(
        "5 % thumbs down, as a rate", HEAVY, scored(YesNo(0.05), "thumbs_down"), guardrails=THUMBS, quick=True
    ),
    _like_stable(
        "5 % thumbs down, as a rate, of 20 % of the answers, 30 s later",
        HEAVY,
        scored(YesNo(0.05), "thumbs_down", share=0.2, delay=30.0),
        guardrails=THUMBS,
    ),
    _like_stable(
        "the canary is exactly as much worse as tolerated: - 0.02",
        MANY,
        scored(JUDGE),
        canary=scored(Shifted(JUDGE, -0.02)),
        guardrails=DEFAULT,
    ),
]

HARMFUL = [
    _worse(
        "judge - 0.05, standard deviation 0.2, none tolerated",
        MANY,
        scored(JUDGE),
        scored(Shifted(JUDGE, -0.05)),
        guardrails=STRICT,
        quick=True,
    ),
    _worse("judge - 0.05, standard deviation 0.2, 0.02 tolerated", MANY, scored(JUDGE), scored(Shifted(JUDGE, -0.05))),
    _worse("judge - 0.10, standard deviation 0.2, 0.02 tolerated", MANY, scored(JUDGE), scored(Shifted(JUDGE, -0.10))),
    _worse(
        "judge - 0.05, correlation 0.5, none tolerated",
        ALIKE,
        scored(JUDGE),
        scored(Shifted(JUDGE, -0.05)),
        guardrails=STRICT,
    ),
    _worse(
        "judge - 0.05, correlation 0.5, none tolerated, with a covariate (CUPED)",
        ALIKE,
        scored(JUDGE, history=10),
        scored(Shifted(JUDGE, -0.05), history=10),
        guardrails=STRICT,
    ),
    _worse("skewed, 0.889 to 0.833", MANY, scored(NearlyOne(8.0)), scored(NearlyOne(5.0))),
    _worse(
        "heavy-tailed, doubled where lower is better",
        MANY,
        scored(HEAVY_TAILED),
        scored(Scaled(HEAVY_TAILED, 2.0)),
        guardrails=(Score("judge", 0.0, higher_is_better=False),),
    ),
    _worse(
        "thumbs down 5 to 10 %, as a rate",
        MANY,
        scored(YesNo(0.05), "thumbs_down"),
        scored(YesNo(0.10), "thumbs_down"),
        guardrails=(Rate("thumbs_down"),),
    ),
    _worse(
        "thumbs down 5 to 10 %, as a rate, of 20 % of the answers",
        MANY,
        scored(YesNo(0.05), "thumbs_down", share=0.2),
        scored(YesNo(0.10), "thumbs_down", share=0.2),
        guardrails=(Rate("thumbs_down"),),
    ),
]

CELLS = (*HARMLESS, *HARMFUL)

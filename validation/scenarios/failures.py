"""Failing answers: whoever uses the product, however often it fails, and however it is rolled out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from agent_canary import FailureRate

from ..amounts import Constant, Lognormal, Mixed
from ..arm import Arm, Failing
from ..cell import Act, Cell
from ..schedules import BY_SAMPLES, ELEVEN, FEW_BY_SAMPLES, FEW_USERS, GO_ON
from ..users import Users

STRICT = (FailureRate(tolerance=1.0),)
"""Nothing is tolerated, so that a canary like stable is as near to alarming as a harmless one can be."""
DEFAULT = (FailureRate(),)

FEW, SOME, MANY = Users(200), Users(2_000), Users(20_000)
HEAVY = Users(2_000, sigma=2.0, correlation=0.3)


def failing(rate: float) -> Arm:
    """Return a version of which so many answers fail."""
    return Arm(failing=Failing(rate))


_like_stable = partial(Cell, guardrails=STRICT, rules=True, seconds=5000.0)
_of_few = partial(_like_stable, stages=FEW_USERS, policies=GO_ON)
_worse = partial(Cell, harmless=False, guardrails=DEFAULT, alphas=(0.01,), rules=True, tick=5.0, seconds=5000.0)


RATES = [
    _like_stable("0.1 % fail, 2,000 users", SOME, failing(0.001), quick=True),
    _like_stable("1 % fail, 2,000 users", SOME, failing(0.01)),
    _like_stable("5 % fail, 2,000 users", SOME, failing(0.05)),
    _like_stable("20 % fail, 2,000 users", SOME, failing(0.20)),
    _like_stable("50 % fail, 2,000 users", SOME, failing(0.50)),
    _like_stable("1 % fail, an analysis each second", SOME, failing(0.01), tick=1.0),
]

WHO = [
    _of_few("20 users of very unequal use, correlation 0.3, 5 % fail", Users(20, 2.0, 0.3), failing(0.05)),
    _of_few(
        "200 users of very unequal use, correlation 0.3, 5 % fail",
        Users(200, 2.0, 0.3),
        failing(0.05),
    ),
    _like_stable("2,000 users of very unequal use, correlation 0.3, 2 % fail", HEAVY, failing(0.02), quick=True),
    _like_stable("20,000 users of very unequal use, correlation 0.3, 2 % fail", Users(20_000, 2.0, 0.3), failing(0.02)),
    _of_few("200 users, correlation 0.3, 10 % fail", Users(200, 0.0, 0.3), failing(0.10)),
    _like_stable("2,000 users, correlation 0.3, 20 % fail", Users(2_000, 0.0, 0.3), failing(0.20)),
    _like_stable(
        "2,000 users of very unequal use, correlation 0.6, 5 % fail", Users(2_000, 2.0, 0.6), failing(0.05), quick=True
    ),
    _like_stable("requests without a key, 5 % fail", MANY, failing(0.05), keyed=False),
]

_DRIFT = Arm(failing=Failing(0.01, ((0.0, 0.01), (3000.0, 0.05))))
_OUTAGE = Arm(failing=Failing(0.001, ((840.0, 0.001), (850.0, 0.3), (1150.0, 0.3), (1160.0, 0.001))))
_TURNS = tuple((150.0 + 300.0 * turn, 0.002 if turn % 2 else 0.038) for turn in range(17))
_WAVES = Arm(failing=Failing(0.02, ((0.0, 0.02), *_TURNS)))

TIMES = [
    _like_stable("failures of both rise from 1 to 5 % during the ramp, 20 a second", MANY, _DRIFT, per_second=20.0),
    _like_stable("an outage of both over a promotion: 0.1, then 30 % for 5 minutes", SOME, _OUTAGE, quick=True),
    _like_stable("failures of both go up and down between 0.2 and 3.8 %", HEAVY, _WAVES),
    _like_stable(
        "an outage of both over a promotion, requests without a key", MANY, _OUTAGE, keyed=False, per_second=20.0
    ),
]

STAGES = [
    _like_stable(
        f"stages by samples, {users:,} users of very unequal use, correlation 0.3, 5 % fail",
        Users(users, 2.0, 0.3),
        failing(0.05),
        stages=BY_SAMPLES if users > 200 else FEW_BY_SAMPLES,
    )
    for users in (20, 200, 2_000)
] + [
    _like_stable(
        "eleven stages, very unequal use, correlation 0.6, 5 % fail",
        Users(2_000, 2.0, 0.6),
        failing(0.05),
        stages=ELEVEN,
    ),
    _like_stable(
        "two pauses, one of them to stable, so that the share falls and comes back",
        HEAVY,
        failing(0.05),
        acts=(Act(700.0, "pause"), Act(1000.0, "resume"), Act(1600.0, "pause to stable"), Act(2200.0, "resume")),
        seconds=4000.0,
        rules=False,
    ),
]


def _takes(rate: float, seconds: float, failure_seconds: float | None = None) -> Arm:
    late = None if failure_seconds is None else Lognormal(failure_seconds, 0.2)
    return Arm(failing=Failing(rate), seconds=Lognormal(seconds, 0.5), failure_seconds=late)


_HANGING = Arm(failing=Failing(0.01), seconds=Mixed(0.02, Constant(1e6), Lognormal(2.0, 0.5)))

LATE = [
    _like_stable("answers take 15 s on both, 20 % fail", HEAVY, _takes(0.20, 15.0), _takes(0.20, 15.0)),
    _like_stable(
        "stable's failures take 40 s, the canary's 1 s, 5 % fail",
        HEAVY,
        _takes(0.05, 1.0, 40.0),
        _takes(0.05, 1.0, 1.0),
    ),
    _like_stable(
        "the canary's failures take 40 s, stable's 1 s, 5 % fail",
        HEAVY,
        _takes(0.05, 1.0, 1.0),
        _takes(0.05, 1.0, 40.0),
    ),
    _like_stable(
        "stable answers in 20 s, the canary in 1 s, 20 % fail", HEAVY, _takes(0.20, 20.0), _takes(0.20, 1.0), quick=True
    ),
    _like_stable(
        "stable's failures take 250 s, the canary's 1 s, and the horizon is 60 s",
        HEAVY,
        _takes(0.05, 1.0, 250.0),
        _takes(0.05, 1.0, 1.0),
    ),
    _like_stable(
        "stable's failures take 250 s, the canary's 1 s, and the horizon is 400 s",
        HEAVY,
        _takes(0.05, 1.0, 250.0),
        _takes(0.05, 1.0, 1.0),
        horizon=400.0,
    ),
    _like_stable("2 % of the answers of both never come", HEAVY, _HANGING, _HANGING),
]

USED = [
    _like_stable(
        f"the canary is used {use:g} times as much, {100 * rate:g} % fail",
        SOME,
        failing(rate),
        canary=replace(failing(rate), use=use),
        guardrails=DEFAULT,
        quick=(use, rate) == (1.3, 0.20),
    )
    for rate in (0.02, 0.20)
    for use in (0.7, 1.3, 2.0)
] + [
    _like_stable(
        f"the canary is used {use:g} times as much, 20 % fail, none tolerated",
        SOME,
        failing(0.20),
        canary=replace(failing(0.20), use=use),
        note="More users of a canary that is used more have met a failure, though no answer is likelier to be one. "
        "What keeps that from alarming is that the rate per answer must be worse too; a rate that is looked at often "
        "enough is sometimes worse by its usual error. The default tolerance of 1.2 avoids it.",
    )
    for use in (1.3, 2.0)
]

_ANEW = (Act(1000.0, "roll back"), Act(1000.0, "restart"))

RUNS = [
    _like_stable(
        f"rolled back by hand after 1,000 s and restarted with the {salt} salt",
        HEAVY,
        failing(0.05),
        acts=_ANEW,
        policies={"keep_salt": salt == "old"},
        seconds=4200.0,
        rules=False,
    )
    for salt in ("new", "old")
] + [
    _like_stable(
        f"restarted with the {salt} salt after a false alarm: alarms again",
        Users(200, 1.0, 0.3),
        failing(0.10),
        policies={"keep_salt": salt == "old", **GO_ON},
        stages=FEW_USERS,
        again=True,
        effort=4.0,
        alphas=(0.2,),
        seconds=6300.0,
        rules=False,
        note=note,
    )
    for salt, note in (
        ("new", "Of the runs that were rolled back once; alpha is 20 %, so that there are some."),
        (
            "old",
            (
                "The same users are on the canary again, so that the same accident is seen again: after an alarm, "
                "alpha is no promise for a retry. By default a new run has a new salt."
            ),
        ),
    )
]

TOLERATED = [
    _like_stable(
        f"the canary fails exactly as often as tolerated: {text}",
        MANY,
        failing(rate),
        canary=failing(1.2 * rate),
        guardrails=DEFAULT,
    )
    for rate, text in ((0.01, "1.2 % against 1 %"), (0.10, "12 % against 10 %"))
]

HARMFUL = [
    _worse("0.1 to 1 %, 20,000 users", MANY, failing(0.001), failing(0.01), quick=True),
    _worse("0.1 to 1 %, 20,000 users, 20 a second", MANY, failing(0.001), failing(0.01), per_second=20.0),
    _worse("0.1 to 0.3 %, 20,000 users, 20 a second", MANY, failing(0.001), failing(0.003), per_second=20.0),
    _worse("1 to 2 %, 20,000 users", MANY, failing(0.01), failing(0.02)),
    _worse("1 to 3 %, 20,000 users", MANY, failing(0.01), failing(0.03)),
    _worse("1 to 5 %, 20,000 users", MANY, failing(0.01), failing(0.05)),
    _worse("2 to 6 %, 2,000 users, correlation 0.1", Users(2_000, 0.0, 0.1), failing(0.02), failing(0.06)),
    _worse("2 to 6 %, 2,000 users of very unequal use, correlation 0.3", HEAVY, failing(0.02), failing(0.06)),
    _worse("20 to 30 %, 20,000 users", MANY, failing(0.20), failing(0.30)),
    _worse("20 to 30 %, 2,000 users", SOME, failing(0.20), failing(0.30), quick=True),
    _worse("50 to 60 %, 2,000 users", SOME, failing(0.50), failing(0.60)),
    _worse(
        "good for 15 minutes, then 1 %",
        MANY,
        failing(0.001),
        Arm(failing=Failing(0.001, ((899.0, 0.001), (900.0, 0.01)))),
    ),
    _worse(
        "5 % of the canary's answers never come",
        MANY,
        Arm(failing=Failing(0.001), seconds=Lognormal(2.0, 0.5)),
        Arm(failing=Failing(0.001), seconds=Mixed(0.05, Constant(1e6), Lognormal(2.0, 0.5))),
    ),
    _worse("0.1 to 1 %, requests without a key", MANY, failing(0.001), failing(0.01), keyed=False),
]

CELLS = (*RATES, *WHO, *TIMES, *STAGES, *LATE, *USED, *RUNS, *TOLERATED, *HARMFUL)

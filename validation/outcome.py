"""How one run ended, by whoever decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .traffic import Traffic

End = Literal["completed", "rolled back", "going"]

NOT_MADE, STABLE, CANARY = 0, 1, 2
"""Who answered a request."""

Served = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    Attributes:
        end: ``going`` where the time that it was watched is over.
        seconds: When, from the start.
        requests: How many were made until then.
        answers: How many of them the canary answered.
        failed: How many of those failed.
        users: How many users met the canary.
        harmed: How many of them met a failed answer of it.
        by: The guardrails that rolled back.
        alarms: How often it was rolled back by itself.
    """

    end: End
    seconds: float
    requests: int
    answers: int
    failed: int
    users: int
    harmed: int
    by: tuple[str, ...] = ()
    alarms: int = 0


def outcome_of(
    traffic: Traffic, served: Served, end: End, seconds: float, *, by: tuple[str, ...] = (), alarms: int = 0
) -> Outcome:
    """Count what users have met.

    Args:
        traffic: The requests.
        served: Who answered each of the first of them; the others were never made.
        end: How it ended.
        seconds: When.
        by: The guardrails that rolled back.
        alarms: How often it was rolled back by itself.
    """
    who, failed = traffic.who[: len(served)], traffic.canary.failed[: len(served)]
    on_canary = served == CANARY
    harmed = on_canary & failed
    return Outcome(
        end=end,
        seconds=seconds,
        requests=int(np.count_nonzero(served)),
        answers=int(np.count_nonzero(on_canary)),
        failed=int(np.count_nonzero(harmed)),
        users=len(np.unique(who[on_canary])),
        harmed=len(np.unique(who[harmed])),
        by=by,
        alarms=alarms,
    )

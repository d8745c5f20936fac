"""The users: some thousands, of very unequal activity, who make the same visits in every run of the demo."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

INEQUALITY = 1.5
"""Standard deviation of the logarithm of a user's activity: the busiest 1 % make about a fifth of all visits."""

FEEDBACK_SHARE = 0.5
"""How many of the answers a user judges, in [0, 1]."""

FEEDBACK_SECONDS = (0.5, 2.0)
"""How long a user takes to judge an answer: at least, and at most."""


@dataclass(frozen=True)
class User:
    """Somebody with scans to read.

    Attributes:
        name: The sticky key.
        pace: Visits per second, on average.
    """

    name: str
    pace: float


class Visit(NamedTuple):
    """One scan that a user wants to have read.

    Attributes:
        request_id: Unique, and the same in every run of the demo.
        user: The user's name.
        at: Seconds after the rollout's users began.
        scan: Index of the scan.
        feedback_after: Seconds after the answer at which the user judges it; None when never.
    """

    request_id: str
    user: str
    at: float
    scan: int
    feedback_after: float | None


def crowd(count: int, pace: float, seed: str) -> list[User]:
    """Return users whose activity is lognormal.

    Args:
        count: How many.
        pace: Visits per second of all of them together.
        seed: Equal seeds give equal users.
    """
    draw = random.Random(seed)
    activity = [draw.lognormvariate(0.0, INEQUALITY) for _ in range(count)]
    whole = sum(activity)
    return [User(f"user-{number:04d}", pace * share / whole) for number, share in enumerate(activity, start=1)]


def visits(user: User, seed: str, scans: int) -> Iterator[Visit]:
    """Yield a user's visits without end: a Poisson process, each visit with one of *scans* scans at random.

    Args:
        user: Who visits.
        seed: Equal seeds give equal visits.
        scans: How many scans there are to choose from.
    """
    draw = random.Random(f"{seed}/{user.name}")
    at = 0.0
    number = 0
    while True:
        number += 1
        at += draw.expovariate(user.pace)
        scan, judges = draw.randrange(scans), draw.random() < FEEDBACK_SHARE
        patience = draw.uniform(*FEEDBACK_SECONDS)
        yield Visit(f"{seed}/{user.name}/{number}", user.name, at, scan, patience if judges else None)


def busiest_share(users: Sequence[User], part: float = 0.01) -> float:
    """Return the share in [0, 1] of all visits that the busiest *part* of the users make."""
    paces = sorted((user.pace for user in users), reverse=True)
    return sum(paces[: max(1, round(part * len(paces)))]) / sum(paces)

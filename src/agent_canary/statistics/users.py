"""How many users stand behind a number of answers, from the answers by cluster alone: no table of users is needed."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log
from operator import mul

CLUSTERS = 64
"""Into how many clusters users are hashed."""

_FEWEST_ACTIVE, _FEWEST_EFFECTIVE = 30, 20


def active_units(answers: Sequence[float]) -> float:
    """About how many users answered, from the clusters in which nobody did: -64 log(empty / 64).

    Infinite where no cluster is empty, from some 270 users on: it is good for telling a few from many. Near 30 users
    its standard error is 3. Source: K.-Y. Whang, B. T. Vander-Zanden, H. M. Taylor (1990), "A linear-time probabilistic
    counting algorithm for database applications".

    Args:
        answers: their number in each of the 64 clusters.
    """
    empty = answers.count(0)
    return -CLUSTERS * log(empty / CLUSTERS) if empty else inf


def effective_units(answers: Sequence[float]) -> float:
    """As many equally active users as the traffic is worth: N^2 / sum of the squared answers of each user.

    The squares of users follow from those of clusters, 1 / U = (sum n_b^2 / N^2 - 1/64) / (1 - 1/64), since two
    users share a cluster by chance in one case of 64. Its relative standard error is 18 %, however many there are.

    Args:
        answers: their number in each of the 64 clusters, some of them above 0.

    Returns:
        Above 0; infinite where answers are spread over the clusters more evenly than users could be by chance.
    """
    total = sum(answers)
    excess = dot(answers, answers) / (total * total) - 1.0 / CLUSTERS
    return (1.0 - 1.0 / CLUSTERS) / excess if excess > 0.0 else inf


def too_few(canary: Sequence[float], stable: Sequence[float], effective: float) -> str | None:
    """Why a variance from these clusters is not to be trusted: fewer than 30 active users, or 20 effective ones.

    Args:
        canary: its answers by cluster.
        stable: its answers by cluster.
        effective: the effective users of the canary.

    Returns:
        A few words with the number; None if there are enough.
    """
    for arm, answers in (("canary", canary), ("stable", stable)):
        active = active_units(answers)
        if active < _FEWEST_ACTIVE:
            return f"too few active users on {arm}: about {active:.0f}, at least {_FEWEST_ACTIVE}"
    if effective < _FEWEST_EFFECTIVE:
        return f"too few effective users on canary: about {effective:.0f}, at least {_FEWEST_EFFECTIVE}"
    return None


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    """The sum of the products, number by number."""
    total: float = sum(map(mul, left, right))
    return total

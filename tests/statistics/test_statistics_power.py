"""How soon failing users catch a worse canary: seeded rollouts against the powers that larger simulations gave.

Each rollout is a ramp over 1, 5, 25 and 50 % of the users with 3,750 requests at each share and a look every 25
requests (5 seconds at 5 requests per second). Users differ in how often their requests fail: a beta distribution with a
correlation of 0.1 within a user. The larger simulations had 150 rollouts, so their rates are known to a few per cent.
"""

from __future__ import annotations

from collections import Counter
from math import log
from random import Random
from statistics import median

from agent_canary.statistics import log_e_value

SHARES = (0.01, 0.05, 0.25, 0.5)
REQUESTS_PER_SHARE = 3750
REQUESTS_PER_LOOK = 25
CORRELATION = 0.1


Shares = tuple[float, float | None]
NEVER: Shares = (0.0, None)


class Rollouts:
    """Rollouts of a canary to users who fail at stable's rate on average.

    Args:
        seed: Of all chance.
        users: How many there are; all use the product equally often.
        stable_rate: How often a request fails on stable.
        canary_rate: How often it fails on the canary.
        alpha: The chance of a false alarm.
    """

    def __init__(self, seed: int, users: int, stable_rate: float, canary_rate: float, alpha: float) -> None:
        self.random = Random(seed)
        weight = 1.0 / CORRELATION - 1.0
        a, b = weight * stable_rate, weight * (1.0 - stable_rate)
        self.rates = [self.random.betavariate(a, b) for _ in range(users)]
        self.harm = canary_rate / stable_rate
        self.threshold = log(1.0 / alpha)

    def canary_requests_until_alarms(self, rollouts: int) -> list[int]:
        """The number of canary requests before the alarm of each rollout that had one."""
        return [needed for needed in (self._needed() for _ in range(rollouts)) if needed is not None]

    def _needed(self) -> int | None:
        chance = self.random.random
        buckets = [chance() for _ in self.rates]
        failing: dict[int, Shares] = {}
        groups: Counter[Shares] = Counter()
        on_canary = 0
        for share in SHARES:
            for request in range(REQUESTS_PER_SHARE):
                user = int(chance() * len(buckets))
                is_canary = buckets[user] < share
                on_canary += is_canary
                if chance() < self.rates[user] * (self.harm if is_canary else 1.0):
                    lo, hi = failing.get(user, NEVER)
                    groups[lo, hi] -= (lo, hi) != NEVER
                    failing[user] = (lo, hi or share) if is_canary else (share, hi)
                    groups[failing[user]] += 1
                if request % REQUESTS_PER_LOOK == 0 and log_e_value(groups, tolerance=1.0) >= self.threshold:
                    return on_canary
        return None


def test_three_times_as_many_failures_are_always_caught() -> None:
    """2 to 6 %, 2,000 users, alpha 5 %: the larger simulation caught all, after 333 canary requests (median)."""
    needed = Rollouts(31, users=2000, stable_rate=0.02, canary_rate=0.06, alpha=0.05).canary_requests_until_alarms(60)
    assert len(needed) >= 59
    assert 333 * 0.75 < median(needed) < 333 * 1.25


def test_ten_times_as_many_rare_failures_are_nearly_always_caught() -> None:
    """0.1 to 1 %, 20,000 users, alpha 1 %: the larger simulation caught 98 %, after 827 canary requests (median)."""
    rollouts = Rollouts(32, users=20_000, stable_rate=0.001, canary_rate=0.01, alpha=0.01)
    needed = rollouts.canary_requests_until_alarms(60)
    assert len(needed) >= 55, "98 % minus three standard errors of 60 rollouts"
    assert 827 * 0.75 < median(needed) < 827 * 1.25


def test_a_canary_that_fails_half_the_time_is_gone_after_a_handful() -> None:
    """0.1 to 50 %, 20,000 users, alpha 1 %: the larger simulation caught all, after 4 canary requests (median)."""
    rollouts = Rollouts(33, users=20_000, stable_rate=0.001, canary_rate=0.5, alpha=0.01)
    rollouts.rates = [0.001] * 20_000
    needed = rollouts.canary_requests_until_alarms(40)
    assert len(needed) == 40
    assert median(needed) <= 6


def test_few_users_who_nearly_all_fail_anyway_are_a_blind_spot() -> None:
    """50 to 60 %, 2,000 users, alpha 1 %: caught in 3 % only, which is why other guardrails stand beside this one."""
    needed = Rollouts(34, users=2000, stable_rate=0.5, canary_rate=0.6, alpha=0.01).canary_requests_until_alarms(20)
    assert len(needed) <= 4

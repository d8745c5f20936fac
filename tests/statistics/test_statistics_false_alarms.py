"""Simulated rollouts, small and seeded: a harmless canary alarms as rarely as promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from math import log, sqrt
from random import Random

from agent_canary.statistics import HARM_RATIOS, log_e_value, log_likelihood_ratios, log_mean_exp

ALPHA = 0.05
SHARES = (0.01, 0.05, 0.25, 0.5)
LOOKS_PER_STAGE = 6


def highest_credible_rate(runs: int) -> float:
    """Alpha and three standard errors of a rate of alpha that is observed in this many runs."""
    return ALPHA + 3.0 * sqrt(ALPHA * (1.0 - ALPHA) / runs)


def request_level_evidence(random: Random, harm: float) -> Iterator[float]:
    """Log e-values after each slice of a ramp over which the failure rate that both versions share rises tenfold."""
    sums = [0.0] * len(HARM_RATIOS)
    for look in range(LOOKS_PER_STAGE * len(SHARES)):
        share, rate = SHARES[look // LOOKS_PER_STAGE], 0.02 + 0.008 * look
        canary_total = sum(random.random() < share for _ in range(60))
        canary_failures = sum(random.random() < rate * harm for _ in range(canary_total))
        stable_failures = sum(random.random() < rate for _ in range(60 - canary_total))
        ratios = log_likelihood_ratios(canary_total, canary_failures, 60 - canary_total, stable_failures, 1.0)
        sums = [total + ratio for total, ratio in zip(sums, ratios, strict=True)]
        yield log_mean_exp(sums)


def user_level_evidence(random: Random) -> Iterator[float]:
    """Log e-values over a ramp of 150 users, some of whom come and fail a hundred times as often as others."""
    users = range(150)
    buckets = [random.random() for _ in users]
    rates = [random.betavariate(0.5, 9.5) for _ in users]
    comings = list(accumulate(random.lognormvariate(0.0, 2.0) for _ in users))
    stable_failures: dict[int, float] = {}
    canary_failures: dict[int, float] = {}
    for share in SHARES:
        for _ in range(LOOKS_PER_STAGE):
            for user in random.choices(users, cum_weights=comings, k=60):
                on_canary = buckets[user] < share
                if random.random() < rates[user]:
                    if on_canary:
                        canary_failures.setdefault(user, share)
                    else:
                        stable_failures[user] = share
            yield log_e_value(
                Counter((stable_failures.get(user, 0.0), canary_failures.get(user)) for user in users), tolerance=1.0
            )


def crosses(evidence: Iterator[float]) -> bool:
    """Whether the evidence ever reaches 1 / alpha."""
    return any(log_e >= log(1.0 / ALPHA) for log_e in evidence)


def test_equal_failure_rates_alarm_at_most_as_often_as_promised() -> None:
    """With a shared rate that rises tenfold over the ramp, the conditional test crosses in no more runs than alpha."""
    random, runs = Random(20), 300
    alarms = sum(crosses(request_level_evidence(random, harm=1.0)) for _ in range(runs))
    assert alarms / runs <= highest_credible_rate(runs)


def test_a_canary_that_fails_four_times_as_often_is_caught_by_the_conditional_test() -> None:
    """The same simulation with a harmful canary crosses in nearly every run."""
    random = Random(21)
    assert sum(crosses(request_level_evidence(random, harm=4.0)) for _ in range(30)) >= 27


def test_equal_users_alarm_at_most_as_often_as_promised() -> None:
    """With heavy-tailed users of very different failure rates, failing users cross in no more runs than alpha."""
    random, runs = Random(22), 300
    alarms = sum(crosses(user_level_evidence(random)) for _ in range(runs))
    assert alarms / runs <= highest_credible_rate(runs)

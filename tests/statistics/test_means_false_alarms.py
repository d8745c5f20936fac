"""Simulated rollouts, small and seeded, judged by means, margins and splits: harmless canaries alarm rarely enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from math import log, sqrt
from random import Random

from agent_canary.statistics import (
    CLUSTERS,
    AnswerSums,
    ArmSums,
    BoundedMean,
    Contrast,
    NonInferiority,
    Stratum,
    bounded_mean,
    contrast,
    contrast_of_answers,
    log_e_one_sided,
    log_e_sample_ratio,
    margin,
)

ALPHA = 0.05
RAMP = (0.01, 0.05, 0.25, 0.5)


def crossings(runs: int, evidence: Callable[[Random], Iterator[float]], seed: int) -> float:
    """In which part of the runs the log evidence ever reaches log(1 / alpha)."""
    random = Random(seed)
    return sum(any(log_e >= log(1.0 / ALPHA) for log_e in evidence(random)) for _ in range(runs)) / runs


def highest_credible_rate(runs: int) -> float:
    """Alpha and three standard errors of a rate of alpha that is observed in this many runs."""
    return ALPHA + 3.0 * sqrt(ALPHA * (1.0 - ALPHA) / runs)


def log_e_of(found: Contrast | None) -> float:
    """The evidence that the canary's mean is higher."""
    if found is None or found.refusal is not None or not found.variance:
        return 0.0
    return log_e_one_sided(found.difference, found.variance, (0.2 * found.deviation) ** 2)


class Users:
    """Users some of whom come ten times as often as others, and of whom some always fail and many never, on a ramp."""

    def __init__(self, random: Random, harm: float = 1.0, shares: tuple[float, ...] = RAMP, users: int = 400) -> None:
        self.random = random
        self.harm = harm
        self.shares = shares
        self.buckets = [random.random() for _ in range(users)]
        self.clusters = [random.randrange(CLUSTERS) for _ in range(users)]
        self.rates = [random.betavariate(0.2, 1.8) for _ in range(users)]
        self.comings = list(accumulate(random.lognormvariate(0.0, 1.0) for _ in range(users)))

    def looks(self, per_stage: int = 4, requests: int = 400) -> Iterator[list[list[list[list[int]]]]]:
        """For each stage so far: canary and stable, each with answers and failures by cluster."""
        stages: list[list[list[list[int]]]] = []
        for share in self.shares:
            stages.append([[[0] * CLUSTERS for _ in range(2)] for _ in range(2)])
            for _ in range(per_stage):
                for user in self.random.choices(range(len(self.buckets)), cum_weights=self.comings, k=requests):
                    is_canary = self.buckets[user] < share
                    rate = self.rates[user] * (self.harm if is_canary else 1.0)
                    answers, failures = stages[-1][not is_canary]
                    answers[self.clusters[user]] += 1
                    failures[self.clusters[user]] += self.random.random() < rate
                yield stages


def by_users(random: Random, harm: float = 1.0, shares: tuple[float, ...] = RAMP) -> Iterator[float]:
    """The evidence of hash buckets."""
    for stages in Users(random, harm, shares).looks():
        yield log_e_of(contrast([Stratum(ArmSums(*canary), ArmSums(*stable)) for canary, stable in stages]))


def by_answers(random: Random) -> Iterator[float]:
    """The evidence if the same answers are taken for independent."""
    for stages in Users(random).looks():
        arms = ((AnswerSums(sum(arm[0]), sum(arm[1]), sum(arm[1])) for arm in stage) for stage in stages)
        yield log_e_of(contrast_of_answers([(canary, stable) for canary, stable in arms]))


def test_a_harmless_canary_of_very_different_users_alarms_as_rarely_as_promised() -> None:
    """With heavy-tailed users of very different failure rates, hash buckets cross in no more runs than alpha."""
    assert crossings(250, by_users, seed=1) <= highest_credible_rate(250)


def test_the_same_answers_taken_for_independent_alarm_too_often() -> None:
    """That is what the clusters are for; it also shows that the simulation can see an error."""
    assert crossings(100, by_answers, seed=1) > highest_credible_rate(100)


def test_a_harmful_canary_of_very_different_users_is_caught() -> None:
    """A canary that fails four times as often is found in most runs, though only 400 users come."""
    assert crossings(40, lambda random: by_users(random, harm=4.0), seed=3) >= 0.7


def test_the_same_users_in_eleven_stages_alarm_as_rarely_as_promised() -> None:
    """Eleven stages with the same users are not eleven experiments."""
    stages = tuple(0.05 * step for step in range(1, 12))

    def evidence(random: Random) -> Iterator[float]:
        return by_users(random, shares=stages)

    assert crossings(120, evidence, seed=4) <= highest_credible_rate(120)


def rare_failures(random: Random, share: float) -> Iterator[float]:
    """The evidence from independent answers, one in a hundred of which fails in both arms."""
    sums = [AnswerSums(0, 0.0, 0.0), AnswerSums(0, 0.0, 0.0)]
    for _ in range(60):
        canary = sum(random.random() < share for _ in range(40))
        for arm, n in enumerate((canary, 40 - canary)):
            failures = sum(random.random() < 0.01 for _ in range(n))
            sums[arm] += AnswerSums(n, failures, failures)
        yield log_e_of(contrast_of_answers([(sums[0], sums[1])]))


def test_rare_failures_on_a_small_arm_alarm_as_rarely_as_promised() -> None:
    """A tenth of the traffic on canary, or a tenth on stable: the arm without a failure yet is not trusted."""
    for seed, share in ((5, 0.1), (6, 0.9)):
        assert crossings(150, lambda random, share=share: rare_failures(random, share), seed) <= (
            highest_credible_rate(150)
        )


def bounded(random: Random, drop: float) -> Iterator[float]:
    """The exact evidence from scores in [0, 1] that both arms share but for a drop, and that drift."""
    state = BoundedMean()
    for look in range(60):
        share, mean = RAMP[look // 15], 0.8 - 0.005 * look
        canary, stable = [], []
        for _ in range(40):
            is_canary = random.random() < share
            score = mean - drop * is_canary
            (canary if is_canary else stable).append(random.betavariate(4.0 * score, 4.0 * (1.0 - score)))
        state = bounded_mean.advance(state, (sums_of(canary), sums_of(stable)), 0.0)
        yield state.log_e


def sums_of(scores: list[float]) -> AnswerSums:
    """The sums of some scores."""
    return AnswerSums(len(scores), sum(scores), sum(score * score for score in scores))


def test_equal_scores_that_drift_alarm_at_most_as_often_as_promised() -> None:
    """With scores that fall in both arms over the ramp, the bounded-mean test crosses in no more runs than alpha."""
    assert crossings(150, lambda random: bounded(random, 0.0), seed=7) <= highest_credible_rate(150)
    assert crossings(20, lambda random: bounded(random, 0.2), seed=8) >= 0.9


def no_worse(random: Random, excess: float) -> Iterator[float]:
    """The evidence that the canary's failure rate is less than 2 points above stable's."""
    state = NonInferiority()
    for look in range(80):
        rate = 0.01 + 0.0002 * look
        canary = sum(random.random() < 0.3 for _ in range(60))
        canary_failures = sum(random.random() < rate + excess for _ in range(canary))
        stable_failures = sum(random.random() < rate for _ in range(60 - canary))
        state = margin.advance(state, canary, canary_failures, 60 - canary, stable_failures, 0.02)
        yield state.log_e


def test_a_canary_worse_by_delta_is_found_no_worse_at_most_as_often_as_promised() -> None:
    """With rates that drift, just on the margin, the evidence crosses in no more runs than alpha; within it does."""
    assert crossings(150, lambda random: no_worse(random, 0.02), seed=9) <= highest_credible_rate(150)
    assert crossings(30, lambda random: no_worse(random, 0.0), seed=10) >= 0.8


def split(random: Random, odds: float) -> Iterator[float]:
    """The evidence that users do not split as the shares of the ramp say."""
    log_e = 0.0
    for share in RAMP:
        canary = stable = 0
        rate = share * odds / (share * odds + 1.0 - share)
        for _ in range(25):
            news = sum(random.random() < rate for _ in range(20))
            canary, stable = canary + news, stable + 20 - news
            yield log_e + log_e_sample_ratio(canary, stable, share)
        log_e += log_e_sample_ratio(canary, stable, share)


def test_users_who_split_as_they_should_alarm_at_most_as_often_as_promised() -> None:
    """Over a ramp of right splits the sample ratio crosses in no more runs than alpha; at 2:3 odds it does."""
    assert crossings(250, lambda random: split(random, 1.0), seed=11) <= highest_credible_rate(250)
    assert crossings(20, lambda random: split(random, 0.65), seed=12) >= 0.9

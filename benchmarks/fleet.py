"""A rollout as a fleet of workers has seen it: what an analysis has to merge and judge."""

from __future__ import annotations

import random
from collections import Counter

from agent_canary import (
    AgentCanary,
    Cost,
    FailureRate,
    FirstToken,
    Latency,
    MemoryStore,
    Rate,
    Rollout,
    SampleRatio,
    Score,
    Stage,
    Tokens,
)
from agent_canary.metrics.failing_units import FailingUnits
from agent_canary.metrics.run_totals import MAX_SEEN, Arms, RunTotals, SliceKey
from agent_canary.metrics.totals import Totals

STABLE, CANARY = "v1", "v2"
NAME = "support-agent"
RATES = ["thumbs_down", "refused", "tool_error"]
WATCHED = (FailureRate(), Latency(), FirstToken(0.95), Cost(), Tokens(), SampleRatio(), Score("judge"))
GUARDRAILS = len(WATCHED) + len(RATES)
METRICS = [
    *("latency_p50", "latency_p95", "latency_p99", "first_token_p95"),
    *("cost_p50", "cost_p95", "cost_p99", "tokens_p50", "tokens_p95", "tokens_p99"),
]
STAGES = [SliceKey(0, 0.01), SliceKey(1, 0.05), SliceKey(2, 0.25)]
BAD_SHARE = 0.01
USERS = 1_000_000
REQUESTS = 30_000
"""Requests of one worker. Nearly all are of different users, as where a balancer deals requests out at random."""


def guarded_rollout(shares: list[float]) -> Rollout:
    """Return a rollout with ten guardrails whose stages do not end by themselves."""
    stages = [Stage(share, min_duration_seconds=1e9) for share in shares]
    return Rollout(stages, rollback_on=[*WATCHED, *map(Rate, RATES)])


def fleet(workers: int, requests: int = REQUESTS) -> AgentCanary:
    """Return a canary in its third stage, whose store holds the totals of so many workers."""
    store = MemoryStore()
    shares = [key.share for key in STAGES]
    canary = AgentCanary(STABLE, CANARY, guarded_rollout(shares), name=NAME, store=store, autopilot=False)
    for _ in STAGES[1:]:
        canary.rollout.promote()
    chance = random.Random(0)
    population = [(chance.getrandbits(64), chance.random()) for _ in range(USERS * requests // REQUESTS)]
    visits = _Visits(population, chance)
    for number in range(workers):
        seen = visits.worker(canary.rollout.state.run, canary.clock.wall(), requests)
        store.publish(NAME, f"worker {number}", seen.copy())
    return canary


class _Visits:
    """Requests of users at random: pairs of a unit and its bucket.

    Args:
        population: All users there are.
        chance: Where randomness comes from.
    """

    def __init__(self, population: list[tuple[int, float]], chance: random.Random) -> None:
        self._population = population
        self._chance = chance
        self._amounts = [chance.lognormvariate(5.0, 1.0) for _ in range(4096)]

    def worker(self, run: int, now: float, requests: int) -> RunTotals:
        """Return what one worker has seen, spread evenly over the stages; one answer in a hundred is bad."""
        totals = RunTotals(run, watermark=now)
        for key in STAGES:
            visits = self._chance.choices(self._population, k=requests // len(STAGES))
            on_canary = sum(1 for _, bucket in visits if bucket < key.share)
            totals.keyed[key] = self._arms(len(visits) - on_canary, on_canary)
            totals.unkeyed[key] = self._arms((len(visits) - on_canary) // 10, on_canary // 10)
            for metric in ("failures", *METRICS, *RATES):
                self._count(totals, metric, key, visits)
            self._score(totals, key, visits)
            opened = now - 1000.0 + key.stage_idx
            for unit, bucket in visits:
                is_canary = bucket < key.share
                totals.first.put(unit, (opened, key.stage_idx, key.share, is_canary, False, is_canary))
        return totals

    def _count(self, totals: RunTotals, metric: str, key: SliceKey, visits: list[tuple[int, float]]) -> None:
        bad = self._chance.sample(visits, round(BAD_SHARE * len(visits)))
        for is_canary in (False, True):
            mine, mine_bad = (
                Counter(unit & 63 for unit, bucket in units if (bucket < key.share) is is_canary)
                for units in (visits, bad)
            )
            totals.clusters_of(metric, key).of(is_canary).count(mine, mine_bad)
        totals.add_failing(metric, key.share, [(unit, bucket < key.share) for unit, bucket in bad])
        if metric in RATES:
            self._see(totals, metric, key, visits)

    def _score(self, totals: RunTotals, key: SliceKey, visits: list[tuple[int, float]]) -> None:
        arms = totals.clusters_of("judge", key)
        for unit, bucket in visits:
            arms.of(bucket < key.share).add_value(unit & 63, self._chance.random())
        self._see(totals, "judge", key, visits)

    def _see(self, totals: RunTotals, name: str, key: SliceKey, visits: list[tuple[int, float]]) -> None:
        table = totals.seen.setdefault(name, FailingUnits(MAX_SEEN))
        for unit, bucket in visits[: 2 * MAX_SEEN]:
            table.put(unit, (0.0, key.share) if bucket < key.share else (key.share, None))

    def _arms(self, on_stable: int, on_canary: int) -> Arms:
        return Arms(self._totals(on_stable), self._totals(on_canary))

    def _totals(self, answers: int) -> Totals:
        failed = round(BAD_SHARE * answers)
        totals = Totals(succeeded=answers - failed, failed=failed)
        for histogram in (totals.latency, totals.first_token, totals.cost, totals.tokens):
            histogram.record_many(self._chance.choices(self._amounts, k=answers))
        return totals

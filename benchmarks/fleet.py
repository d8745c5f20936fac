"""A rollout as a fleet of workers has seen it: what an analysis has to merge and judge."""

from __future__ import annotations

import random

from agent_canary import AgentCanary, FailureRate, MemoryStore, Rate, Rollout, Stage
from agent_canary.metrics.run_totals import Arms, BinaryCounts, RunTotals, SliceKey
from agent_canary.metrics.totals import Totals

STABLE, CANARY = "v1", "v2"
NAME = "support-agent"
GUARDRAILS = 10
SCORES = [f"judge_{number}" for number in range(1, GUARDRAILS)]
STAGES = [SliceKey(0, 0.01), SliceKey(1, 0.05), SliceKey(2, 0.25)]
BAD_SHARE = 0.01
USERS = 1_000_000
REQUESTS = 30_000
"""Requests of one worker. Nearly all are of different users, as where a balancer deals requests out at random."""


def guarded_rollout(shares: list[float]) -> Rollout:
    """Return a rollout with ten guardrails whose stages do not end by themselves."""
    rates = [Rate(name, higher_is_better=True) for name in SCORES]
    stages = [Stage(share, min_duration_seconds=1e9) for share in shares]
    return Rollout(stages, rollback_on=[FailureRate(), *rates])


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
        self._latencies = [chance.lognormvariate(5.0, 1.0) for _ in range(4096)]

    def worker(self, run: int, now: float, requests: int) -> RunTotals:
        """Return what one worker has seen, spread evenly over the stages; one answer in a hundred is bad."""
        totals = RunTotals(run, watermark=now)
        for key in STAGES:
            visits = self._chance.choices(self._population, k=requests // len(STAGES))
            on_canary = sum(1 for _, bucket in visits if bucket < key.share)
            totals.keyed[key] = self._arms(len(visits) - on_canary, on_canary)
            totals.unkeyed[key] = self._arms((len(visits) - on_canary) // 10, on_canary // 10)
            self._score(totals, key, visits, on_canary)
            opened = now - 1000.0 + key.stage_idx
            for unit, bucket in visits:
                totals.first.put(unit, (opened, key.stage_idx, key.share, bucket < key.share, False))
        return totals

    def _score(self, totals: RunTotals, key: SliceKey, visits: list[tuple[int, float]], on_canary: int) -> None:
        for name in ("failures", *SCORES):
            bad = self._chance.sample(visits, round(BAD_SHARE * len(visits)))
            totals.add_failing(name, key.share, [(unit, bucket < key.share) for unit, bucket in bad])
            if name != "failures":
                bad_on_canary = sum(1 for _, bucket in bad if bucket < key.share)
                counts = totals.scored.setdefault(name, {})[key] = BinaryCounts()
                counts.add(True, on_canary, bad_on_canary)
                counts.add(False, len(visits) - on_canary, len(bad) - bad_on_canary)

    def _arms(self, on_stable: int, on_canary: int) -> Arms:
        return Arms(self._totals(on_stable), self._totals(on_canary))

    def _totals(self, answers: int) -> Totals:
        failed = round(BAD_SHARE * answers)
        totals = Totals(succeeded=answers - failed, failed=failed)
        totals.latency.record_many(self._chance.choices(self._latencies, k=answers))
        totals.first_token.record_many(self._chance.choices(self._latencies, k=answers))
        return totals

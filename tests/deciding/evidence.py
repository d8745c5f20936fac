"""Evidence in one line: what all workers have seen of a run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from agent_canary.metrics.clusters import CLUSTERS
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.run_totals import Arms, BinaryCounts, RunTotals, SliceKey
from agent_canary.metrics.totals import Totals

Counts = tuple[int, int, int, int]
"""Answers of the canary, how many of them were bad, answers of stable, how many of them were bad."""

Slices = Mapping[tuple[int, float], Counts]
"""By stage index and traffic share."""


def seen(
    keyed: Slices | None = None,
    unkeyed: Slices | None = None,
    *,
    scored: Mapping[str, Slices] | None = None,
    failing: Mapping[str, Iterable[tuple[int, float, bool]]] | None = None,
    watermark: float = 1e9,
) -> RunTotals:
    """Return totals; *failing* are (unit, share, on the canary) by outcome."""
    totals = RunTotals(1, watermark)
    totals.keyed = {SliceKey(*key): arms(counts) for key, counts in (keyed or {}).items()}
    totals.unkeyed = {SliceKey(*key): arms(counts) for key, counts in (unkeyed or {}).items()}
    for name, slices in (scored or {}).items():
        for key, counts in slices.items():
            spread(totals, name, SliceKey(*key), counts)
    for name, units in (failing or {}).items():
        for unit, share, on_canary in units:
            totals.add_failing(name, share, [(unit, on_canary)])
    return totals


def spread(totals: RunTotals, metric: str, key: SliceKey, counts: Counts) -> None:
    """Add answers of as many users as there are clusters, who all do the same."""
    canary, canary_bad, stable, stable_bad = counts
    both = totals.clusters_of(metric, key)
    both.canary.count(_evenly(canary), _evenly(canary_bad))
    both.stable.count(_evenly(stable), _evenly(stable_bad))


def _evenly(number: int) -> Counter[int]:
    return Counter(index % CLUSTERS for index in range(number))


def of_all(*parts: RunTotals) -> Evidence:
    """Return what an analysis sees of the totals of workers."""
    return Evidence(parts, 1)


def arms(counts: Counts) -> Arms:
    """Return the totals of both versions."""
    canary, canary_bad, stable, stable_bad = counts
    return Arms(
        stable=Totals(succeeded=stable - stable_bad, failed=stable_bad),
        canary=Totals(succeeded=canary - canary_bad, failed=canary_bad),
    )


def users(
    share: float,
    count: int,
    requests: Callable[[bool], int],
    failure_rate: Callable[[bool], float],
    *,
    stage: int = 0,
    seed: int = 0,
    first_at: float | None = None,
) -> RunTotals:
    """Return what *count* users do at one traffic share.

    Args:
        share: Traffic share.
        count: How many users there are.
        requests: How many requests a user makes, by whether it is on the canary.
        failure_rate: The probability that one of them fails, by whether it is on the canary.
        stage: The stage's index.
        seed: Of the draws.
        first_at: When first requests were assigned, wall seconds; None to note no first outcomes.
    """
    draw = random.Random(seed)
    totals = RunTotals(1, watermark=1e9)
    slices = BinaryCounts()
    both = totals.clusters_of("failures", SliceKey(stage, share))
    for unit in range(count):
        on_canary = draw.random() < share
        outcomes = [draw.random() < failure_rate(on_canary) for _ in range(requests(on_canary))]
        slices.add(on_canary, len(outcomes), sum(outcomes))
        cluster = unit * 37 % CLUSTERS
        both.of(on_canary).count(Counter({cluster: len(outcomes)}), Counter({cluster: sum(outcomes)}))
        if any(outcomes):
            totals.add_failing("failures", share, [(unit, on_canary)])
        if first_at is not None:
            totals.first.put(unit, (first_at, stage, share, on_canary, outcomes[0], on_canary))
    counts = (slices.canary_total, slices.canary_bad, slices.stable_total, slices.stable_bad)
    totals.keyed[SliceKey(stage, share)] = arms(counts)
    return totals

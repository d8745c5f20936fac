"""Run totals as a worker may have them, and what a store and a reader make of them."""

from __future__ import annotations

import json
import math
from typing import TypeVar

from hypothesis import strategies as st

from agent_canary.metrics import Histogram
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey
from agent_canary.metrics.clusters import CLUSTERS, ArmClusters, ClusterSums
from agent_canary.metrics.failing_units import FailingUnits
from agent_canary.metrics.run_totals import MAX_SEEN, RunTotals
from agent_canary.metrics.totals import ScoreSums, Totals

V = TypeVar("V")

SHARE = st.sampled_from([0.01, 0.05, 0.25, 0.5, 1.0])
KEY = st.builds(SliceKey, st.integers(0, 4), SHARE)
COUNT = st.integers(0, 1000)
# Sums of such numbers are exact, so that no order of adding them shows.
EIGHTH = st.integers(-800, 800).map(lambda number: number / 8)
UNIT = st.integers(0, 2**64 - 1)
NAME = st.sampled_from(["failures", "thumbs_up", "größer"])
TOTALS = st.builds(
    Totals,
    succeeded=COUNT,
    failed=COUNT,
    cancelled=COUNT,
    latency=st.sampled_from([[], [0.0], [1.0, 250.0, 7000.0]]).map(Histogram),
    cost_usd=st.integers(0, 1000).map(float),
    cost=st.sampled_from([[], [250.0, 1000.0]]).map(Histogram),
    tokens=st.sampled_from([[], [3.0]]).map(Histogram),
    scores=st.dictionaries(st.sampled_from(["judge"]), st.builds(ScoreSums, COUNT, EIGHTH, COUNT.map(float))),
)
ARMS = st.builds(Arms, TOTALS, TOTALS)
FAILING = st.lists(st.tuples(SHARE, UNIT, st.booleans()), max_size=4)
FIRST = st.lists(
    st.tuples(UNIT, st.tuples(st.floats(0, 1e10), st.integers(0, 4), SHARE, *[st.booleans()] * 3)), max_size=4
)


@st.composite
def binary_counts(draw: st.DrawFn) -> BinaryCounts:
    """Counts with at most as many bad outcomes as outcomes."""
    canary, stable = draw(COUNT), draw(COUNT)
    return BinaryCounts(canary, draw(st.integers(0, canary)), stable, draw(st.integers(0, stable)))


@st.composite
def cluster_sums(draw: st.DrawFn) -> ClusterSums:
    """Sums of 0/1 outcomes, of real values, with covariates or without, or of nothing."""
    sums, cluster = ClusterSums(), st.integers(0, CLUSTERS - 1)
    bad = draw(st.dictionaries(cluster, COUNT, max_size=2))
    sums.count({each: number + draw(COUNT) for each, number in bad.items()}, bad)
    for each in draw(st.lists(cluster, max_size=2)):
        sums.add_value(each, draw(EIGHTH), draw(st.none() | EIGHTH))
    return sums


ARM_CLUSTERS = st.builds(ArmClusters, cluster_sums(), cluster_sums())


def by_slice(values: st.SearchStrategy[V]) -> st.SearchStrategy[dict[str, dict[SliceKey, V]]]:
    """Something of a few metrics in a few slices."""
    return st.dictionaries(NAME, st.dictionaries(KEY, values, min_size=1, max_size=2), max_size=2)


@st.composite
def run_totals(draw: st.DrawFn, run: int = 3) -> RunTotals:
    """What a worker may have seen."""
    totals = RunTotals(run, draw(st.floats(0, 1e10) | st.just(math.inf)))
    totals.keyed = draw(st.dictionaries(KEY, ARMS, max_size=2))
    totals.unkeyed = draw(st.dictionaries(KEY, ARMS, max_size=1))
    totals.unkeyed_counts = draw(by_slice(binary_counts()))
    totals.clusters = draw(by_slice(ARM_CLUSTERS))
    for name, failures in draw(st.dictionaries(NAME, FAILING, max_size=2)).items():
        for share, unit, is_canary in failures:
            totals.add_failing(name, share, [(unit, is_canary)])
    for name, scored in draw(st.dictionaries(NAME, FAILING, max_size=2)).items():
        table = FailingUnits(MAX_SEEN)
        for share, unit, is_canary in scored:
            table.put(unit, (0.0, share) if is_canary else (share, None))
        totals.merge_seen(name, table)
    for unit, outcome in draw(FIRST):
        totals.first.put(unit, outcome)
    return totals


WORKERS = run_totals()


def through_text(totals: RunTotals) -> RunTotals:
    """What a store gives back."""
    return RunTotals.from_json(json.loads(json.dumps(totals.to_json(), allow_nan=False)))


def union(*parts: RunTotals) -> RunTotals:
    """All parts merged."""
    total = RunTotals(parts[0].run, math.inf)
    for part in parts:
        total.merge(part)
    return total

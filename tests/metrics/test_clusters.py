"""Sums over clusters: they are sums, whatever the workers, and only what is needed is kept."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary.metrics.clusters import CLUSTERS, ArmClusters, ClusterSums, counts_of
from agent_canary.metrics.columns import counts_to_text, seconds_to_text

CLUSTER = st.integers(0, CLUSTERS - 1)
# Whole numbers, of which sums are exact in any order.
VALUE = st.integers(-1000, 1000).map(float)
RATES = st.lists(st.tuples(CLUSTER, st.booleans()), max_size=30)
VALUES = st.lists(st.tuples(CLUSTER, VALUE, st.none() | VALUE), max_size=30)
few = settings(max_examples=40, deadline=None)


def of_rates(outcomes: list[tuple[int, bool]]) -> ClusterSums:
    """Sums of 0/1 outcomes, True the bad ones; none at all when there are none."""
    sums = ClusterSums()
    if outcomes:
        sums.count(Counter(cluster for cluster, _ in outcomes), Counter(cluster for cluster, bad in outcomes if bad))
    return sums


def of_values(values: list[tuple[int, float, float | None]]) -> ClusterSums:
    """Sums of real values, some with a covariate."""
    sums = ClusterSums()
    for cluster, value, covariate in values:
        sums.add_value(cluster, value, covariate)
    return sums


ANY = st.one_of(RATES.map(of_rates), VALUES.map(of_values))


def union(*parts: ClusterSums) -> ClusterSums:
    """All parts merged, one after the other."""
    total = ClusterSums()
    for part in parts:
        total.merge(part)
    return total


def through_text(data: object) -> Any:
    """What a store gives back."""
    return json.loads(json.dumps(data, allow_nan=False))


@few
@given(RATES)
def test_rates_are_counted_by_cluster(outcomes: list[tuple[int, bool]]) -> None:
    """Answers and bad ones; the squares of 0/1 outcomes are the outcomes, and take no memory."""
    sums = of_rates(outcomes)
    for cluster in range(CLUSTERS):
        mine = [bad for each, bad in outcomes if each == cluster]
        assert (sums.n[cluster], sums.y[cluster]) == (len(mine), sum(mine))
    assert (sums.yy, sums.m, sums.x) == (None, None, None)
    assert (sums.answers, sums.total, sums.squares) == (len(outcomes),) + 2 * (sum(bad for _, bad in outcomes),)


@few
@given(VALUES)
def test_values_are_summed_by_cluster(values: list[tuple[int, float, float | None]]) -> None:
    """With their squares, and with the covariates of the answers that have one."""
    sums = of_values(values)
    for cluster in range(CLUSTERS):
        mine = [value for each, value, _ in values if each == cluster]
        known = [covariate for each, _, covariate in values if each == cluster and covariate is not None]
        assert (sums.n[cluster], sums.y[cluster]) == (len(mine), sum(mine))
        assert sums.yy is None or sums.yy[cluster] == sum(value * value for value in mine)
        if sums.m is not None and sums.x is not None:
            assert (sums.m[cluster], sums.x[cluster]) == (len(known), sum(known))
        else:
            assert known == []
    assert (sums.yy is None) is (not values)
    assert (sums.answers, sums.total) == (len(values), sum(value for _, value, _ in values))
    assert sums.squares == sum(value * value for _, value, _ in values)


def test_what_no_answer_needed_is_not_kept() -> None:
    """Squares where values are real, covariates where one is known, and of nothing everything is 0."""
    sums = ClusterSums()
    assert (list(sums.n), list(sums.y)) == ([0] * CLUSTERS, [0] * CLUSTERS)
    assert (sums.answers, sums.total, sums.squares) == (0, 0, 0)
    sums.count(Counter(), Counter())
    assert (sums.yy, sums.m, sums.x) == (None, None, None)
    sums.add_value(3, 0.5)
    assert sums.yy is not None
    assert (sums.m, sums.x) == (None, None)
    sums.add_value(3, 0.5, 0.25)
    assert sums.m is not None
    assert list(sums.m) == [1 if cluster == 3 else 0 for cluster in range(CLUSTERS)]


@few
@given(RATES)
def test_clusters_are_counted_side_by_side(outcomes: list[tuple[int, bool]]) -> None:
    """What was counted once may be added to several sums."""
    sums, answers = ClusterSums(), bytes(cluster for cluster, _ in outcomes)
    sums.add_counts(counts_of(answers), counts_of(cluster for cluster, bad in outcomes if bad))
    assert sums == of_rates(outcomes)


def test_counts_do_not_run_over() -> None:
    """A thousand million million answers of one cluster are none of its neighbour's."""
    sums = ClusterSums()
    for _ in range(2):
        sums.count({0: 10**15, 63: 1}, {0: 10**15})
    assert (sums.n[0], sums.n[1], sums.n[63], sums.y[0], sums.y[1]) == (2 * 10**15, 0, 2, 2 * 10**15, 0)
    assert ClusterSums.from_json(through_text(sums.to_json())) == sums


@few
@given(RATES, RATES)
def test_bad_outcomes_among_other_answers(bad: list[tuple[int, bool]], answers: list[tuple[int, bool]]) -> None:
    """The same bad ones, out of all answers; of no fewer than there were bad ones."""
    scored, whole = of_rates(bad), of_rates(answers)
    kept, among = whole.copy(), scored.among(whole)
    assert list(among.y) == list(scored.y)
    assert list(among.n) == [max(pair) for pair in zip(whole.n, scored.y, strict=True)]
    assert ArmClusters(scored, whole).among(ArmClusters(whole, scored)) == ArmClusters(among, whole.among(scored))
    assert whole == kept


@few
@given(ANY, ANY, ANY)
def test_sums_merge_in_any_order(one: ClusterSums, two: ClusterSums, three: ClusterSums) -> None:
    """Commutative and associative, also where some know covariates and others do not."""
    assert union(one, two, three) == union(three, one, two) == union(one, union(two, three))


@few
@given(VALUES, st.integers(1, 4), st.randoms(use_true_random=False))
def test_how_answers_were_spread_over_workers_changes_nothing(
    values: list[tuple[int, float, float | None]], workers: int, chance: random.Random
) -> None:
    """One worker that saw all is the union of several that saw some, in any order."""
    shuffled = values.copy()
    chance.shuffle(shuffled)
    parts = [of_values(shuffled[first::workers]) for first in range(workers)]
    assert ClusterSums.united(parts) == union(*parts) == of_values(values)


@few
@given(st.lists(ANY, min_size=1, max_size=5))
def test_all_at_once_is_one_by_one(parts: list[ClusterSums]) -> None:
    """The quick sum of many workers is the slow one, and changes none of them."""
    kept = [part.copy() for part in parts]
    assert ClusterSums.united(parts) == union(*parts)
    assert parts == kept


@few
@given(RATES, VALUES)
def test_squares_of_counted_outcomes_are_known_when_values_follow(
    outcomes: list[tuple[int, bool]], values: list[tuple[int, float, float | None]]
) -> None:
    """A rate's sums widen into those of values without a loss."""
    total = union(of_rates(outcomes), of_values(values))
    assert total.squares == sum(bad for _, bad in outcomes) + sum(value * value for _, value, _ in values)
    assert sum(total.y) == total.total == sum(bad for _, bad in outcomes) + sum(value for _, value, _ in values)


@few
@given(ANY)
def test_json_brings_everything_back(sums: ClusterSums) -> None:
    """To the last bit."""
    assert ClusterSums.from_json(through_text(sums.to_json())) == sums
    arms = ArmClusters(sums, of_rates([(0, True)]))
    assert ArmClusters.from_json(through_text(arms.to_json())) == arms


def test_counts_take_few_bytes() -> None:
    """A worker has hundreds of such sums, of which a hundred workers' are read at each analysis."""
    sums = of_rates([(cluster, cluster == 5) for cluster in range(CLUSTERS)])
    assert list(map(len, sums.to_json())) == [88, 88, 0]


def test_every_bit_survives_json() -> None:
    """Sums of values that no decimal text of usual length would keep."""
    sums = of_values([(5, 0.1, 1e-300), (5, 1 / 3, math.pi)])
    restored = ClusterSums.from_json(through_text(sums.to_json()))
    assert (restored.y, restored.yy, restored.x) == (sums.y, sums.yy, sums.x)


COUNTS, NOTHING = counts_to_text([1] * CLUSTERS), counts_to_text([0] * CLUSTERS)
COLUMN = seconds_to_text([1.0] * CLUSTERS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "clusters must be a list"),
        ({}, "clusters must be a list"),
        ([], "clusters must have 3, 5 or 6 columns of 64 numbers, got 0"),
        ([COUNTS] * 4, "clusters must have 3, 5 or 6 columns of 64 numbers, got 4"),
        ([COUNTS, COUNTS, counts_to_text([1] * 63)], "counts by cluster must be base64 of 64 counts"),
        ([COUNTS, counts_to_text([1] * 63 + [2]), NOTHING], "clusters must not hold more bad or covered answers"),
        ([COUNTS, NOTHING, counts_to_text([0, 2] + [0] * 62)], "clusters must not hold more bad or covered answers"),
        ([COUNTS, COUNTS, COUNTS, COLUMN, seconds_to_text([1.0] * 65)], "columns of 64 numbers"),
        ([COUNTS, COUNTS, COUNTS, COLUMN, COLUMN], "clusters with covariates must have their sums as the sixth column"),
        ([COUNTS, "?", COUNTS], "counts by cluster must be base64"),
        ([COUNTS, COUNTS, COUNTS, 7, COLUMN], "sums by cluster must be base64"),
        (
            [COUNTS, COUNTS, NOTHING, COLUMN, seconds_to_text([math.nan] * CLUSTERS)],
            "clusters must hold finite numbers",
        ),
        (
            [COUNTS, COUNTS, NOTHING, seconds_to_text([math.inf] * CLUSTERS), COLUMN],
            "clusters must hold finite numbers",
        ),
    ],
)
def test_json_that_is_not_ours_is_refused(data: Any, message: str) -> None:
    """What an analysis could not take is found when it is read."""
    with pytest.raises(ValueError, match=message):
        ClusterSums.from_json(data)
    with pytest.raises(ValueError, match=message):
        ArmClusters.from_json({"stable": ClusterSums().to_json(), "canary": data})


def test_arms_lack_no_part() -> None:
    """Both are read."""
    with pytest.raises(ValueError, match="data must be an object with 'canary'"):
        ArmClusters.from_json({"stable": ClusterSums().to_json()})


@few
@given(ANY, ANY)
def test_a_copy_is_independent(one: ClusterSums, other: ClusterSums) -> None:
    """Nothing of it is shared, nor of what was merged into another."""
    arms = ArmClusters(one, other)
    kept = ArmClusters.from_json(arms.to_json())
    twin, total = arms.copy(), ArmClusters()
    total.merge(arms)
    assert twin == total == arms
    for changed in (twin, total):
        changed.stable.add_value(1, 0.5, 0.5)
        changed.of(is_canary=True).count(Counter({1: 1}), Counter({1: 1}))
    assert arms == kept


def test_arms_are_told_apart() -> None:
    """True is the canary."""
    arms = ArmClusters()
    assert arms.of(is_canary=True) is arms.canary
    assert arms.of(is_canary=False) is arms.stable
    assert arms != "arms"
    assert arms.canary != "sums"

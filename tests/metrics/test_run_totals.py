"""Run totals: what a worker has seen of a run, merged over workers, copied, and kept as JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings

from agent_canary.metrics import Outcome
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey
from agent_canary.metrics.clusters import ArmClusters
from agent_canary.metrics.columns import units_to_text
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.failing_units import FailingUnits
from agent_canary.metrics.run_totals import MAX_SEEN, RunTotals
from agent_canary.metrics.totals import Totals
from agent_canary.metrics.units import first_outcomes
from tests.metrics.totals_kit import WORKERS, through_text, union

few = settings(max_examples=30)


@dataclass
class Request:
    """What a request tells of its unit's first outcome."""

    unit: int
    started_at: float
    outcome: Outcome | None
    stage_idx: int = 1
    traffic_share: float = 0.05


@few
@given(WORKERS)
def test_json_brings_everything_back(totals: RunTotals) -> None:
    """Through the text and back it is equal, an infinite watermark included."""
    assert through_text(totals) == totals


@few
@given(WORKERS, WORKERS)
def test_what_came_from_json_merges_on(one: RunTotals, other: RunTotals) -> None:
    """Merging after the round trip is merging before it, in either order."""
    assert union(through_text(one), through_text(other)) == union(one, other)
    total = through_text(one)
    total.merge(other)
    assert total == union(one, other)


@few
@given(WORKERS, WORKERS, WORKERS)
def test_workers_merge_in_any_order(one: RunTotals, two: RunTotals, three: RunTotals) -> None:
    """Neither order nor grouping matters."""
    assert union(one, two, three) == union(three, union(two, one))


@few
@given(WORKERS, WORKERS)
def test_merging_leaves_the_other_as_it_was(one: RunTotals, other: RunTotals) -> None:
    """Nothing is shared with what was merged: a store keeps the object."""
    kept = through_text(other)
    total = union(one, other)
    touch(total)
    assert other == kept


@few
@given(WORKERS)
def test_a_copy_is_independent(totals: RunTotals) -> None:
    """Nothing of it is shared."""
    kept = through_text(totals)
    twin = totals.copy()
    assert twin == totals
    touch(twin)
    assert totals == kept


def touch(totals: RunTotals) -> None:
    """Change every part of totals in place."""
    for slices in (totals.keyed, totals.unkeyed):
        for arms in slices.values():
            arms.stable.succeeded += 1
            arms.canary.latency.record_many([1.0])
        slices[SliceKey(9, 0.5)] = Arms()
    for by_slice in totals.unkeyed_counts.values():
        for counts in by_slice.values():
            counts.add(True, 1, 1)
        by_slice[SliceKey(9, 0.5)] = BinaryCounts()
    for sums in totals.clusters.values():
        for arm_clusters in sums.values():
            arm_clusters.stable.add_value(1, 0.5, 0.5)
            arm_clusters.canary.count({2: 2}, {2: 1})
        sums[SliceKey(9, 0.5)] = ArmClusters()
    for table in (*totals.failing.values(), *totals.seen.values()):
        table.put(0, (0.9, 0.001))
    totals.unkeyed_counts["new"] = totals.clusters["new"] = {}
    totals.failing["new"] = totals.seen["new"] = FailingUnits()
    totals.first.put(0, (-1.0, 0, 0.5, True, True, True))


def test_the_watermark_is_the_earliest() -> None:
    """What one worker may still have open is open."""
    assert union(RunTotals(3, 20.0), RunTotals(3, 10.0), RunTotals(3, 30.0)).watermark == 10.0


def test_failing_units_are_noted_by_arm_and_share() -> None:
    """On stable the largest share counts, on the canary the smallest, by name of the outcome."""
    totals = RunTotals(1)
    totals.add_failing("failures", 0.05, [(1, True), (2, False)])
    totals.add_failing("failures", 0.25, [(1, True), (2, False), (2, True)])
    totals.add_failing("thumbs_up", 0.5, [(1, False)])
    assert dict(totals.failing["failures"].items()) == {1: (0.0, 0.05), 2: (0.25, 0.25)}
    assert dict(totals.failing["thumbs_up"].items()) == {1: (0.5, None)}
    assert "unknown" not in totals.failing


def add(totals: RunTotals, requests: list[Request], is_canary: bool = True, offset: float = 0.0) -> list[Request]:
    """Note requests of one arm; return those that were their unit's first."""
    return totals.add_first_outcomes(requests, [request.unit for request in requests], is_canary, offset)


def test_the_first_outcome_of_each_unit_is_kept() -> None:
    """By time of assignment, not of arrival; without an outcome it has timed out."""
    totals = RunTotals(1)
    requests = [
        Request(7, 20.0, Outcome.SUCCEEDED),
        Request(7, 10.0, Outcome.FAILED),
        Request(7, 15.0, Outcome.SUCCEEDED),
        Request(9, 10.0, Outcome.SUCCEEDED),
    ]
    assert add(totals, requests) == [requests[0], requests[3]]
    stable = Request(8, 10.0, None)
    assert add(totals, [stable], is_canary=False) == [stable]
    assert add(totals, [Request(8, 30.0, Outcome.SUCCEEDED)], is_canary=False, offset=5.0) == []
    assert add(totals, [Request(9, -5.0, None)], offset=5.0) == []
    assert dict(totals.first.items()) == {
        7: (10.0, 1, 0.05, True, True, True),
        8: (10.0, 1, 0.05, False, True, False),
        9: (0.0, 1, 0.05, True, True, True),
    }


def test_a_unit_that_meets_the_canary_later_has_met_it() -> None:
    """Its first outcome stays stable's; on which arm it came first is another question."""
    totals = RunTotals(1)
    add(totals, [Request(7, 10.0, Outcome.SUCCEEDED), Request(8, 10.0, Outcome.FAILED)], is_canary=False)
    add(totals, [Request(7, 20.0, Outcome.FAILED), Request(7, 30.0, Outcome.SUCCEEDED)])
    add(totals, [Request(7, 40.0, Outcome.FAILED)], is_canary=False)
    assert totals.first.get(7) == (10.0, 1, 0.05, False, False, True)
    assert totals.first.get(8) == (10.0, 1, 0.05, False, True, False)
    assert Evidence([totals], 1).users() == (2, 1)


def test_first_outcomes_are_sampled_when_there_are_many() -> None:
    """Within one call, too, the table is the one that putting each unit would make."""
    totals, expected = RunTotals(1), first_outcomes()
    requests = [Request((number * 0x9E3779B97F4A7C15) % 2**64, 1.0, Outcome.SUCCEEDED) for number in range(20_000)]
    news = add(totals, requests)
    for request in requests:
        expected.put(request.unit, (1.0, 1, 0.05, True, False, True))
    assert totals.first == expected
    assert totals.first.level >= 2
    assert {request.unit for request in news} >= set(totals.first)
    assert add(totals, requests) == []


def test_who_is_new_does_not_depend_on_what_is_noted_together() -> None:
    """Also where the sample is cut among them: in one call, the same are new as one by one, each of them once."""
    at_once, one_by_one = RunTotals(1), RunTotals(1)
    requests = [
        Request((number // 2 * 0x9E3779B97F4A7C15) % 2**64, 1.0 + number, Outcome.SUCCEEDED) for number in range(20_000)
    ]
    expected = [request for request in requests if add(one_by_one, [request])]
    assert add(at_once, requests) == expected
    assert at_once.first == one_by_one.first
    assert len(expected) == len({request.unit for request in expected}) < 10_000


def example_totals() -> RunTotals:
    """Totals with something in every part."""
    totals, key = RunTotals(2, 100.0), SliceKey(1, 0.05)
    totals.keyed[key] = totals.unkeyed[key] = Arms(Totals(succeeded=9), Totals(failed=2))
    totals.unkeyed_counts["latency_p95"] = {key: BinaryCounts(4, 1, 5, 0)}
    totals.clusters_of("failures", key).canary.count({0: 3}, {0: 1})
    totals.add_failing("failures", 0.05, [(1, True)])
    seen = FailingUnits(MAX_SEEN)
    seen.put(2, (0.05, None))
    totals.merge_seen("judge", seen)
    totals.first.put(1, (99.5, 1, 0.05, True, True, True))
    return totals


def test_the_json_is_of_plain_types() -> None:
    """The format is written down here: a store of another release reads it."""
    arms = Arms(Totals(succeeded=9), Totals(failed=2)).to_json()
    clusters = example_totals().clusters["failures"][SliceKey(1, 0.05)].to_json()
    assert example_totals().to_json() == {
        "format": 2,
        "run": 2,
        "watermark": 100.0,
        "keyed": [[1, 0.05, arms]],
        "unkeyed": [[1, 0.05, arms]],
        "unkeyed_counts": {"latency_p95": [[1, 0.05, [4, 1, 5, 0]]]},
        "clusters": {"failures": [[1, 0.05, clusters]]},
        "failing": {"failures": {"level": 0, "groups": [[0.0, 0.05, "AQAAAAAAAAA="]]}},
        "seen": {"judge": {"level": 0, "groups": [[0.05, None, "AgAAAAAAAAA="]]}},
        "first": {"level": 0, "groups": [[1, 0.05, True, True, True, "AQAAAAAAAAA=", "AAAAAADgWEA="]]},
    }


MANY = units_to_text(range(MAX_SEEN + 1))


def with_(**parts: Any) -> Callable[[dict[str, Any]], object]:
    """Replace parts."""
    return lambda data: {**data, **parts}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *[
            (lambda data, part=part: {name: value for name, value in data.items() if name != part}, f"with '{part}'")
            for part in example_totals().to_json()
        ],
        (with_(format=1), "format of run totals must be 2, got 1"),
        (with_(run=-1), "run must be an integer >= 0, got -1"),
        (with_(watermark=-1.0), "watermark must be a finite number >= 0"),
        (with_(watermark=math.nan), "watermark must be a finite number >= 0"),
        (with_(watermark="now"), "watermark must be a finite number >= 0"),
        (with_(keyed={}), "keyed must be a list"),
        (with_(keyed=[[1, 0.05]]), r"a slice must be \[stage_idx, share, contents\]"),
        (with_(keyed=[[1, 1.05, {}]]), r"share must be a number in \[0, 1\]"),
        (with_(keyed=[[1, 0.05, {}]]), "data must be an object with 'stable'"),
        (with_(keyed=[[1, 0.05, Arms().to_json()], [1, 0.05, Arms().to_json()]]), "keyed must have each slice once"),
        (with_(unkeyed=None), "unkeyed must be a list"),
        (with_(unkeyed_counts=[]), "unkeyed_counts must be an object"),
        (with_(unkeyed_counts={"latency_p95": [[1, 0.05, [1, 2, 3, 4]]]}), "more bad outcomes than outcomes"),
        (with_(clusters=[]), "clusters must be an object"),
        (with_(clusters={"failures": {}}), "failures must be a list"),
        (with_(clusters={"failures": [[1, 0.05, {"stable": []}]]}), "clusters must have 3, 5 or 6 columns"),
        (with_(seen=None), "seen must be an object"),
        (with_(seen={"judge": {"level": 0, "groups": [[0.5, None, MANY]]}}), "at most 512 units"),
        (with_(failing=[]), "failing must be an object"),
        (with_(failing={"failures": {}}), "data must be an object with 'groups'"),
        (with_(first=None), "data must be an object with 'groups'"),
    ],
)
def test_json_that_is_not_ours_is_refused(damage: Callable[[dict[str, Any]], object], message: str) -> None:
    """The error says which part, and what it should be."""
    data = example_totals().to_json()
    assert RunTotals.from_json(data) == example_totals()
    with pytest.raises(ValueError, match=message):
        RunTotals.from_json(damage(data))


def test_a_full_workers_totals_are_read_in_a_few_milliseconds() -> None:
    """Two full tables of 4,096 units: every analysis reads this of each worker."""
    totals = RunTotals(1)
    for number in range(4096):
        unit = (number * 0x9E3779B97F4A7C15) % 2**64
        totals.add_failing("failures", 0.05, [(unit, number % 3 == 0)])
        outcome = number % 20 == 0, number % 50 == 0, number % 20 == 0
        totals.first.put(unit, (1.7e9 + number, 1, 0.05, *outcome))
    text = json.dumps(totals.to_json())
    fastest = min(timed(lambda: RunTotals.from_json(json.loads(text))) for _ in range(5))
    assert len(text) < 140_000
    assert fastest < 0.05, "a wide margin over the 2 ms that it takes: only a slower kind of algorithm fails"


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun

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
from hypothesis import strategies as st

from agent_canary.metrics import Histogram, Outcome
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey
from agent_canary.metrics.failing_units import FailingUnits
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.metrics.totals import Totals
from agent_canary.metrics.units import first_outcomes

SHARE = st.sampled_from([0.01, 0.05, 0.25, 0.5, 1.0])
KEY = st.builds(SliceKey, st.integers(0, 4), SHARE)
COUNT = st.integers(0, 1000)
UNIT = st.integers(0, 2**64 - 1)
NAME = st.sampled_from(["failures", "thumbs_up", "größer"])
TOTALS = st.builds(
    Totals,
    succeeded=COUNT,
    failed=COUNT,
    cancelled=COUNT,
    latency=st.sampled_from([[], [0.0], [1.0, 250.0, 7000.0]]).map(Histogram),
    cost_usd=st.integers(0, 1000).map(float),
)
ARMS = st.builds(Arms, TOTALS, TOTALS)
FAILING = st.lists(st.tuples(SHARE, UNIT, st.booleans()), max_size=4)
FIRST = st.lists(
    st.tuples(UNIT, st.tuples(st.floats(0, 1e10), st.integers(0, 4), SHARE, st.booleans(), st.booleans())), max_size=4
)


@st.composite
def binary_counts(draw: st.DrawFn) -> BinaryCounts:
    """Counts with at most as many bad outcomes as outcomes."""
    canary, stable = draw(COUNT), draw(COUNT)
    return BinaryCounts(canary, draw(st.integers(0, canary)), stable, draw(st.integers(0, stable)))


@st.composite
def run_totals(draw: st.DrawFn, run: int = 3) -> RunTotals:
    """What a worker may have seen."""
    totals = RunTotals(run, draw(st.floats(0, 1e10) | st.just(math.inf)))
    totals.keyed = draw(st.dictionaries(KEY, ARMS, max_size=2))
    totals.unkeyed = draw(st.dictionaries(KEY, ARMS, max_size=1))
    totals.scored = draw(st.dictionaries(NAME, st.dictionaries(KEY, binary_counts(), max_size=2), max_size=2))
    for name, failures in draw(st.dictionaries(NAME, FAILING, max_size=2)).items():
        for share, unit, is_canary in failures:
            totals.add_failing(name, share, [(unit, is_canary)])
    for unit, outcome in draw(FIRST):
        totals.first.put(unit, outcome)
    return totals


WORKERS = run_totals()
few = settings(max_examples=30, deadline=None)


@dataclass
class Request:
    """What a request tells of its unit's first outcome."""

    unit: int | None
    started_at: float
    outcome: Outcome | None
    is_canary: bool = True
    stage_idx: int = 1
    traffic_share: float = 0.05

    @property
    def digest(self) -> bytes | None:
        return None if self.unit is None else bytes(8) + self.unit.to_bytes(8, "big")


def through_text(totals: RunTotals) -> RunTotals:
    """What a store gives back."""
    return RunTotals.from_json(json.loads(json.dumps(totals.to_json(), allow_nan=False)))


def union(*parts: RunTotals) -> RunTotals:
    """All parts merged."""
    total = RunTotals(parts[0].run, math.inf)
    for part in parts:
        total.merge(part)
    return total


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
    for scored in totals.scored.values():
        for counts in scored.values():
            counts.add(True, 1, 1)
        scored[SliceKey(9, 0.5)] = BinaryCounts()
    for table in totals.failing.values():
        table.put(0, (0.9, 0.001))
    totals.scored["new"] = {}
    totals.failing["new"] = FailingUnits()
    totals.first.put(0, (-1.0, 0, 0.5, True, True))


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


def test_the_first_outcome_of_each_unit_is_kept() -> None:
    """By time of assignment, not of arrival; without an outcome it has timed out; without a key there is no unit."""
    totals = RunTotals(1)
    totals.add_first_outcomes(
        [
            Request(7, 20.0, Outcome.SUCCEEDED),
            Request(7, 10.0, Outcome.FAILED),
            Request(7, 15.0, Outcome.SUCCEEDED),
            Request(8, 10.0, None, is_canary=False),
            Request(None, 1.0, Outcome.FAILED),
            Request(9, 10.0, Outcome.SUCCEEDED),
        ],
        0.0,
    )
    totals.add_first_outcomes([Request(8, 30.0, Outcome.SUCCEEDED, is_canary=False), Request(9, -5.0, None)], 5.0)
    assert dict(totals.first.items()) == {
        7: (10.0, 1, 0.05, True, True),
        8: (10.0, 1, 0.05, False, True),
        9: (0.0, 1, 0.05, True, True),
    }


def test_first_outcomes_are_sampled_when_there_are_many() -> None:
    """Within one call, too, the table is the one that putting each unit would make."""
    totals, expected = RunTotals(1), first_outcomes()
    requests = [Request((number * 0x9E3779B97F4A7C15) % 2**64, 1.0, Outcome.SUCCEEDED) for number in range(20_000)]
    totals.add_first_outcomes(requests, 0.0)
    for request in requests:
        expected.put(request.unit or 0, (1.0, 1, 0.05, True, False))
    assert totals.first == expected
    assert totals.first.level >= 2


def example_totals() -> RunTotals:
    """Totals with something in every part."""
    totals, key = RunTotals(2, 100.0), SliceKey(1, 0.05)
    totals.keyed[key] = totals.unkeyed[key] = Arms(Totals(succeeded=9), Totals(failed=2))
    totals.scored["judge"] = {key: BinaryCounts(4, 1, 5, 0)}
    totals.add_failing("failures", 0.05, [(1, True)])
    totals.first.put(1, (99.5, 1, 0.05, True, True))
    return totals


def test_the_json_is_of_plain_types() -> None:
    """The format is written down here: a store of another release reads it."""
    arms = Arms(Totals(succeeded=9), Totals(failed=2)).to_json()
    assert example_totals().to_json() == {
        "format": 1,
        "run": 2,
        "watermark": 100.0,
        "keyed": [[1, 0.05, arms]],
        "unkeyed": [[1, 0.05, arms]],
        "scored": {"judge": [[1, 0.05, [4, 1, 5, 0]]]},
        "failing": {"failures": {"level": 0, "groups": [[0.0, 0.05, "AQAAAAAAAAA="]]}},
        "first": {"level": 0, "groups": [[1, 0.05, True, True, "AQAAAAAAAAA=", "AAAAAADgWEA="]]},
    }


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
        (with_(format=2), "format of run totals must be 1, got 2"),
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
        (with_(scored=[]), "scored must be an object"),
        (with_(scored={"judge": [[1, 0.05, [1, 2, 3, 4]]]}), "more bad outcomes than outcomes"),
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
        totals.first.put(unit, (1.7e9 + number, 1, 0.05, number % 20 == 0, number % 50 == 0))
    text = json.dumps(totals.to_json())
    fastest = min(timed(lambda: RunTotals.from_json(json.loads(text))) for _ in range(5))
    assert len(text) < 140_000
    assert fastest < 0.05, "a wide margin over the 2 ms that it takes: only a slower kind of algorithm fails"


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun

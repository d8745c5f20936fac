"""Both arms over the same assignments: totals, and counts of 0/1 outcomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.metrics import Histogram
from agent_canary.metrics.arms import Arms, BinaryCounts, SliceKey, merge_arms, merge_counts
from agent_canary.metrics.totals import Totals


@st.composite
def binary_counts(draw: st.DrawFn) -> BinaryCounts:
    """Counts with at most as many bad outcomes as outcomes."""
    canary, stable = draw(st.integers(0, 10**9)), draw(st.integers(0, 10**9))
    return BinaryCounts(canary, draw(st.integers(0, canary)), stable, draw(st.integers(0, stable)))


def test_each_arm_has_totals_of_its_own() -> None:
    """What is added to one is not seen in the other."""
    arms = Arms()
    arms.of(is_canary=True).failed += 1
    arms.of(is_canary=False).succeeded += 2
    assert (arms.canary, arms.stable) == (Totals(failed=1), Totals(succeeded=2))


def test_arms_are_empty_until_anything_is_known() -> None:
    """A single cancelled request of either arm is something."""
    assert Arms().is_empty
    assert not Arms(stable=Totals(cancelled=1)).is_empty
    assert not Arms(canary=Totals(cost_usd=0.1)).is_empty


def test_arms_merge_arm_by_arm() -> None:
    """Stable to stable and canary to canary."""
    arms = Arms(Totals(succeeded=1), Totals(failed=2))
    arms.merge(Arms(Totals(succeeded=10), Totals(failed=20)))
    assert arms == Arms(Totals(succeeded=11), Totals(failed=22))


def test_a_copy_of_arms_is_independent() -> None:
    """Neither arm is shared."""
    arms = Arms(Totals(succeeded=1), Totals(failed=2))
    twin = arms.copy()
    twin.merge(arms)
    assert arms == Arms(Totals(succeeded=1), Totals(failed=2))


def test_arms_survive_json() -> None:
    """Each arm comes back as itself."""
    arms = Arms(Totals(succeeded=1, latency=Histogram([3.0])), Totals(failed=2))
    assert Arms.from_json(json.loads(json.dumps(arms.to_json()))) == arms
    for part in ("stable", "canary"):
        with pytest.raises(ValueError, match=f"data must be an object with '{part}'"):
            Arms.from_json({name: totals for name, totals in arms.to_json().items() if name != part})


def test_counts_are_added_by_arm() -> None:
    """Totals and bad outcomes of the arm, and of no other."""
    counts = BinaryCounts()
    counts.add(True, total=3, bad=1)
    counts.add(False, total=10, bad=2)
    counts.add(True, total=1, bad=1)
    assert counts == BinaryCounts(canary_total=4, canary_bad=2, stable_total=10, stable_bad=2)


def test_counts_of_arms_are_their_failures() -> None:
    """Cancelled requests are not among them."""
    arms = Arms(Totals(succeeded=8, failed=2, cancelled=5), Totals(succeeded=1, failed=3, timed_out=1))
    assert BinaryCounts.of_arms(arms) == BinaryCounts(4, 3, 10, 2)


@given(binary_counts(), binary_counts())
def test_counts_add_up_and_back(one: BinaryCounts, other: BinaryCounts) -> None:
    """The difference of a sum is the other part; neither part is changed."""
    both = one.plus(other)
    assert both.canary_total == one.canary_total + other.canary_total
    assert both.plus(other, -1) == one
    assert both.plus(one, -1) == other


@given(binary_counts())
def test_counts_survive_json(counts: BinaryCounts) -> None:
    """As four plain integers."""
    text = json.dumps(counts.to_json())
    assert BinaryCounts.from_json(json.loads(text)) == counts
    assert json.loads(text) == [counts.canary_total, counts.canary_bad, counts.stable_total, counts.stable_bad]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 0, 1], r"counts must be \[canary_total, canary_bad, stable_total, stable_bad\]"),
        (None, r"counts must be \[canary_total, canary_bad, stable_total, stable_bad\]"),
        ([1, -1, 1, 0], "canary_bad must be an integer >= 0, got -1"),
        ([1, 0, 1.0, 0], "stable_total must be an integer >= 0, got 1.0"),
        ([1, 2, 5, 0], "counts must not hold more bad outcomes than outcomes"),
        ([5, 0, 1, 2], "counts must not hold more bad outcomes than outcomes"),
    ],
)
def test_counts_that_are_not_ours_are_refused(data: Any, message: str) -> None:
    """More failures than answers would stop every later analysis."""
    with pytest.raises(ValueError, match=message):
        BinaryCounts.from_json(data)


def test_slices_are_merged_by_key() -> None:
    """The same stage and share come together, and what is merged stays as it was."""
    here, there = SliceKey(1, 0.05), SliceKey(1, 0.25)
    mine = {here: BinaryCounts(1, 1, 1, 1)}
    theirs = {here: BinaryCounts(2, 0, 2, 0), there: BinaryCounts(3, 3, 3, 3)}
    merge_counts(mine, theirs)
    assert mine == {here: BinaryCounts(3, 1, 3, 1), there: BinaryCounts(3, 3, 3, 3)}
    mine[there].add(True, 1, 1)
    assert theirs[there] == BinaryCounts(3, 3, 3, 3)

    arms = {here: Arms(Totals(failed=1))}
    others = {here: Arms(Totals(failed=2)), there: Arms(canary=Totals(failed=3))}
    merge_arms(arms, others)
    assert arms == {here: Arms(Totals(failed=3)), there: Arms(canary=Totals(failed=3))}
    arms[there].canary.failed += 1
    assert others[there] == Arms(canary=Totals(failed=3))


@pytest.mark.parametrize(("stage_idx", "share"), [(-1, 0.5), (1.0, 0.5), (None, 0.5), (0, -0.1), (0, 2), (0, "0.5")])
def test_a_key_read_from_json_is_checked(stage_idx: Any, share: Any) -> None:
    """A stage is an index, a share a fraction."""
    assert SliceKey.checked(2, 1) == SliceKey(2, 1.0)
    with pytest.raises(ValueError, match=r"stage_idx must be an integer >= 0|share must be a number in \[0, 1\]"):
        SliceKey.checked(stage_idx, share)

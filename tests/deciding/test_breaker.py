"""The breaker: a canary that fails always, before any test can be sure."""

from __future__ import annotations

import json

import pytest

from agent_canary import FailureRate, Finding, FindingStatus, Plan, Rate, Stage
from agent_canary.deciding.analysis import Analysis
from agent_canary.deciding.case import Moment
from agent_canary.deciding.memory import AnalysisMemory
from tests.deciding.evidence import Slices, of_all, seen

DEFAULT = Plan([Stage(0.5)])


def tripped(slices: Slices, memory: AnalysisMemory | None = None, *, unkeyed: bool = False) -> Finding | None:
    """Return the breaker's finding, if any."""
    totals = seen(unkeyed=slices) if unkeyed else seen(slices)
    findings = Analysis(DEFAULT, 0.01).run(of_all(totals), Moment(), AnalysisMemory() if memory is None else memory)
    return next((finding for finding in findings if finding.guardrail == "breaker"), None)


@pytest.mark.parametrize("unkeyed", [False, True], ids=["keyed", "unkeyed"])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_twenty_failures_of_the_first_twenty_trip_it(share: float, unkeyed: bool) -> None:
    """At every traffic share, as long as stable is healthy."""
    stable = round(20 * (1 - share) / share)
    finding = tripped({(0, share): (20, 20, stable, stable // 50)}, unkeyed=unkeyed)
    assert finding is not None
    assert (finding.status, finding.role) == (FindingStatus.FAIL, "rollback")
    assert (finding.canary_total, finding.canary_bad, finding.stable_total) == (20, 20, stable)


def test_nineteen_do_not() -> None:
    """The number is twenty."""
    assert tripped({(0, 0.5): (19, 19, 19, 0)}) is None


def test_one_success_among_the_first_does_not() -> None:
    """A canary that sometimes answers is judged by the tests."""
    assert tripped({(0, 0.5): (400, 399, 400, 0)}) is None


def test_it_counts_over_stages() -> None:
    """Ten failures in each of two stages are twenty."""
    assert tripped({(0, 0.01): (10, 10, 990, 0), (1, 0.05): (10, 10, 190, 0)}) is not None


def test_keyed_and_unkeyed_failures_count_together() -> None:
    """They are one canary."""
    totals = seen({(0, 0.5): (10, 10, 10, 0)}, {(0, 0.5): (10, 10, 10, 0)})
    assert Analysis(DEFAULT, 0.01).run(of_all(totals), Moment(), AnalysisMemory())[0].guardrail == "breaker"


@pytest.mark.parametrize(("stable_bad", "trips"), [(50, True), (51, False), (100, False)])
def test_it_does_not_trip_while_stable_fails_too(stable_bad: int, trips: bool) -> None:
    """Stable is healthy while at most half of its answers failed: an outage that hits both is no regression."""
    assert (tripped({(0, 0.5): (100, 100, 100, stable_bad)}) is not None) is trips


def test_it_trips_without_traffic_on_stable() -> None:
    """A canary that nobody is compared with must still not fail for ever."""
    assert tripped({(0, 0.5): (20, 20, 0, 0)}) is not None


def test_twenty_failures_in_a_row_trip_it_where_stable_has_no_traffic() -> None:
    """In the last stage, after thousands of successes in the ones before."""
    before: Slices = {(0, 0.5): (3000, 10, 3000, 10)}
    memory = AnalysisMemory()
    assert tripped(before, memory) is None
    assert tripped({**before, (1, 1.0): (500, 5, 0, 0)}, memory) is None
    assert tripped({**before, (1, 1.0): (519, 24, 0, 0)}, memory) is None
    finding = tripped({**before, (1, 1.0): (520, 25, 0, 0)}, memory)
    assert finding is not None
    assert finding.sentence == (
        "breaker: each of the canary's last 20 answers failed, stable has no traffic to compare with"
    )


def test_a_success_in_between_begins_anew() -> None:
    """Twenty in a row means without one."""
    memory = AnalysisMemory()
    for total, bad in ((100, 15), (115, 30), (116, 30), (131, 45)):
        assert tripped({(1, 1.0): (total, bad, 0, 0)}, memory) is None
    assert tripped({(1, 1.0): (136, 50, 0, 0)}, memory) is not None


def test_answers_of_an_earlier_stage_that_end_late_do_not_hide_it() -> None:
    """Stable's last answers of the stage before arrive among the canary's failures in the last one."""
    memory = AnalysisMemory()
    tripped({(0, 0.5): (3000, 10, 3000, 10)}, memory)
    assert tripped({(0, 0.5): (3000, 10, 3030, 10), (1, 1.0): (15, 15, 0, 0)}, memory) is None
    assert tripped({(0, 0.5): (3000, 10, 3031, 10), (1, 1.0): (20, 20, 0, 0)}, memory) is not None


def test_where_stable_has_traffic_a_row_of_failures_does_not_trip_it() -> None:
    """One heavy user can fail twenty times in a row on a canary that is as good as stable."""
    memory = AnalysisMemory()
    tripped({(0, 0.01): (5, 0, 500, 5)}, memory)
    assert tripped({(0, 0.01): (65, 60, 510, 5)}, memory) is None


def test_a_row_grows_no_more_once_stable_has_answered() -> None:
    """From then on there is something to compare with in that stage."""
    memory = AnalysisMemory()
    tripped({(0, 0.5): (1, 0, 0, 0)}, memory)
    assert tripped({(0, 0.5): (16, 15, 0, 0)}, memory) is None
    assert tripped({(0, 0.5): (40, 39, 1, 0)}, memory) is None
    assert tripped({(0, 0.5): (90, 89, 2, 0)}, memory) is None


def test_a_row_goes_on_in_another_worker() -> None:
    """What it remembers is JSON in the store."""
    memory = AnalysisMemory()
    tripped({(1, 1.0): (100, 0, 0, 0)}, memory)
    tripped({(1, 1.0): (112, 12, 0, 0)}, memory)
    memory = AnalysisMemory.from_json(json.loads(json.dumps(memory.to_json())))
    assert tripped({(1, 1.0): (119, 19, 0, 0)}, memory) is None
    assert tripped({(1, 1.0): (120, 20, 0, 0)}, memory) is not None


def test_totals_that_went_back_do_not_count_twice() -> None:
    """A late write of a worker is waited for."""
    memory = AnalysisMemory()
    tripped({(1, 1.0): (100, 0, 0, 0)}, memory)
    for bad in (15, 5, 15, 0, 15):
        assert tripped({(1, 1.0): (100 + bad, bad, 0, 0)}, memory) is None


@pytest.mark.parametrize(
    ("plan", "watched"),
    [
        (DEFAULT, True),
        (Plan([Stage(0.5)], [FailureRate(3)]), True),
        (Plan([Stage(0.5)], []), False),
        (Plan([Stage(0.5)], [Rate("verdict")]), True),
        (Plan([Stage(0.5)], [], [FailureRate()]), False),
    ],
)
def test_it_watches_wherever_anything_rolls_back(plan: Plan, watched: bool) -> None:
    """Whatever the guardrails are about: a canary that always fails reports no scores either."""
    findings = Analysis(plan, 0.01).run(of_all(seen({(0, 0.5): (50, 50, 50, 0)})), Moment(), AnalysisMemory())
    assert ("breaker" in [finding.guardrail for finding in findings]) is watched

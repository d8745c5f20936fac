"""What may never change a finding: how answers are spread over workers, how often totals are sent, units of measure."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary import Finding, Latency
from agent_canary.deciding.memory import AnalysisMemory
from agent_canary.metrics.run_totals import RunTotals
from tests.deciding.crowd import Crowd, judged, merged
from tests.deciding.trial import Answer, Behaviour, Trial

CROWDS = st.builds(Crowd, st.integers(0, 10**6), st.integers(1, 120), st.integers(0, 8))
few = settings(max_examples=15, deadline=None)


def by_name(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    """Return the findings by the guardrail's name."""
    return {finding.guardrail: finding for finding in findings}


def evidence_of(findings: tuple[Finding, ...]) -> list[tuple[object, ...]]:
    """Return what counts; a sentence may tell of limits that were only taken after the last analysis."""
    return [
        (each.guardrail, each.status, each.log_e_value, each.difference, each.interval, each.canary_total)
        for each in findings
    ]


@few
@given(CROWDS, st.permutations(range(5)))
def test_the_order_of_workers_changes_nothing(crowd: Crowd, order: list[int]) -> None:
    """Evidence is a sum and a union."""
    parts = [crowd.batch(number) for number in range(5)]
    assert judged([parts[number] for number in order]) == judged(parts)


@few
@given(CROWDS, st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_splitting_and_merging_totals_changes_nothing(crowd: Crowd, worker_of: list[int]) -> None:
    """The same answers, all seen by one worker, or by some of three, or each batch by a worker of its own."""
    parts = [crowd.batch(number) for number in range(5)]
    apart = judged(parts)
    assert judged([merged(parts)]) == apart
    groups = [[part for part, worker in zip(parts, worker_of, strict=True) if worker == number] for number in range(3)]
    assert judged([merged(group) for group in groups if group]) == apart


@few
@given(CROWDS)
def test_the_way_through_json_changes_nothing(crowd: Crowd) -> None:
    """As totals go through a store."""
    parts = [crowd.batch(number) for number in range(3)]
    read = [RunTotals.from_json(json.loads(json.dumps(part.to_json(), allow_nan=False))) for part in parts]
    assert judged(read) == judged(parts)


@few
@given(CROWDS, st.lists(st.integers(0, 2), max_size=6))
def test_totals_that_are_sent_again_count_once(crowd: Crowd, again: list[int]) -> None:
    """Also old ones that come late: a later total holds all of them."""
    so_far = [merged(crowd.batch(number) for number in range(upto + 1)) for upto in range(3)]
    memory, twin = AnalysisMemory(), AnalysisMemory()
    sent = 0
    for upto, totals in enumerate(so_far):
        expected = judged([totals], twin)
        assert judged([totals], memory) == expected
        sent = upto
        for number in again:
            judged([so_far[min(number, sent)]], memory)
        assert evidence_of(judged([totals], memory)) == evidence_of(expected)


@few
@given(CROWDS, st.lists(st.booleans(), min_size=4, max_size=4))
def test_the_memory_of_an_analysis_goes_through_json(crowd: Crowd, moves: list[bool]) -> None:
    """Whoever takes the next analysis finds the same, in the middle of a run, about everything."""
    mine, theirs = AnalysisMemory(), AnalysisMemory()
    for upto, moves_on in enumerate(moves):
        totals = merged(crowd.batch(number) for number in range(upto + 1))
        if moves_on:
            theirs = AnalysisMemory.from_json(json.loads(json.dumps(theirs.to_json(), allow_nan=False)))
        seconds = 30.0 * (upto + 1)
        assert judged([totals], theirs, seconds=seconds) == judged([totals], mine, seconds=seconds)
    assert theirs == mine


@few
@given(CROWDS)
def test_swapping_the_versions_mirrors_the_differences(crowd: Crowd) -> None:
    """Whoever gets what the other got is as much better as the other was worse."""
    swapped = Crowd(crowd.seed, crowd.users, crowd.worse, swaps=True)
    one, other = (by_name(judged([each.batch(0), each.batch(1)])) for each in (crowd, swapped))
    for name, finding in one.items():
        mirror = other.get(name)
        if mirror is None or name == "breaker":
            continue
        if finding.difference is not None:
            assert mirror.difference == pytest.approx(-finding.difference, abs=1e-9)
        assert (mirror.canary_total, mirror.canary_bad) == (
            finding.stable_total,
            finding.stable_bad,
        ) or name.startswith("threshold")
        if (
            finding.ratio is not None
            and mirror.ratio is not None
            and finding.tolerance
            and name in ("failures", "liked")
        ):
            assert finding.ratio * mirror.ratio == pytest.approx(1.0) or 0.0 in (finding.ratio, mirror.ratio)
        assert not (finding.status.value == mirror.status.value == "fail" and finding.log_e_value is not None)


@few
@given(CROWDS, st.sampled_from([2.0**-10, 0.5, 2.0, 2.0**10]))
def test_the_unit_of_a_score_changes_nothing(crowd: Crowd, scale: float) -> None:
    """Stars or per cent: with the tolerance in the same unit the evidence is the same, and the difference scales."""
    scaled = Crowd(crowd.seed, crowd.users, crowd.worse, scale=scale)
    one = by_name(judged([crowd.batch(0), crowd.batch(1)]))
    other = by_name(judged([scaled.batch(0), scaled.batch(1)], scale=scale))
    for name in ("judge", "clear"):
        mine, theirs = one[name], other[name]
        assert theirs.status is mine.status
        assert theirs.log_e_value == pytest.approx(mine.log_e_value, rel=1e-9, abs=1e-9)
        if mine.difference is not None and theirs.difference is not None:
            assert theirs.difference == pytest.approx(mine.difference * scale, rel=1e-9, abs=1e-12 * scale)
        if mine.interval is not None:
            assert theirs.interval == pytest.approx(
                [bound * scale for bound in mine.interval], rel=1e-9, abs=1e-12 * scale
            )


def slow(times: float) -> Behaviour:
    """A canary that is a fifth slower, in a unit of time."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(latency_ms=times * min(180.0, draw.lognormvariate(4.0, 0.4) * (1.2 if is_canary else 1.0)))

    return answer


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("times", [0.25, 4.0])
def test_the_unit_of_time_changes_nothing(keyed: bool, times: float) -> None:
    """Answers that all take four times as long are compared alike."""
    found: list[tuple[float | None, int, int]] = []
    for unit in (1.0, times):
        trial = Trial(rollback_on=[], hold_on=[Latency()])
        (trial.run if keyed else trial.record)(12, slow(unit))
        finding = trial.finding("latency")
        found.append((finding.log_e_value, finding.canary_bad, finding.stable_bad))
    assert found[0] == found[1]
    assert found[0][1] > 0

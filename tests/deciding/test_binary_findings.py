"""Findings about failures and 0/1 scores: evidence by users and by answers, and the agreement of both."""

from __future__ import annotations

import json
from dataclasses import replace
from math import exp, inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_canary import FailureRate, Finding, FindingStatus, Plan, Rate, Stage
from agent_canary.deciding.analysis import Analysis
from agent_canary.deciding.case import Moment
from agent_canary.deciding.contrasts import below
from agent_canary.deciding.memory import AnalysisMemory
from agent_canary.metrics.run_totals import BinaryCounts, RunTotals, SliceKey
from agent_canary.statistics import Contrast, log_e_value
from tests.deciding.evidence import of_all, seen, users

ALPHA = 0.01


def finding_of(totals: RunTotals, plan: Plan | None = None, memory: AnalysisMemory | None = None) -> Finding:
    """Return the finding about the plan's first guardrail."""
    analysis = Analysis(plan or Plan([Stage(0.5)]), ALPHA)
    findings = analysis.run(of_all(totals), Moment(), AnalysisMemory() if memory is None else memory)
    return next(finding for finding in findings if finding.guardrail != "breaker")


def main_part(finding: Finding) -> float:
    """Return the evidence without the tenth of alpha that looks at first outcomes, which had none."""
    assert finding.log_e_value is not None
    return (exp(finding.log_e_value) - 0.1) / 0.9


# With a sticky key: failing users


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_a_worse_canary_fails(share: float) -> None:
    """Five times the failures, at any share, is past the threshold of its alpha."""
    finding = finding_of(users(share, 4000, lambda canary: 2, lambda canary: 0.1 if canary else 0.02))
    assert finding.status is FindingStatus.FAIL
    assert finding.log_e_value is not None
    assert finding.log_threshold == pytest.approx(log(1 / (0.5 * ALPHA)))
    assert finding.log_e_value > finding.log_threshold
    assert finding.ratio == pytest.approx(5, rel=0.4)


@pytest.mark.parametrize("seed", range(5))
def test_a_canary_as_good_does_not_fail(seed: int) -> None:
    """The same failure rate, whatever the users."""
    finding = finding_of(users(0.25, 4000, lambda canary: 3, lambda canary: 0.1, seed=seed))
    assert finding.status is FindingStatus.INCONCLUSIVE


def test_an_outage_that_hits_both_versions_is_no_regression() -> None:
    """Everything fails, for everybody."""
    finding = finding_of(users(0.25, 2000, lambda canary: 3, lambda canary: 1.0, first_at=5.0))
    assert finding.status is FindingStatus.INCONCLUSIVE
    assert finding.ratio == 1.0


def test_a_better_canary_passes() -> None:
    """It is shown to be no worse."""
    finding = finding_of(users(0.5, 4000, lambda canary: 2, lambda canary: 0.01 if canary else 0.2))
    assert finding.status is FindingStatus.PASS
    assert "shown to be less than 1 point worse" in finding.sentence


def test_a_canary_that_is_used_more_does_not_fail() -> None:
    """It has more failing users at the same rate of failure: the evidence is there, and the rate does not agree."""
    totals = users(0.5, 2000, lambda canary: 4 if canary else 1, lambda canary: 0.1)
    finding = finding_of(totals)
    assert log_e_value(totals.failing["failures"].counts.by_shares, 1.2) > 10.0
    assert finding.log_e_value is not None
    assert finding.log_e_value < 0.0
    assert finding.ratio == pytest.approx(1.0, abs=0.1)
    assert finding.status is FindingStatus.INCONCLUSIVE


def test_a_canary_that_is_used_more_and_worse_fails() -> None:
    """The agreement rule spares nobody who is worse per request too."""
    finding = finding_of(users(0.5, 2000, lambda canary: 4 if canary else 1, lambda canary: 0.2 if canary else 0.1))
    assert finding.status is FindingStatus.FAIL


def test_a_worse_rate_without_failing_users_enough_does_not_fail() -> None:
    """One user who fails a hundred times is one user."""
    finding = finding_of(seen({(0, 0.5): (500, 100, 500, 10)}, failing={"failures": [(7, 0.5, True)]}))
    assert finding.ratio == 10.0
    assert finding.status is FindingStatus.INCONCLUSIVE


def test_rates_are_compared_stage_by_stage() -> None:
    """Failures rose for both versions while the share did: over all answers the canary looks four times as bad."""
    finding = finding_of(seen({(0, 0.05): (50, 0, 950, 10), (1, 0.5): (5000, 500, 5000, 500)}))
    whole = (500 / 5050) / (510 / 5950)
    assert whole > 1.1
    assert finding.ratio == pytest.approx(1.0, abs=0.01)


def test_the_tolerance_is_the_plans() -> None:
    """Twice as many failures fail where 1.2 is tolerated, not where 3 is."""
    totals = users(0.5, 4000, lambda canary: 2, lambda canary: 0.2 if canary else 0.1)
    assert finding_of(totals, Plan([Stage(0.5)], [FailureRate(1.2)])).status is FindingStatus.FAIL
    assert finding_of(totals, Plan([Stage(0.5)], [FailureRate(3.0)])).status is FindingStatus.INCONCLUSIVE


def test_users_are_estimated_from_a_sample() -> None:
    """Of 9,000 failing users every fourth is kept; the numbers are scaled, and the evidence still counts."""
    units = [(unit * 2**64 // 9000, 0.5, unit % 3 > 0) for unit in range(9000)]
    finding = finding_of(seen({(0, 0.5): (20_000, 6000, 20_000, 3000)}, failing={"failures": units}))
    assert finding.canary_bad_users == pytest.approx(6000, rel=0.01)
    assert finding.stable_bad_users == pytest.approx(3000, rel=0.01)
    assert finding.status is FindingStatus.FAIL


# Total failure


def test_a_canary_that_fails_always_is_gone_after_a_handful() -> None:
    """A tenth of the budget looks at first outcomes only: eight failing users are enough, which alone are not."""
    totals = users(0.5, 19, lambda canary: 1, float, first_at=5.0)
    finding = finding_of(totals)
    assert (finding.canary_total, finding.canary_bad, finding.stable_bad) == (8, 8, 0)
    assert finding.status is FindingStatus.FAIL
    totals.first = RunTotals(1).first
    assert finding_of(totals).status is FindingStatus.INCONCLUSIVE


def test_first_outcomes_count_behind_the_watermark_only() -> None:
    """While an answer of that time is open, the arm that reports sooner would look worse."""
    totals = users(0.5, 18, lambda canary: 1, float, first_at=5.0)
    totals.watermark = 5.0
    assert finding_of(totals).status is FindingStatus.INCONCLUSIVE


def test_first_outcomes_are_for_total_failure() -> None:
    """Where fewer than half of the canary's users fail at first, failing users decide alone."""
    totals = users(0.5, 3000, lambda canary: 1, lambda canary: 0.4 if canary else 0.05, first_at=5.0)
    totals.failing, totals.clusters = {}, {}
    assert finding_of(totals).status is FindingStatus.INCONCLUSIVE


def test_first_outcomes_tolerate_a_ratio_of_rates_not_of_odds() -> None:
    """Where most answers fail, a rate just above 1.2 times stable's is three times its odds."""
    totals = seen({(0, 0.5): (5000, 4575, 5000, 3750)})
    for unit in range(4000):
        on_canary, place = unit % 2 == 1, unit // 2
        failed = place < (1830 if on_canary else 1500)
        totals.first.put(unit, (float(place % 50), 0, 0.5, on_canary, failed, on_canary))
    finding = finding_of(totals)
    assert finding.status is FindingStatus.INCONCLUSIVE
    assert finding.log_e_value is not None
    assert finding.log_e_value < log(100)


def test_too_few_users_are_not_said_to_settle_it_at_once() -> None:
    """Hash buckets that may not be judged yet tell nothing of what would settle a finding."""
    finding = finding_of(users(0.5, 40, lambda canary: 20, lambda canary: 0.4 if canary else 0.15, seed=2))
    assert finding.status is FindingStatus.INCONCLUSIVE
    assert finding.settled_by == ""


def test_answers_that_are_alike_take_longer_to_show_that_they_are_no_worse() -> None:
    """A canary without a bad answer has no variance of its own: nine alike answers tell as much as one."""
    alone = Contrast(-0.01, 0.0, 0.0, 0.01, 0.09, 1000, 1000, 100.0, 1.0, None)
    _, variance, _ = below(alone, 0.01)
    assert below(replace(alone, design_effect=9.0), 0.01)[1] == pytest.approx(9 * variance)
    assert below(replace(alone, design_effect=0.5), 0.01)[1] == variance


def test_first_outcomes_are_compared_at_one_time_and_share() -> None:
    """Users who came during an outage are compared with users who came during it, not with those before."""
    totals = RunTotals(1, watermark=1e9)
    for unit in range(300):
        totals.first.put(unit, (100.0 if unit < 200 else 500.0, 0, 0.5, unit >= 190, unit >= 200, unit >= 190))
    totals.keyed = seen({(0, 0.5): (110, 100, 190, 0)}).keyed
    assert finding_of(totals).status is FindingStatus.INCONCLUSIVE


# Without a key: the exact test


def test_unkeyed_answers_fail_by_the_exact_test() -> None:
    """Two per cent against ten of two hundred each is past the threshold; nobody is counted as a user."""
    finding = finding_of(seen(unkeyed={(0, 0.5): (200, 20, 200, 2)}))
    assert finding.status is FindingStatus.FAIL
    assert (finding.canary_bad_users, finding.stable_bad_users) == (0, 0)


def test_unkeyed_answers_as_good_do_not_fail() -> None:
    """The same rate."""
    assert finding_of(seen(unkeyed={(0, 0.5): (2000, 40, 2000, 40)})).status is FindingStatus.INCONCLUSIVE


def test_what_was_counted_counts_once() -> None:
    """Looking again at the same totals changes nothing, a hundred times."""
    memory = AnalysisMemory()
    totals = seen(unkeyed={(0, 0.5): (100, 6, 100, 2)})
    first = finding_of(totals, memory=memory)
    for _ in range(100):
        assert finding_of(totals, memory=memory) == first


def test_evidence_grows_from_analysis_to_analysis() -> None:
    """A slice is what has come since the last analysis; the slices' ratios multiply."""
    memory = AnalysisMemory()
    statuses = []
    for step in range(1, 6):
        finding = finding_of(seen(unkeyed={(0, 0.5): (80 * step, 8 * step, 80 * step, step)}), memory=memory)
        statuses.append(finding.status)
    assert statuses[0] is FindingStatus.INCONCLUSIVE
    assert statuses[-1] is FindingStatus.FAIL


def test_each_stage_is_a_slice_of_its_own() -> None:
    """An outage during the second stage, where the canary has more answers, is no evidence against it."""
    memory = AnalysisMemory()
    finding_of(seen(unkeyed={(0, 0.05): (50, 0, 950, 0)}), memory=memory)
    finding = finding_of(seen(unkeyed={(0, 0.05): (50, 0, 950, 0), (1, 0.5): (500, 100, 500, 100)}), memory=memory)
    assert finding.status is FindingStatus.INCONCLUSIVE


def test_totals_that_went_back_are_waited_for() -> None:
    """A worker's write that came late, or a worker that is gone, neither fails the analysis nor counts twice."""
    memory, twin = AnalysisMemory(), AnalysisMemory()
    full = seen(unkeyed={(0, 0.5): (200, 12, 200, 2)})
    at_first = finding_of(full, memory=memory)
    for fewer in ((150, 12, 200, 2), (200, 3, 200, 2), (200, 12, 10, 1), (0, 0, 0, 0), (199, 12, 201, 2)):
        finding_of(seen(unkeyed={(0, 0.5): fewer}), memory=memory)
    finding_of(seen(), memory=memory)
    assert finding_of(full, memory=memory).log_e_value == at_first.log_e_value
    more = seen(unkeyed={(0, 0.5): (300, 20, 300, 4)})
    finding_of(full, memory=twin)
    assert finding_of(more, memory=memory) == finding_of(more, memory=twin)


def test_keyed_and_unkeyed_evidence_multiply() -> None:
    """Traffic of both kinds is independent; neither alone would be enough here."""
    units = [(unit, 0.5, unit < 9) for unit in range(10)]
    keyed = seen({(0, 0.5): (100, 9, 100, 1)}, failing={"failures": units})
    unkeyed = seen(unkeyed={(0, 0.5): (100, 14, 100, 2)})
    both = seen({(0, 0.5): (100, 9, 100, 1)}, {(0, 0.5): (100, 14, 100, 2)}, failing={"failures": units})
    assert finding_of(keyed).status is finding_of(unkeyed).status is FindingStatus.INCONCLUSIVE
    finding = finding_of(both)
    assert main_part(finding) == pytest.approx(main_part(finding_of(keyed)) * main_part(finding_of(unkeyed)), rel=0.01)
    assert finding.status is FindingStatus.FAIL


COUNTS = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)).map(
    lambda drawn: BinaryCounts(drawn[0] + drawn[1], drawn[1], drawn[2] + drawn[3], drawn[3])
)
BATCHES = st.lists(
    st.dictionaries(st.sampled_from([SliceKey(0, 0.05), SliceKey(1, 0.25), SliceKey(2, 0.25)]), COUNTS), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(BATCHES, st.lists(st.booleans(), min_size=6, max_size=6))
def test_any_worker_may_take_the_next_analysis(batches: list[dict[SliceKey, BinaryCounts]], moves: list[bool]) -> None:
    """With the memory written as JSON and read by somebody else in between, every finding is the same."""
    mine, theirs = AnalysisMemory(), AnalysisMemory()
    so_far: dict[SliceKey, BinaryCounts] = {}
    for batch, moves_on in zip(batches, moves, strict=False):
        for key, counts in batch.items():
            so_far[key] = so_far.get(key, BinaryCounts()).plus(counts)
        totals = seen(
            unkeyed={
                tuple(key): (counts.canary_total, counts.canary_bad, counts.stable_total, counts.stable_bad)
                for key, counts in so_far.items()
            }
        )
        if moves_on:
            theirs = AnalysisMemory.from_json(json.loads(json.dumps(theirs.to_json(), allow_nan=False)))
        analysis = Analysis(Plan([Stage(0.5)]), ALPHA)
        assert analysis.run(of_all(totals), Moment(), theirs) == analysis.run(of_all(totals), Moment(), mine)
    assert theirs == mine


# Scores


@pytest.mark.parametrize(
    ("rate", "noun"), [(Rate("verdict", higher_is_better=True), "scored 0"), (Rate("verdict"), "scored 1")]
)
def test_a_rate_fails_on_its_bad_value(rate: Rate, noun: str) -> None:
    """What is bad depends on the direction; the counts are of the bad ones."""
    bad = [(unit, 0.5, unit < 60) for unit in range(80)]
    totals = seen(scored={"verdict": {(0, 0.5): (300, 60, 300, 20)}}, failing={"verdict": bad})
    finding = finding_of(totals, Plan([Stage(0.5)], [rate]))
    assert finding.status is FindingStatus.FAIL
    assert (finding.guardrail, finding.canary_bad_users, finding.stable_bad_users) == ("verdict", 60, 20)
    assert f"20.0 % of canary answers {noun} (60 of 300, 60 users met one)" in finding.sentence
    assert finding.log_threshold == pytest.approx(log(1 / ALPHA))


def test_a_score_that_nobody_gave_has_no_data() -> None:
    """Failures of requests are not its business."""
    totals = users(0.5, 1000, lambda canary: 1, lambda canary: 0.5 if canary else 0.01)
    finding = finding_of(totals, Plan([Stage(0.5)], [Rate("verdict")]))
    assert finding.status is FindingStatus.NO_DATA


# Nothing to compare


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (100, 50, 0, 0), (0, 0, 100, 1)])
def test_one_arm_alone_is_no_data(counts: tuple[int, int, int, int]) -> None:
    """Without answers of both versions there is nothing to compare; at 100 % there is no stable left."""
    finding = finding_of(seen({(0, 0.5): counts}))
    assert finding.status is FindingStatus.NO_DATA


def test_without_bad_outcomes_there_is_no_ratio() -> None:
    """Nothing failed anywhere: inconclusive, without a number for how often."""
    finding = finding_of(seen({(0, 0.5): (100, 0, 100, 0)}))
    assert (finding.status, finding.ratio) == (FindingStatus.INCONCLUSIVE, None)


def test_where_stable_never_failed_the_ratio_is_infinite() -> None:
    """And its evidence still finite."""
    finding = finding_of(seen({(0, 0.5): (100, 3, 100, 0)}, failing={"failures": [(1, 0.5, True)]}))
    assert finding.ratio == inf
    assert finding.log_e_value is not None
    assert 0 < exp(finding.log_e_value) < 100


def test_a_canary_that_fails_many_times_as_often_does_not_pass() -> None:
    """Less than a point worse, and four times as often: rare failures are no excuse."""
    as_good, worse = ({(0, 0.5): (6400, bad, 6400, 6)} for bad in (6, 26))
    assert finding_of(seen(as_good, scored={"failures": as_good})).status is FindingStatus.PASS
    assert finding_of(seen(worse, scored={"failures": worse})).status is FindingStatus.INCONCLUSIVE

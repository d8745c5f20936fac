"""The counterfactual: what the original's rule would have done on the same traffic."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import Stage
from examples.demo.hindsight import Grade, Request
from examples.demo.original import MIN_SAMPLES, OriginalRule, replay

STAGES = [
    Stage(0.10, min_duration_seconds=8, min_samples=50),
    Stage(0.50, min_duration_seconds=4, min_samples=50),
    Stage(1.00, min_duration_seconds=2, min_samples=50),
]
INTERVAL = 0.5
GOOD, WRONG, FAILED = Grade.GOOD, Grade.WRONG, Grade.FAILED


def traffic(
    seconds: float, canary: tuple[Grade, ...] = (GOOD,), stable: tuple[Grade, ...] = (GOOD,), pace: float = 100.0
) -> list[Request]:
    """Return requests at a steady pace of users whose buckets take turns; grades go round by the user's requests."""
    buckets = 20

    def made() -> Iterator[Request]:
        number = 0
        while True:
            user, turn = number % buckets, number // buckets
            grades = stable[turn % len(stable)], canary[turn % len(canary)]
            yield Request(f"user-{user}", user / buckets, number / pace, False, *grades)
            number += 1

    return list(islice(made(), int(seconds * pace)))


def test_a_good_canary_is_promoted_when_time_samples_and_success_are_met() -> None:
    """It moves at the stage's time, and to everybody in the end."""
    result = replay(traffic(20), STAGES, INTERVAL)
    assert [(move.at, move.share) for move in result.moves] == [(0.0, 0.1), (8.0, 0.5), (12.0, 1.0)]
    assert not result.is_rolled_back


def test_wrong_answers_are_not_seen() -> None:
    """A canary whose every answer is wrong goes to everybody, since its HTTP success is perfect."""
    result = replay(traffic(20, canary=(WRONG,)), STAGES, INTERVAL)
    assert result.moves[-1].share == 1.0
    assert not result.is_rolled_back
    assert result.gap == 0.0


def test_failures_beyond_the_margin_roll_back_from_the_minimum_of_samples_on() -> None:
    """A canary that always fails is rolled back at the first decision after its 50th answer, and not before."""
    requests = traffic(20, canary=(FAILED,))
    result = replay(requests, STAGES, INTERVAL)
    assert result.is_rolled_back
    first, last = result.moves
    assert (first.share, last.share) == (0.1, 0.0)
    assert last.answers >= MIN_SAMPLES
    assert last.at == 5.0
    assert last.success == 0.0


def test_failures_just_beyond_the_margin_are_enough() -> None:
    """Seven per cent of failures, evenly spread, are two points beyond what is tolerated."""
    result = replay(traffic(40, canary=(GOOD,) * 13 + (FAILED,)), STAGES, INTERVAL)
    assert result.is_rolled_back
    assert 0.9 < result.moves[-1].success < 0.95


def test_nobody_gets_the_canary_after_a_rollback() -> None:
    """It is complete and final, even though the canary has recovered."""
    requests = traffic(5, canary=(FAILED,)) + [request._replace(at=request.at + 5) for request in traffic(30)]
    result = replay(requests, STAGES, INTERVAL)
    after = [served for request, served in zip(requests, result.served, strict=True) if request.at >= 5.0]
    assert not any(after)


def test_failures_within_the_margin_are_neither_promoted_nor_rolled_back() -> None:
    """Four per cent of failures, evenly spread, stay at the first stage for ever: 96 % is below 99 % and above 95 %."""
    result = replay(traffic(40, canary=(GOOD,) * 24 + (FAILED,)), STAGES, INTERVAL)
    assert [move.share for move in result.moves] == [0.1]
    assert not result.is_rolled_back
    assert result.gap == pytest.approx(0.04, abs=0.005)


def test_an_outage_of_both_versions_is_no_reason_to_roll_back() -> None:
    """The rule compares with stable."""
    result = replay(traffic(20, canary=(FAILED, GOOD), stable=(FAILED, GOOD)), STAGES, INTERVAL)
    assert not result.is_rolled_back


def test_decisions_come_at_intervals_whenever_requests_do() -> None:
    """A gap in the traffic does not let a decision be late or early."""
    rule = OriginalRule(STAGES, INTERVAL)
    for request in traffic(8):
        rule.advance(request.at)
        rule.serve(request)
    rule.advance(11.7)
    assert [move.at for move in rule.moves] == [0.0, 8.0]


def test_no_traffic_is_no_promotion() -> None:
    """Nothing happens without requests."""
    result = replay([], STAGES, INTERVAL)
    assert (result.served, result.gap) == ((), 0.0)
    assert [move.share for move in result.moves] == [0.1]


@given(
    st.lists(
        st.tuples(st.floats(0.0, 0.999), st.floats(0.0, 0.2), st.sampled_from(Grade), st.sampled_from(Grade)),
        max_size=200,
    )
)
def test_a_request_is_the_canarys_exactly_while_its_bucket_is_below_the_share(
    drawn: list[tuple[float, float, Grade, Grade]],
) -> None:
    """Whatever happens, users are routed by the bucket they have in the recorded traffic."""
    at, requests = 0.0, []
    for bucket, gap, stable, canary in drawn:
        at += gap
        requests.append(Request("user", bucket, at, False, stable, canary))
    result = replay(requests, STAGES, INTERVAL)
    for request, served in zip(requests, result.served, strict=True):
        share = [move.share for move in result.moves if move.at <= request.at][-1]
        assert served is (request.bucket < share)

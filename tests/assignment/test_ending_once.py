"""An assignment ends exactly once, and what it reports is booked once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from agent_canary import AgentCanary, Assignment, Outcome
from agent_canary.testing import ManualClock
from tests.canary.kit import counted, key_on, users

ENDS: dict[str, Outcome] = {"succeed": Outcome.SUCCEEDED, "fail": Outcome.FAILED, "cancel": Outcome.CANCELLED}
COUNTS = {Outcome.SUCCEEDED: (1, 0, 0), Outcome.FAILED: (0, 1, 0), Outcome.CANCELLED: (0, 0, 1)}


@pytest.mark.parametrize(("first", "second"), list(product(ENDS, ENDS)))
def test_the_first_end_counts(canary: AgentCanary, assignment: Assignment, first: str, second: str) -> None:
    """A second end, of whatever kind, changes nothing, before and after the first was booked."""
    getattr(assignment, first)()
    getattr(assignment, second)()
    assert assignment.outcome is ENDS[first]
    assert counted(canary, "v2") == COUNTS[ENDS[first]]
    getattr(assignment, second)()
    assert counted(canary, "v2") == COUNTS[ENDS[first]]


def test_an_open_one_is_not_counted(canary: AgentCanary, assignment: Assignment) -> None:
    """The status tells how many are open."""
    assert counted(canary, "v2") == (0, 0, 0)
    assert canary.status()["open_assignments"] == 1
    assignment.succeed()
    assert canary.status()["canary_metrics"]["total"] == 1
    assert canary.status()["open_assignments"] == 0


def test_one_that_stays_open_counts_as_failed(canary: AgentCanary, assignment: Assignment, clock: ManualClock) -> None:
    """After the outcome horizon, once, as timed out; what it reports afterwards comes too late."""
    clock.advance(60)
    canary.tick()
    assert counted(canary, "v2") == (0, 0, 0)
    clock.advance(1)
    canary.tick()
    assert canary.status()["canary_metrics"]["timed_out"] == 1
    assert canary.status()["failure_reasons"]["v2"] == {"timed out": 1}
    assignment.succeed()
    canary.tick()
    assert counted(canary, "v2") == (0, 1, 0)


def test_the_horizon_may_be_chosen(make_canary: Callable[..., AgentCanary], clock: ManualClock) -> None:
    """Slow agents need more than a minute."""
    canary = make_canary(outcome_horizon=600)
    canary.assign("a")
    clock.advance(599)
    canary.tick()
    assert canary.status()["open_assignments"] == 1
    clock.advance(2)
    canary.tick()
    assert canary.status()["open_assignments"] == 0


def test_the_latency_is_from_begin_to_end(canary: AgentCanary, assignment: Assignment, clock: ManualClock) -> None:
    """In milliseconds of the injected clock."""
    clock.advance(0.25)
    assignment.succeed()
    clock.advance(5)
    assert canary.metrics("v2").p50_ms == pytest.approx(250)


def test_the_first_token_is_counted_once(canary: AgentCanary, assignment: Assignment, clock: ManualClock) -> None:
    """The first report before the end counts."""
    clock.advance(0.1)
    assignment.first_token()
    clock.advance(0.2)
    assignment.first_token()
    assignment.succeed()
    snapshot = canary.metrics("v2").snapshot()
    assert snapshot["first_token_p50_ms"] == pytest.approx(100, rel=0.006)
    assert snapshot["p50_ms"] == pytest.approx(300)


def test_a_first_token_after_the_end_is_none(canary: AgentCanary, assignment: Assignment, clock: ManualClock) -> None:
    """An answer that has ended without one had none."""
    assignment.succeed()
    clock.advance(1)
    assignment.first_token()
    assert canary.metrics("v2").totals.first_token.count == 0


def test_usage_adds_up(canary: AgentCanary, assignment: Assignment) -> None:
    """Several model calls of one answer."""
    assignment.usage(input_tokens=100, output_tokens=20, cost_usd=0.01)
    assignment.usage(input_tokens=50, cost_usd=Decimal("0.02"))
    assignment.succeed()
    snapshot = canary.metrics("v2").snapshot()
    assert (snapshot["input_tokens"], snapshot["output_tokens"]) == (150, 20)
    assert snapshot["cost_usd"] == pytest.approx(0.03)


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -1},
        {"output_tokens": 1.5},
        {"input_tokens": "7"},
        {"output_tokens": None},
        {"cost_usd": float("nan")},
        {"cost_usd": float("inf")},
        {"cost_usd": -0.01},
        {"cost_usd": "a lot"},
        {"cost_usd": None},
    ],
)
def test_a_bad_usage_is_refused(
    canary: AgentCanary, assignment: Assignment, caplog: pytest.LogCaptureFixture, usage: dict[str, Any]
) -> None:
    """Counted and logged, and nothing of it is booked; the request goes on."""
    with assignment:
        assignment.usage(**{"input_tokens": 1, **usage})
    assert canary.status()["errors"] == {"usage": 1}
    assert ": usage: " in caplog.text
    assert canary.metrics("v2").snapshot()["input_tokens"] == 0
    assert counted(canary, "v2") == (1, 0, 0)


def test_a_score_is_booked(canary: AgentCanary, assignment: Assignment) -> None:
    """By name; 0/1 and real values, bools as 0 and 1, before and after the end; the first value of a name counts."""
    assignment.score("judge", 0.25)
    assignment.score("judge", 0.75)
    assignment.succeed()
    assignment.score("thumbs_up", True)
    assert canary.metrics("v2").snapshot()["scores"] == {
        "judge": {"count": 1, "mean": 0.25},
        "thumbs_up": {"count": 1, "mean": 1.0},
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "0.5", None, [1], 1e200])
def test_a_score_that_is_no_number_is_refused(
    canary: AgentCanary, assignment: Assignment, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    """Counted and logged once; the request goes on."""
    with assignment:
        assignment.score("judge", value)
        assignment.score("judge", value)
    assert canary.status()["errors"] == {"score (bad value)": 2}
    assert len(caplog.records) == 1
    assert canary.metrics("v2").snapshot()["scores"] == {}


@pytest.mark.parametrize("name", ["", None, 7, ["judge"]])
def test_a_score_without_a_name_is_refused(canary: AgentCanary, assignment: Assignment, name: Any) -> None:
    """The same."""
    assignment.score(name, 1)
    assert canary.status()["errors"] == {"score (bad value)": 1}


@pytest.mark.parametrize(
    ("reason", "counted_as"),
    [
        ("empty answer", "empty answer"),
        (None, "failed"),
        ("", "failed"),
        (ValueError("secret of a user"), "ValueError"),
    ],
)
def test_why_it_failed_is_counted(
    canary: AgentCanary, assignment: Assignment, reason: str | BaseException | None, counted_as: str
) -> None:
    """By a word or two; of an exception the name only, since its text may hold anything."""
    assignment.fail(reason)
    canary.tick()
    assert canary.status()["failure_reasons"] == {"v1": {}, "v2": {counted_as: 1}}


def test_an_exception_is_counted_by_its_name(canary: AgentCanary, assignment: Assignment) -> None:
    """The block's exception is the reason."""
    with pytest.raises(ZeroDivisionError), assignment:
        raise ZeroDivisionError("secret of a user")
    canary.tick()
    assert canary.status()["failure_reasons"]["v2"] == {"ZeroDivisionError": 1}


def test_what_it_is_told_about_itself(canary: AgentCanary) -> None:
    """Version, reason, share, bucket, cluster and unit of its key."""
    key = key_on(canary, "v2")
    assignment = canary.assign(key)
    assert (assignment.version, assignment.is_canary, assignment.reason.value) == ("v2", True, "split")
    assert (assignment.traffic_share, assignment.stage_idx, assignment.run) == (0.5, 0, 1)
    assert assignment.bucket is not None
    assert 0.0 <= assignment.bucket < 0.5
    assert assignment.cluster in range(64)
    assert assignment.unit in range(2**64)
    assert repr(assignment) == "<Assignment 'v2' (split), open>"
    assignment.cancel()
    assert repr(assignment) == "<Assignment 'v2' (split), cancelled>"


def test_without_a_key_there_is_no_unit(canary: AgentCanary) -> None:
    """Stable, by default, and no bucket."""
    assignment = canary.assign()
    assert (assignment.version, assignment.reason.value) == ("v1", "default")
    assert (assignment.bucket, assignment.cluster, assignment.unit) == (None, None, None)


def test_an_id_is_made_only_when_asked_for(canary: AgentCanary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing costs more than the rest of an assignment; asked for twice, it is the same text."""
    import hmac

    made: list[object] = []
    original = hmac.digest

    def digest(*args: Any) -> bytes:
        made.append(args)
        return original(*args)

    monkeypatch.setattr(hmac, "digest", digest)
    with canary.assign("user-1") as assignment:
        assignment.score("judge", 1)
    canary.tick()
    assert made == []
    assert assignment.id == assignment.id
    assert len(made) == 1
    assert "user-1" not in assignment.id


def test_threads_lose_and_double_nothing(canary: AgentCanary, clock: ManualClock) -> None:
    """Eight threads with 2,500 assignments each, while another one ticks: the totals are exact."""
    keys = users(100)
    expected = [sum(canary.route(key) == version for key in keys) * 200 for version in ("v1", "v2")]
    begin, done = threading.Barrier(9), threading.Event()

    def request_many(number: int) -> None:
        begin.wait(timeout=10)
        for index in range(number, 20_000, 8):
            assignment = canary.assign(keys[index % 100])
            match (index // 100) % 4:
                case 0:
                    assignment.fail()
                case 1:
                    assignment.cancel()
                case _:
                    assignment.succeed()

    def tick_all_the_time() -> None:
        begin.wait(timeout=10)
        while not done.is_set():
            canary.tick()
            canary.status()

    ticking = threading.Thread(target=tick_all_the_time)
    threads = [threading.Thread(target=request_many, args=(number,)) for number in range(8)]
    for thread in (ticking, *threads):
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    done.set()
    ticking.join(timeout=60)
    for version, total in zip(("v1", "v2"), expected, strict=True):
        assert counted(canary, version) == (total // 2, total // 4, total // 4)
    assert canary.status()["open_assignments"] == 0
    assert canary.status()["errors"] == {}


def test_a_burst_without_ticks_is_folded_on_the_way(canary: AgentCanary, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody ticks, and nothing is lost: 10,000 requests are counted."""
    caplog.set_level(logging.ERROR)
    for key in users(100) * 100:
        canary.assign(key).succeed()
    assert counted(canary, "v1")[0] + counted(canary, "v2")[0] == 10_000
    assert caplog.text == ""

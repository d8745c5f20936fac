"""What bounds shadows that are plain functions: workers, queue, timeout, shutdown."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from agent_canary.shadow import ShadowDeployment, ShadowOutcome, ShadowResult
from agent_canary.testing import ManualClock

Make = Callable[..., ShadowDeployment[..., Any]]

WAIT_SECONDS = 10


def outcomes(shadow: ShadowDeployment[..., Any]) -> dict[str, int]:
    """Return the outcomes that occurred so far."""
    status = shadow.status()
    return {outcome.value: status[outcome.value] for outcome in ShadowOutcome if status[outcome.value]}


def threads(name: str = "shadow") -> list[threading.Thread]:
    """Return the living threads of a deployment."""
    return [thread for thread in threading.enumerate() if thread.name == f"agent_canary {name}"]


class Hangs:
    """A shadow that hangs at the gate when its argument says so, and tells when it does not."""

    def __init__(self, gate: Any) -> None:
        self._gate = gate
        self.done = threading.Semaphore(0)

    def __call__(self, hangs: bool) -> str:
        if hangs:
            self._gate.wait()
        self.done.release()
        return "answer"

    def await_done(self) -> None:
        """Return when one more call went through."""
        assert self.done.acquire(timeout=WAIT_SECONDS)


def answer(*_: object) -> str:
    return "answer"


# The queue


def test_what_is_too_much_is_dropped_and_counted(make_shadow: Make, gate: Any) -> None:
    """With two workers busy and three calls waiting, every further call has its answer and no shadow."""
    shadow = make_shadow(answer, gate.wait, max_workers=2, max_queue=3)
    assert [shadow.call(n) for n in range(10)] == ["answer"] * 10
    gate.await_arrivals(2)
    assert (shadow.status()["pending"], shadow.status()["submitted"], outcomes(shadow)) == (5, 10, {"dropped": 5})
    gate.open()
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert (shadow.status()["pending"], outcomes(shadow)) == (0, {"mismatch": 5, "dropped": 5})


def test_there_may_be_no_queue(make_shadow: Make, gate: Any) -> None:
    """With max_queue=0 a call is mirrored only when a worker is free."""
    shadow = make_shadow(answer, gate.wait, max_workers=1, max_queue=0)
    for _ in range(3):
        shadow.call(1)
    assert outcomes(shadow) == {"dropped": 2}


def test_nothing_is_copied_for_a_full_queue(make_shadow: Make, gate: Any) -> None:
    """An overloaded process does not spend time on arguments that no shadow will get."""
    copies: list[object] = []
    shadow = make_shadow(answer, gate.wait, max_workers=1, max_queue=0, copy=copies.append)
    for _ in range(3):
        shadow.call([])
    assert len(copies) == 1
    assert outcomes(shadow) == {"dropped": 2}


def test_no_answer_is_copied_for_a_queue_that_filled_up_meanwhile(make_shadow: Make, gate: Any) -> None:
    """A call whose place was taken while stable ran is dropped before its answer is copied."""
    copies: list[object] = []

    def stable(asks_again: bool) -> list[bool]:
        if asks_again:
            shadow.call(False)
        return [asks_again]

    shadow = make_shadow(stable, gate.wait, max_workers=1, max_queue=0, copy=copies.append)
    assert shadow.call(True) == [True]
    assert copies == [[False]]
    assert outcomes(shadow) == {"dropped": 1}


def test_counts_are_exact_under_many_threads() -> None:
    """Eight threads' calls are each counted once, as what they were, and the hook is told of each that ran."""
    told: list[ShadowOutcome] = []

    def shadow_fn(n: int) -> int:
        if n % 5 == 0:
            raise ValueError(n)
        return n - n % 5 // 4

    shadow = ShadowDeployment(
        lambda n: n, shadow_fn, max_queue=20, on_result=lambda result: told.append(result.outcome)
    )
    ready = threading.Barrier(8)

    def ask() -> None:
        ready.wait(WAIT_SECONDS)
        for n in range(500):
            assert shadow.call(n) == n

    callers = [threading.Thread(target=ask) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    shadow.shutdown(timeout=WAIT_SECONDS)
    status = shadow.status()
    assert status["pending"] == 0
    assert status["submitted"] == 8 * 500 == len(told) + status["dropped"]
    assert Counter(told) == {outcome: status[outcome.value] for outcome in set(told)}
    assert set(told) == {ShadowOutcome.MATCH, ShadowOutcome.MISMATCH, ShadowOutcome.ERROR}


# The timeout


@pytest.mark.parametrize(("seconds", "outcome"), [(30.0, "match"), (30.1, "timed_out")])
def test_what_took_too_long_is_timed_out(
    make_shadow: Make, clock: ManualClock, results: list[ShadowResult], seconds: float, outcome: str
) -> None:
    """A shadow that answers, but over its time, is timed out, and its answer does not count."""

    def shadow_fn() -> str:
        clock.advance(seconds)
        return "answer"

    shadow = make_shadow(answer, shadow_fn, timeout=30.0)
    shadow.call()
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert outcomes(shadow) == {outcome: 1}
    assert results[0].shadow_value == (None if outcome == "timed_out" else "answer")
    assert results[0].shadow_latency_ms == pytest.approx(seconds * 1000)


@pytest.mark.parametrize("noticed_by", ["status", "call"])
def test_a_hung_shadow_gives_its_place_to_others(
    make_shadow: Make, clock: ManualClock, gate: Any, results: list[ShadowResult], noticed_by: str
) -> None:
    """Over its time it is counted and told, another thread goes on, and its late answer changes nothing."""
    shadow_fn = Hangs(gate)
    compared: list[str] = []
    shadow = make_shadow(answer, shadow_fn, lambda *answers: compared.extend(answers) or True, 1, timeout=30.0)
    shadow.call(True)
    shadow.call(False)
    gate.await_arrivals(1)
    clock.advance(30.0)
    assert (outcomes(shadow), shadow.status()["pending"]) == ({}, 2)
    clock.advance(0.5)
    if noticed_by == "call":
        shadow.call(False)
        shadow_fn.await_done()
    else:
        shadow.status()
    shadow_fn.await_done()
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert shadow.status()["overdue"] == 1
    counted = outcomes(shadow)
    assert counted == {"match": 2 if noticed_by == "call" else 1, "timed_out": 1}
    late = [result for result in results if result.outcome is ShadowOutcome.TIMED_OUT]
    assert [(result.args, result.shadow_value, result.shadow_latency_ms) for result in late] == [
        ((True,), None, 30500.0)
    ]
    hung = threads()
    gate.open()
    for thread in hung:
        thread.join(WAIT_SECONDS)
    assert shadow.status()["overdue"] == 0
    assert outcomes(shadow) == counted
    assert len(results) == sum(counted.values())
    assert compared == ["answer", "answer"] * counted["match"]


def test_hung_shadows_do_not_add_up(make_shadow: Make, clock: ManualClock, gate: Any) -> None:
    """There are at most twice as many threads as workers, however many shadows hang; then they wait and are dropped."""
    shadow = make_shadow(answer, gate.wait, max_workers=2, max_queue=4, timeout=30.0)
    for hung in (2, 2, 0, 0, 0, 0):
        for _ in range(4):
            shadow.call(1)
        gate.await_arrivals(hung)
        clock.advance(31.0)
        shadow.status()
    status = shadow.status()
    assert len(threads()) == 4
    assert (status["overdue"], status["timed_out"]) == (4, 4)
    assert status["pending"] == 2
    assert status["submitted"] == 24
    gate.open()
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert shadow.status()["pending"] == 0
    assert shadow.status()["timed_out"] == 4
    assert sum(outcomes(shadow).values()) == 24


def test_without_a_timeout_nothing_is_given_up(make_shadow: Make, clock: ManualClock, gate: Any) -> None:
    """With timeout=None a shadow may take for ever."""
    shadow = make_shadow(answer, gate.wait, max_workers=1, timeout=None)
    shadow.call()
    gate.await_arrivals(1)
    clock.advance(1e9)
    assert (outcomes(shadow), shadow.status()["pending"]) == ({}, 1)
    gate.open()
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert outcomes(shadow) == {"mismatch": 1}


def test_a_hung_comparator_gives_its_place_to_others(make_shadow: Make, clock: ManualClock, gate: Any) -> None:
    """A comparison has the same time as a call, after it."""
    shadow = make_shadow(answer, lambda _: clock.advance(20.0), lambda ours, theirs: gate.wait(), timeout=30.0)
    shadow.call(1)
    gate.await_arrivals(1)
    clock.advance(29.0)
    assert outcomes(shadow) == {}
    clock.advance(2.0)
    assert outcomes(shadow) == {"timed_out": 1}
    gate.open()
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert outcomes(shadow) == {"timed_out": 1}
    assert shadow.status()["errors"] == {}


def test_a_hung_hook_gives_its_place_to_others(make_shadow: Make, clock: ManualClock, gate: Any) -> None:
    """A hook that does not return changes no outcome, is counted as an error, and blocks nobody for ever."""
    shadow = make_shadow(answer, answer, on_result=gate.wait, max_workers=1, timeout=30.0)
    shadow.call()
    gate.await_arrivals(1)
    shadow.call()
    clock.advance(31.0)
    shadow.status()
    gate.await_arrivals(1)
    assert outcomes(shadow) == {"match": 2}
    assert (shadow.status()["pending"], shadow.status()["overdue"]) == (0, 1)
    assert shadow.status()["errors"] == {"on_result": 1}
    gate.open()
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert outcomes(shadow) == {"match": 2}


# The end


def test_threads_begin_with_the_first_call_and_end_with_the_deployment(make_shadow: Make) -> None:
    """There is none before, none more than needed, and none after shutdown, which waits for what was taken."""
    shadow = make_shadow(answer, answer, max_workers=3, name="mine")
    assert not threads("mine")
    shadow.call()
    assert len(threads("mine")) == 1
    assert all(thread.daemon for thread in threads("mine"))
    for _ in range(50):
        shadow.call()
    assert 1 <= len(threads("mine")) <= 3
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert not threads("mine")
    assert outcomes(shadow) == {"match": 51}
    shadow.shutdown(timeout=WAIT_SECONDS)


def test_after_shutdown_stable_goes_on(make_shadow: Make) -> None:
    """Later calls have their answers; their shadows are dropped, and no thread begins."""
    shadow = make_shadow(answer, answer)
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert shadow.call() == "answer"
    assert outcomes(shadow) == {"dropped": 1}
    assert not threads()


@pytest.mark.parametrize("options", [{"wait": False}, {"timeout": 0.0}], ids=repr)
def test_shutdown_need_not_wait(make_shadow: Make, gate: Any, options: dict[str, Any]) -> None:
    """What waits is dropped; what runs is left alone, counted when it ends, and its thread ends with it."""
    shadow = make_shadow(answer, gate.wait, max_workers=2)
    for _ in range(5):
        shadow.call()
    gate.await_arrivals(2)
    shadow.shutdown(**options)
    assert (outcomes(shadow), shadow.status()["pending"]) == ({"dropped": 3}, 2)
    gate.open()
    for thread in threads():
        thread.join(WAIT_SECONDS)
    assert (outcomes(shadow), shadow.status()["pending"]) == ({"mismatch": 2, "dropped": 3}, 0)


def test_shutdown_does_not_wait_for_what_is_over_its_time(make_shadow: Make, clock: ManualClock, gate: Any) -> None:
    """A hung shadow does not keep the deployment from its end."""
    shadow = make_shadow(answer, gate.wait, timeout=30.0)
    shadow.call()
    gate.await_arrivals(1)
    clock.advance(31.0)
    shadow.shutdown()
    assert (outcomes(shadow), shadow.status()["overdue"]) == ({"timed_out": 1}, 1)


def test_a_timeout_after_shutdown_is_counted(make_shadow: Make, clock: ManualClock, gate: Any) -> None:
    """What was left running when nobody waited is timed out like any other, and no thread begins for it."""
    shadow = make_shadow(answer, gate.wait, timeout=30.0)
    shadow.call()
    gate.await_arrivals(1)
    shadow.shutdown(wait=False)
    clock.advance(31.0)
    assert outcomes(shadow) == {"timed_out": 1}
    assert shadow._executor._admission.in_flight == 0


def test_a_hook_may_shut_down(make_shadow: Make) -> None:
    """In a worker's own thread shutdown waits for nothing, since that would be for itself."""
    ended = threading.Event()

    def on_result(_: ShadowResult) -> None:
        shadow.shutdown()
        ended.set()

    shadow = make_shadow(answer, answer, on_result=on_result)
    shadow.call()
    assert ended.wait(WAIT_SECONDS)


def test_as_a_context_manager_it_waits() -> None:
    """At the end of the block all shadows have ended."""
    with ShadowDeployment(answer, answer) as shadow:
        shadow.call()
    assert outcomes(shadow) == {"match": 1}
    assert not threads()


def test_threads_end_with_a_deployment_that_nobody_holds() -> None:
    """One that is never shut down leaves no thread, and its last call is made all the same."""
    called = threading.Event()
    gc.disable()
    try:
        ShadowDeployment(answer, lambda: called.set() or "answer", name="forgotten").call()
        assert called.wait(WAIT_SECONDS)
        for thread in threads("forgotten"):
            thread.join(WAIT_SECONDS)
    finally:
        gc.enable()
    assert not threads("forgotten")


def test_nothing_of_a_call_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments and answers are let go with the call, without waiting for the garbage collector."""
    caplog.set_level(logging.CRITICAL, "agent_canary")  # a record of the shadow's error would keep them

    class Thing:
        pass

    kept: list[weakref.ref[Thing]] = []

    def stable(thing: Thing) -> None:
        raise ValueError(thing)

    def shadow_fn(thing: Thing) -> None:
        kept.append(weakref.ref(thing))
        raise KeyError(thing)

    shadow = ShadowDeployment(stable, shadow_fn, on_result=lambda result: kept.append(weakref.ref(result.args[0])))
    gc.disable()
    try:
        thing = Thing()
        kept.append(weakref.ref(thing))
        with contextlib.suppress(ValueError):
            shadow.call(thing)
        shadow.shutdown(timeout=WAIT_SECONDS)
        del thing
        assert [reference() for reference in kept] == [None] * 3
    finally:
        gc.enable()


def test_a_thread_that_cannot_start_is_counted(make_shadow: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has the answer, and the next call tries again and finds the first one waiting."""
    start = threading.Thread.start

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    shadow = make_shadow(answer, answer)
    monkeypatch.setattr(threading.Thread, "start", fail)
    assert shadow.call() == "answer"
    assert shadow.status()["errors"]["starting a thread"] >= 1
    monkeypatch.setattr(threading.Thread, "start", start)
    assert shadow.call() == "answer"
    shadow.shutdown(timeout=WAIT_SECONDS)
    assert outcomes(shadow) == {"match": 2}

"""Where shadows run that are coroutines, what bounds them there, and how they end."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agent_canary.shadow import ShadowDeployment, ShadowOutcome, ShadowResult
from agent_canary.testing import ManualClock

Make = Callable[..., ShadowDeployment[..., Any]]
Place = tuple[str, asyncio.AbstractEventLoop]

WAIT_SECONDS = 10


def outcomes(shadow: ShadowDeployment[..., Any]) -> dict[str, int]:
    """Return the outcomes that occurred so far."""
    status = shadow.status()
    return {outcome.value: status[outcome.value] for outcome in ShadowOutcome if status[outcome.value]}


def within_time(main: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run a test on a fresh asyncio loop, and fail it when it hangs."""

    async def limited() -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            await main()

    asyncio.run(limited())


async def answer(*_: object) -> str:
    return "answer"


async def place() -> Place:
    return threading.current_thread().name, asyncio.get_running_loop()


def hidden_place() -> Any:
    return place()


# Where they run


@pytest.mark.parametrize("shadow_fn", [place, hidden_place])
async def test_a_coroutine_runs_on_the_callers_loop(
    make_shadow: Make, results: list[ShadowResult], anyio_backend: str, shadow_fn: Any
) -> None:
    """On asyncio it is the caller's, with all that is bound to it; on trio one of the deployment's own."""
    shadow = make_shadow(answer, shadow_fn)
    await shadow.acall()
    await shadow.acall()
    await shadow.ashutdown()
    places = {result.shadow_value for result in results}
    assert len(places) == 1
    name, loop = places.pop()
    if anyio_backend == "asyncio":
        assert (name, loop) == (threading.current_thread().name, asyncio.get_running_loop())
    else:
        assert name == "agent_canary shadow"


@pytest.mark.parametrize("shadow_fn", [place, hidden_place])
def test_plain_callers_coroutines_share_one_loop(
    make_shadow: Make, results: list[ShadowResult], shadow_fn: Any
) -> None:
    """Callers in threads without a loop get one for all their coroutines, which ends with the deployment."""
    shadow = make_shadow(lambda: "answer", shadow_fn)
    callers = [threading.Thread(target=shadow.call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    shadow.shutdown()
    places = {result.shadow_value for result in results}
    assert len(results) == 3
    assert len(places) == 1
    assert places.pop()[1].is_closed()


def test_a_call_inside_of_a_loop_uses_that_loop(make_shadow: Make, results: list[ShadowResult]) -> None:
    """A plain stable that is called by asynchronous code has its coroutine beside it."""

    async def main() -> None:
        shadow = make_shadow(lambda: "answer", place)
        shadow.call()
        await shadow.ashutdown()
        assert results[0].shadow_value[1] is asyncio.get_running_loop()

    within_time(main)


def test_the_shadow_begins_after_the_answer(make_shadow: Make) -> None:
    """Also with eager tasks: before the user has the answer, none of the shadow's code has run."""
    began: list[str] = []

    async def shadow_fn() -> str:
        began.append("shadow")
        return "answer"

    async def main() -> None:
        if sys.version_info >= (3, 12):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        shadow = make_shadow(answer, shadow_fn)
        await shadow.acall()
        assert not began
        await shadow.ashutdown()
        assert began

    within_time(main)


def test_a_task_is_held_until_it_ends() -> None:
    """A shadow that waits for something which only it knows is not lost to the garbage collector."""
    futures: list[weakref.ref[asyncio.Future[str]]] = []
    ended = asyncio.Event()

    async def shadow_fn() -> str:
        future = asyncio.get_running_loop().create_future()
        futures.append(weakref.ref(future))
        return str(await future)

    async def main() -> None:
        end = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
        await ShadowDeployment(answer, shadow_fn, timeout=None, on_result=lambda _: end()).acall()
        await asyncio.sleep(0)
        gc.collect()
        future = futures[0]()
        assert future is not None
        future.set_result("answer")
        await ended.wait()

    within_time(main)
    gc.collect()


# What bounds them


def test_there_are_at_most_so_many_at_a_time(make_shadow: Make) -> None:
    """On one loop max_workers coroutines are at work, max_queue wait, and the rest is dropped."""
    at_work: list[int] = []
    go_on = asyncio.Event()

    async def shadow_fn(n: int) -> str:
        at_work.append(n)
        await go_on.wait()
        return "answer"

    async def main() -> None:
        shadow = make_shadow(answer, shadow_fn, max_workers=2, max_queue=3)
        for n in range(7):
            await shadow.acall(n)
        await asyncio.sleep(0)
        assert at_work == [0, 1]
        assert (shadow.status()["pending"], outcomes(shadow)) == (5, {"dropped": 2})
        go_on.set()
        await shadow.ashutdown()
        assert at_work == [0, 1, 2, 3, 4]
        assert outcomes(shadow) == {"match": 5, "dropped": 2}

    within_time(main)


def test_a_hung_coroutine_is_cancelled(make_shadow: Make, clock: ManualClock, results: list[ShadowResult]) -> None:
    """Over its time it is counted, told and cancelled, and the next one begins."""
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def shadow_fn(hangs: bool) -> str:
        began.set()
        try:
            await (asyncio.Event().wait() if hangs else asyncio.sleep(0))
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "answer"

    async def main() -> None:
        shadow = make_shadow(answer, shadow_fn, max_workers=1, timeout=30.0)
        await shadow.acall(True)
        await shadow.acall(False)
        await began.wait()
        clock.advance(30.5)
        assert outcomes(shadow) == {"timed_out": 1}
        await cancelled.wait()
        await shadow.ashutdown()
        assert outcomes(shadow) == {"match": 1, "timed_out": 1}
        assert shadow.status()["overdue"] == 0

    within_time(main)
    late = [result for result in results if result.outcome is ShadowOutcome.TIMED_OUT]
    assert [(result.args, result.shadow_error, result.shadow_latency_ms) for result in late] == [
        ((True,), None, 30500.0)
    ]


async def test_a_timeout_is_noticed_without_a_call(anyio_backend: str) -> None:
    """On any loop, a coroutine over its time is cancelled although nothing else happens."""
    cancelled, told = threading.Event(), threading.Event()

    async def shadow_fn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    shadow = ShadowDeployment(answer, shadow_fn, timeout=0.01, on_result=lambda _: told.set())
    await shadow.acall()
    with anyio.fail_after(WAIT_SECONDS):
        while not (cancelled.is_set() and told.is_set()):
            await anyio.lowlevel.checkpoint()
    await shadow.ashutdown()
    assert outcomes(shadow) == {"timed_out": 1}


def test_coroutines_that_refuse_to_end_do_not_add_up(make_shadow: Make, clock: ManualClock) -> None:
    """One that ignores its cancellation gives its place to others, but only so many do."""
    began, go_on = list[int](), asyncio.Event()

    async def shadow_fn(n: int) -> str:
        began.append(n)
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue
        return "answer"

    async def main() -> None:
        shadow = make_shadow(answer, shadow_fn, max_workers=2, timeout=30.0)
        for n in range(8):
            await shadow.acall(n)
        for _ in range(4):
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance(31.0)
            shadow.status()
        assert began == [0, 1, 2, 3]
        assert shadow.status()["overdue"] == 4
        go_on.set()
        await shadow.ashutdown()
        assert outcomes(shadow) == {"match": 4, "timed_out": 4}
        assert shadow.status()["overdue"] == 0

    within_time(main)


# How they end


def test_the_end_of_a_loop_drops_its_shadows(make_shadow: Make, caplog: pytest.LogCaptureFixture) -> None:
    """When the caller's loop ends, its shadows are cancelled with it, none begins on it, and nobody complains."""
    began: list[int] = []

    async def shadow_fn(n: int) -> None:
        began.append(n)
        await asyncio.Event().wait()

    shadow = make_shadow(answer, shadow_fn, max_workers=2)

    async def main() -> None:
        for n in range(4):
            await shadow.acall(n)
        await asyncio.sleep(0)

    within_time(main)
    gc.collect()
    assert began == [0, 1]
    assert (outcomes(shadow), shadow.status()["pending"]) == ({"dropped": 4}, 0)
    assert not caplog.records


def test_a_loop_closed_under_its_shadows_drops_them(make_shadow: Make) -> None:
    """A loop that is closed without cancelling its tasks never runs them; they do not stay pending."""

    async def shadow_fn() -> None:
        await asyncio.Event().wait()

    shadow = make_shadow(answer, shadow_fn, max_workers=1)
    loop = asyncio.new_event_loop()
    for _ in range(2):
        loop.run_until_complete(shadow.acall())
    assert shadow.status()["pending"] == 2
    loop.close()
    assert (shadow.status()["pending"], outcomes(shadow)) == (0, {"dropped": 2})
    gc.collect()


def test_a_coroutine_for_a_closed_loop_is_dropped(make_shadow: Make, gate: Any) -> None:
    """A plain function that returns a coroutine only when its caller's loop is closed has nowhere to run it."""

    def shadow_fn() -> Any:
        gate.wait()
        return answer()

    shadow = make_shadow(answer, shadow_fn)
    asyncio.run(shadow.acall())
    gate.open()
    shadow.shutdown()
    assert outcomes(shadow) == {"dropped": 1}


def test_cancellations_within_a_shadow_are_its_own(make_shadow: Make) -> None:
    """A shadow whose own timeout cancels it, or that raises CancelledError, is an error like any other."""

    async def shadow_fn(kind: str) -> str:
        if kind == "raise":
            raise asyncio.CancelledError
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "answer"
        return "never"

    async def main() -> None:
        shadow = make_shadow(answer, shadow_fn, max_workers=1)
        for kind in ("raise", "timeout", "raise", "timeout"):
            await shadow.acall(kind)
        await shadow.ashutdown()
        assert outcomes(shadow) == {"error": 2, "match": 2}

    within_time(main)


def test_shutdown_on_a_loop_cancels_its_coroutines(make_shadow: Make) -> None:
    """Blocking the loop until they end would be for ever, so they are dropped; others are waited for."""
    cancelled: list[bool] = []

    async def shadow_fn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    async def main() -> None:
        shadow = make_shadow(answer, shadow_fn, max_workers=1)
        await shadow.acall()
        await shadow.acall()
        await asyncio.sleep(0)
        shadow.shutdown()
        assert (shadow.status()["pending"], outcomes(shadow)) == (0, {"dropped": 2})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert cancelled
        assert asyncio.all_tasks() == {asyncio.current_task()}

    within_time(main)


@pytest.mark.parametrize("caller", ["plain", "loop"])
def test_a_coroutine_may_shut_down(make_shadow: Make, caller: str) -> None:
    """On its own loop shutdown does not wait for itself: the coroutine is dropped with the others."""
    ended = threading.Event()

    async def shadow_fn() -> None:
        shadow.shutdown()
        ended.set()

    shadow = make_shadow(lambda: "answer", shadow_fn)

    async def main() -> None:
        shadow.call()
        await asyncio.sleep(0)

    if caller == "loop":
        within_time(main)
    else:
        shadow.call()
    assert ended.wait(WAIT_SECONDS)
    assert outcomes(shadow) == {"dropped": 1}


@pytest.mark.parametrize("options", [{"wait": False}, {"timeout": 0.0}], ids=repr)
async def test_shutdown_need_not_wait(make_shadow: Make, options: dict[str, Any]) -> None:
    """Coroutines at work are cancelled, those that wait are dropped, and no thread is left."""
    began, cancelled = threading.Event(), threading.Event()

    async def shadow_fn() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    shadow = make_shadow(answer, shadow_fn, max_workers=1)
    await shadow.acall()
    await shadow.acall()
    with anyio.fail_after(WAIT_SECONDS):
        while not began.is_set():
            await anyio.lowlevel.checkpoint()
        await shadow.ashutdown(**options)
        while not cancelled.is_set():
            await anyio.lowlevel.checkpoint()
    assert (shadow.status()["pending"], outcomes(shadow)) == (0, {"dropped": 2})


async def test_as_a_context_manager_it_waits() -> None:
    """At the end of the block all shadows have ended."""
    async with ShadowDeployment(answer, answer) as shadow:
        await shadow.acall()
    assert outcomes(shadow) == {"match": 1}


def test_a_shutdown_may_be_cancelled(make_shadow: Make, gate: Any) -> None:
    """Who stops waiting is free at once; the shutdown goes on aside and ends when the shadows do."""
    shadow = make_shadow(answer, gate.wait)

    async def main() -> None:
        await shadow.acall()
        gate.await_arrivals(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await shadow.ashutdown()
        await shadow.acall()

    within_time(main)
    assert outcomes(shadow) == {"dropped": 1}
    gate.open()
    shadow.shutdown()
    assert outcomes(shadow) == {"mismatch": 1, "dropped": 1}


def test_the_own_loop_ends_with_a_deployment_that_nobody_holds() -> None:
    """One that is never shut down leaves no thread, and its last call is made all the same."""
    done = threading.Event()
    gc.disable()
    try:
        ShadowDeployment(lambda: "answer", answer, name="forgotten", on_result=lambda _: done.set()).call()
        assert done.wait(WAIT_SECONDS)
        for thread in threading.enumerate():
            if thread.name == "agent_canary forgotten":
                thread.join(WAIT_SECONDS)
    finally:
        gc.enable()
    assert "agent_canary forgotten" not in {thread.name for thread in threading.enumerate()}

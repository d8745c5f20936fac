"""The executor by itself: what other rooms will give it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from agent_canary import is_shadow
from agent_canary.failsafe import Failsafe
from agent_canary.shadow.executor import ShadowExecutor
from agent_canary.shadow.outcome import ShadowOutcome
from agent_canary.shadow.work import Work, is_async_function
from agent_canary.testing import ManualClock

WAIT_SECONDS = 10


@pytest.fixture
def executor(clock: ManualClock, gate: Any) -> Iterator[ShadowExecutor]:
    """Return an executor of one worker and a queue of two."""
    made = ShadowExecutor(1, 2, 30.0, clock, "executor", Failsafe("executor"))
    yield made
    made.shutdown(wait=False)
    gate.open()


def work(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Work:
    """Return a call to make."""
    return Work(function, args, kwargs, copy_context(), is_async=is_async_function(function))


async def coroutine(value: int) -> int:
    return value


def test_a_work_says_what_came_of_it(executor: ShadowExecutor) -> None:
    """Work that nobody compares is ignored or in error; its answer is there."""
    works = [work(int, "7"), work(coroutine, 7), work(int, "seven")]
    assert [executor.submit(each) for each in works] == [True] * 3
    executor.shutdown(timeout=WAIT_SECONDS)
    assert [each.outcome for each in works] == [ShadowOutcome.IGNORED, ShadowOutcome.IGNORED, ShadowOutcome.ERROR]
    assert [each.answer for each in works] == [7, 7, None]


def test_a_subclass_says_what_is_done(executor: ShadowExecutor) -> None:
    """A judgement is made as a shadow, and the report is not."""
    seen: list[tuple[str, bool]] = []

    class Judged(Work):
        def judge(self) -> ShadowOutcome:
            seen.append(("judge", is_shadow()))
            return ShadowOutcome.MATCH

        def report(self) -> None:
            seen.append(("report", is_shadow()))

    assert executor.submit(Judged(int, ("7",), {}, copy_context()))
    executor.shutdown(timeout=WAIT_SECONDS)
    assert seen == [("judge", True), ("report", False)]
    assert executor.status()["match"] == 1


def test_too_much_is_refused(executor: ShadowExecutor, gate: Any) -> None:
    """One works and two wait; what is more is refused, and what is refused is counted."""
    assert [executor.submit(work(gate.wait)) for _ in range(5)] == [True, True, True, False, False]
    assert not executor.has_room
    assert executor.status()["dropped"] == 2
    gate.open()
    executor.shutdown(timeout=WAIT_SECONDS)
    assert not executor.submit(work(int))
    assert executor.status()["dropped"] == 3


def test_submit_notices_what_hangs(executor: ShadowExecutor, clock: ManualClock, gate: Any) -> None:
    """The next work finds a worker although the only one hangs."""
    executor.submit(work(gate.wait))
    gate.await_arrivals(1)
    clock.advance(31.0)
    called = threading.Event()
    executor.submit(work(called.set))
    assert called.wait(WAIT_SECONDS)

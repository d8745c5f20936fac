"""Our own failures, and those of hooks, are counted and logged, and never raised."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agent_canary.failsafe import Failsafe


def divide(one: float, other: float) -> float:
    """A hook that may raise."""
    return one / other


async def adivide(one: float, other: float) -> float:
    """A hook that may raise when it is awaited."""
    await anyio.lowlevel.checkpoint()
    return one / other


@pytest.fixture
def failsafe() -> Failsafe:
    """One of the rollout "support"."""
    return Failsafe("support")


def test_at_first_nothing_has_failed(failsafe: Failsafe) -> None:
    """The counts are an empty object."""
    assert failsafe.counts == {}


def test_errors_are_counted_by_place(failsafe: Failsafe) -> None:
    """Each place has its own count, which JSON understands."""
    failsafe.note("key", ValueError("one"))
    failsafe.note("key", "two")
    failsafe.note("judge", KeyError("three"))
    assert json.loads(json.dumps(failsafe.counts)) == {"key": 2, "judge": 1}


def test_counts_are_a_copy(failsafe: Failsafe) -> None:
    """What a caller does with them changes nothing."""
    failsafe.note("key", "one")
    failsafe.counts["key"] = 99
    assert failsafe.counts == {"key": 1}


def test_the_first_error_of_a_place_is_logged_once(failsafe: Failsafe, caplog: pytest.LogCaptureFixture) -> None:
    """The line names rollout, place and error and where the others are counted, and has the traceback."""
    try:
        divide(1, 0)
    except ZeroDivisionError as error:
        failsafe.note("judge", error)
        assert len(caplog.records) == 1
        failsafe.note("judge", error)
    [record] = caplog.records
    assert record.name == "agent_canary"
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "agent_canary rollout 'support': judge failed: ZeroDivisionError('division by zero'); the request goes on. "
        'Further errors here are only counted (status()["errors"]).'
    )
    assert record.exc_info
    assert "divide(1, 0)" in caplog.text


def test_each_place_has_its_own_log_line(failsafe: Failsafe, caplog: pytest.LogCaptureFixture) -> None:
    """An error elsewhere is news again."""
    for where in ("key", "judge", "key", "judge"):
        failsafe.note(where, "broken")
    more = 'More of these are only counted (status()["errors"]).'
    assert [record.getMessage() for record in caplog.records] == [
        f"agent_canary rollout 'support': key: broken. {more}",
        f"agent_canary rollout 'support': judge: broken. {more}",
    ]
    assert not any(record.exc_info for record in caplog.records)


def test_two_rollouts_count_apart(failsafe: Failsafe) -> None:
    """There is no global count."""
    failsafe.note("key", "one")
    assert Failsafe("other").counts == {}


def test_call_returns_what_the_function_returns(failsafe: Failsafe) -> None:
    """With its arguments, and nothing is counted."""
    assert failsafe.call("judge", divide, 3.0, 2.0) == 1.5
    assert failsafe.counts == {}


def test_call_returns_the_default_when_the_function_raises(failsafe: Failsafe) -> None:
    """None unless another one is given; the error is counted."""
    assert failsafe.call("judge", divide, 1, 0) is None
    assert failsafe.call("judge", divide, 1, 0, default=0.5) == 0.5
    assert failsafe.counts == {"judge": 2}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_call_lets_what_is_no_exception_pass(failsafe: Failsafe, interruption: type[BaseException]) -> None:
    """Ctrl-C and cancellation are no failures of a hook."""

    def interrupt() -> None:
        raise interruption

    with pytest.raises(interruption):
        failsafe.call("judge", interrupt)
    assert failsafe.counts == {}


@pytest.mark.anyio
class TestAcall:
    """The twin for hooks that may be coroutine functions."""

    @pytest.mark.parametrize("function", [divide, adivide])
    async def test_call_returns_what_the_function_returns(
        self, failsafe: Failsafe, function: Callable[..., float | Awaitable[float]]
    ) -> None:
        """A result that can be awaited is awaited, another is returned."""
        assert await failsafe.acall("judge", function, 3.0, 2.0) == 1.5
        assert failsafe.counts == {}

    @pytest.mark.parametrize("function", [divide, adivide])
    async def test_call_returns_the_default_when_the_function_raises(
        self, failsafe: Failsafe, function: Callable[..., float | Awaitable[float]]
    ) -> None:
        """At the call or while it is awaited."""
        assert await failsafe.acall("judge", function, 1, 0) is None
        assert await failsafe.acall("judge", function, 1, 0, default=0.5) == 0.5
        assert failsafe.counts == {"judge": 2}

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
    async def test_call_lets_what_is_no_exception_pass(
        self, failsafe: Failsafe, interruption: type[BaseException]
    ) -> None:
        """Cancellation of the task that awaits a hook goes through."""

        def interrupt() -> Any:
            raise interruption

        with pytest.raises(interruption):
            await failsafe.acall("judge", interrupt)
        assert failsafe.counts == {}


def test_threads_count_exactly(failsafe: Failsafe, caplog: pytest.LogCaptureFixture) -> None:
    """Eight threads with five hundred errors each make four thousand, and one log line."""
    caplog.set_level(logging.ERROR)
    start = threading.Barrier(8)

    def fail() -> None:
        start.wait(timeout=10)
        for _ in range(500):
            failsafe.call("judge", divide, 1, 0)

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failsafe.counts == {"judge": 4000}
    assert len(caplog.records) == 1


def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent(failsafe: Failsafe) -> None:
    """A lock that a thread of the parent held at the fork is made anew; the counts stay."""
    failsafe.note("key", "one")
    failsafe._lock.acquire()
    failsafe.forked()
    failsafe.note("key", "two")
    assert failsafe.counts == {"key": 2}

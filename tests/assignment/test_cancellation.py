"""Real cancellations, of both event loops and of generators."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import anyio
import anyio.lowlevel

from agent_canary import AgentCanary, Assignment, current_assignment
from tests.canary.kit import counted, key_on


async def test_a_cancelled_task_is_no_failure(canary: AgentCanary, assignment: Assignment) -> None:
    """asyncio.CancelledError and trio.Cancelled alike: counted as cancelled, and the cancellation goes on."""
    with anyio.CancelScope() as scope:
        async with assignment:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert counted(canary, "v2") == (0, 0, 1)


async def test_a_time_limit_of_the_app_is_a_failure(canary: AgentCanary, assignment: Assignment) -> None:
    """An app that gives up on its answer raises TimeoutError, which is its own exception."""
    try:
        async with assignment:
            with anyio.fail_after(0):
                await anyio.lowlevel.checkpoint()
    except TimeoutError:
        pass
    assert counted(canary, "v2") == (0, 1, 0)


async def test_a_group_with_a_failed_task_is_a_failure(canary: AgentCanary, assignment: Assignment) -> None:
    """One task failed, and the others were cancelled for it."""

    async def fail() -> None:
        raise RuntimeError

    try:
        async with assignment, anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.start_soon(fail)
    except* RuntimeError:
        pass
    assert counted(canary, "v2") == (0, 1, 0)


def test_a_closed_generator_is_no_failure(canary: AgentCanary, assignment: Assignment) -> None:
    """The consumer of a stream left."""

    def stream() -> Generator[int]:
        with assignment:
            yield 1
            yield 2

    chunks = stream()
    assert next(chunks) == 1
    chunks.close()
    assert counted(canary, "v2") == (0, 0, 1)
    assert current_assignment() is None


async def test_a_closed_asynchronous_generator_is_no_failure(canary: AgentCanary, assignment: Assignment) -> None:
    """The same for asynchronous streams."""

    async def stream() -> AsyncGenerator[int]:
        async with assignment:
            yield 1
            yield 2

    chunks = stream()
    assert await anext(chunks) == 1
    await chunks.aclose()
    assert counted(canary, "v2") == (0, 0, 1)


async def test_cancelling_one_request_leaves_the_others(canary: AgentCanary) -> None:
    """Each of several tasks has its own outcome, and sees its own assignment."""
    seen: dict[str, Assignment | None] = {}

    async def request(key: str, *, waits: bool) -> None:
        async with canary.assign(key) as assignment:
            await anyio.lowlevel.checkpoint()
            seen[key] = current_assignment()
            assert seen[key] is assignment
            if waits:
                await anyio.sleep_forever()

    keys = [key_on(canary, "v2", number) for number in range(4)]
    async with anyio.create_task_group() as group:
        for number, key in enumerate(keys):
            group.start_soon(lambda key=key, number=number: request(key, waits=number < 2))
        while len(seen) < 4:
            await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert counted(canary, "v2") == (2, 0, 2)

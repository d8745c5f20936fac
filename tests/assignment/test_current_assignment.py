"""Where the current assignment is seen: copied contexts, tasks, joined assignments, streams."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest

from agent_canary import AgentCanary, Assignment, Outcome, current_assignment
from agent_canary.context import shadow_scope
from tests.canary.kit import counted, key_on


def in_thread(function: Callable[[], Assignment | None]) -> Assignment | None:
    """Return what a new thread finds."""
    found: list[Assignment | None] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(timeout=10)
    return found[0]


def test_a_thread_with_a_copied_context_sees_it(assignment: Assignment) -> None:
    """Tools that run in threads know the version."""
    with assignment:
        context = contextvars.copy_context()
        assert in_thread(lambda: context.run(current_assignment)) is assignment


def test_a_thread_of_its_own_does_not(assignment: Assignment) -> None:
    """It serves nobody's request."""
    with assignment:
        assert in_thread(current_assignment) is None


async def test_worker_threads_see_it(assignment: Assignment) -> None:
    """Of anyio on both event loops."""
    async with assignment:
        assert await anyio.to_thread.run_sync(current_assignment) is assignment


def test_asyncio_s_threads_and_tasks_see_it(assignment: Assignment) -> None:
    """``asyncio.to_thread``, tasks and callbacks copy the context."""

    async def main() -> list[Assignment | None]:
        async with assignment:
            task = asyncio.create_task(find())
            called = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(lambda: called.set_result(current_assignment()))
            return [await asyncio.to_thread(current_assignment), await task, await called]

    async def find() -> Assignment | None:
        return current_assignment()

    assert asyncio.run(main()) == [assignment] * 3


async def test_tasks_see_it(assignment: Assignment) -> None:
    """Child tasks inherit it, and what they enter themselves does not come back to their parent."""
    found: list[Assignment | None] = []

    async def child() -> None:
        found.append(current_assignment())

    async with assignment, anyio.create_task_group() as group:
        group.start_soon(child)
    assert found == [assignment]


async def test_an_assign_in_a_task_joins(canary: AgentCanary, assignment: Assignment) -> None:
    """A parallel tool call of one answer is the same request."""

    async def tool() -> None:
        async with canary.assign("another key") as joined:
            assert joined.version == assignment.version

    async with assignment, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(tool)
    assert counted(canary, "v2") == (1, 0, 0)


# Joined assignments


def test_what_a_joined_one_reports_is_the_outer_one_s(canary: AgentCanary, assignment: Assignment) -> None:
    """Scores, usage and first token; its id is the same."""
    with assignment:
        joined = canary.assign("another key")
        joined.score("judge", 1)
        joined.usage(output_tokens=7)
        joined.first_token()
        joined.cancel()
        joined.succeed()
        assert joined.id == assignment.id
        assert (joined.version, joined.unit) == (assignment.version, assignment.unit)
    snapshot = canary.metrics("v2").snapshot()
    assert snapshot["scores"] == {"judge": {"count": 1, "mean": 1.0}}
    assert snapshot["output_tokens"] == 7
    assert canary.metrics("v2").totals.first_token.count == 1
    assert counted(canary, "v2") == (1, 0, 0)


def test_a_joined_one_that_says_it_failed_fails_the_outer_one(canary: AgentCanary, assignment: Assignment) -> None:
    """Whatever the outer block makes of it; an exception that merely leaves the joined block is the outer one's."""
    with assignment:
        with suppress(KeyError), canary.assign("another key"):
            raise KeyError
        assert assignment.outcome is None
        canary.assign("another key").fail("empty answer")
    assert counted(canary, "v2") == (0, 1, 0)


def test_a_block_that_is_entered_twice_does_not_raise(canary: AgentCanary, assignment: Assignment) -> None:
    """It ends once, and nothing stays current."""
    with assignment, assignment:
        assert current_assignment() is assignment
    assert current_assignment() is None
    assert counted(canary, "v2") == (1, 0, 0)


def test_joined_ones_may_be_nested(canary: AgentCanary, assignment: Assignment) -> None:
    """Any depth; one outcome."""
    with assignment, canary.assign("a"), canary.assign("b") as innermost:
        assert innermost.version == "v2"
        with innermost.active():
            assert current_assignment() is assignment
    assert counted(canary, "v2") == (1, 0, 0)


def test_nothing_joins_an_assignment_that_has_ended(canary: AgentCanary, assignment: Assignment) -> None:
    """A background job that runs in the request's context is a request of its own."""
    on_stable = key_on(canary, "v1")
    with assignment:
        joined = canary.assign("a")
        assignment.succeed()
        assert canary.assign(on_stable).version == "v1"
        with joined.active():
            assert canary.assign(on_stable).version == "v1"


def test_another_canary_does_not_join(canary: AgentCanary, make_canary: Callable[..., AgentCanary]) -> None:
    """Two rollouts in one app, one for the agent and one for its search tool."""
    tool = make_canary(name="tool")
    key = key_on(canary, "v2")
    with canary.assign(key), tool.assign(key_on(tool, "v1")) as inner:
        assert inner.version == "v1"
    assert counted(tool, "v1") == (1, 0, 0)
    assert counted(canary, "v2") == (1, 0, 0)


def test_a_shadow_neither_joins_nor_counts(canary: AgentCanary, assignment: Assignment) -> None:
    """What runs unseen sees no request of a user, and its own are not booked."""
    with assignment:
        with shadow_scope(), canary.assign(key_on(canary, "v1")) as unseen:
            assert unseen.version == "v1"
            assert current_assignment() is unseen
        assert current_assignment() is assignment
    assert (counted(canary, "v1"), counted(canary, "v2")) == ((0, 0, 0), (1, 0, 0))


# Streams


def a_stream(assignment: Assignment) -> Iterator[Assignment | None]:
    """Yield what each step sees, as an adapter's body iterator does."""
    for _ in range(3):
        with assignment.active():
            found = current_assignment()
        yield found


def test_a_step_of_a_stream_sees_it_and_its_consumer_does_not(canary: AgentCanary, assignment: Assignment) -> None:
    """Between two steps the consumer may serve other requests; the block does not end it."""
    for found in a_stream(assignment):
        assert found is assignment
        assert current_assignment() is None
        with canary.assign(key_on(canary, "v1")) as other:
            assert other.version == "v1"
    assert assignment.outcome is None
    assignment.succeed()
    assert counted(canary, "v2") == (1, 0, 0)


def test_two_streams_may_take_turns(canary: AgentCanary) -> None:
    """Each step sees its own."""
    first, second = canary.assign("a"), canary.assign("b")
    for one, other in zip(a_stream(first), a_stream(second), strict=True):
        assert (one, other) == (first, second)


def test_an_exception_in_a_step_ends_nothing(assignment: Assignment) -> None:
    """Who drives the stream decides how it ended."""
    with pytest.raises(RuntimeError), assignment.active():
        raise RuntimeError
    assert assignment.outcome is None
    assert current_assignment() is None


def test_a_stream_may_be_closed_from_a_foreign_context(canary: AgentCanary, assignment: Assignment) -> None:
    """Servers close bodies in other threads and tasks: no error, and the assignment ends there."""

    def stream() -> Generator[int]:
        with assignment:
            yield 1

    chunks = stream()
    contextvars.copy_context().run(next, chunks)
    contextvars.copy_context().run(chunks.close)
    assert assignment.outcome is Outcome.CANCELLED
    assert current_assignment() is None
    assert canary.status()["errors"] == {}


def test_a_step_may_end_in_a_foreign_context(assignment: Assignment) -> None:
    """The same for a single step."""
    step = assignment.active()
    contextvars.copy_context().run(step.__enter__)
    contextvars.copy_context().run(step.__exit__, None, None, None)
    assert current_assignment() is None

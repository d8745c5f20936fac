"""Where the assignment is seen, in the asynchronous methods. The synchronous twin has the same tests."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda, RunnableParallel

from agent_canary import AgentCanary, Outcome, current_assignment
from agent_canary_langchain import CanaryRunnable

pytestmark = pytest.mark.anyio


async def test_the_version_sees_its_assignment(wrap: Any, probe: Any, alice: Any) -> None:
    """In each method, and in what the version calls: other steps, and tasks and threads that LangChain starts."""

    def helper(value: Any) -> Any:
        return probe.answering(value).invoke(value)

    version = RunnableParallel(a=probe.answering("a"), b=RunnableLambda(helper)) | probe.answering("c")
    wrapper = wrap(version)
    await wrapper.ainvoke(1, alice)
    assert [chunk async for chunk in wrapper.astream(1, alice)]
    assert [chunk async for chunk in wrapper.atransform(_chunks(1), alice)]
    await wrapper.abatch([1, 2], [alice, alice])
    assert len(probe.seen) == 15
    assert all(assignment is not None and assignment.version == "v2" for assignment in probe.seen)
    assert len({id(assignment) for assignment in probe.seen}) == 5


async def test_nobody_else_sees_it(wrap: Any, probe: Any, alice: Any) -> None:
    """Neither who consumes a stream nor who calls, after an answer or an error."""
    wrapper = wrap(probe.streaming("a", "b"))
    async for _ in wrapper.astream(1, alice):
        assert current_assignment() is None
    assert current_assignment() is None
    await wrapper.ainvoke(1, alice)
    assert current_assignment() is None
    with pytest.raises(LookupError):
        await wrap(probe.answering(LookupError())).ainvoke(1, alice)
    assert current_assignment() is None
    assert None not in probe.seen


async def test_the_steps_before_do_not_see_it(wrap: Any, probe: Any, alice: Any) -> None:
    """The inputs of a transform are read in the context of its consumer, though the version pulls them."""
    seen_before: list[Any] = []
    answered = contextvars.ContextVar("answered", default=0)

    async def source() -> AsyncIterator[int]:
        for number in range(3):
            seen_before.append((current_assignment(), answered.get()))
            yield number

    async def version(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            probe.note()
            answered.set(answered.get() + 1)
            yield number

    stream = wrap(RunnableGenerator(version)).atransform(source(), alice)
    assert [chunk async for chunk in stream] == [0, 1, 2]
    assert seen_before == [(None, 0)] * 3
    assert probe.assignment.outcome is Outcome.SUCCEEDED


async def test_a_stream_may_be_read_from_many_contexts(wrap: Any, probe: Any, alice: Any) -> None:
    """A server may take each step of a stream in a task and a context of its own."""
    stream = wrap(probe.streaming("a", "b", "c")).astream(1, alice)
    chunks = [await asyncio.create_task(_step(stream)) for _ in range(3)]
    await asyncio.create_task(stream.aclose())
    assert chunks == ["a", "b", "c"]
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert current_assignment() is None


async def test_calls_at_the_same_time_do_not_mix(wrap: Any, probe: Any, alice: Any, bob: Any) -> None:
    """Each of two calls sees its own assignment only, however their steps fall."""
    stable, version = probe.streaming("s", "s"), probe.streaming("c", "c")
    wrapper = wrap(version, stable)
    streams = [wrapper.astream(1, alice), wrapper.astream(1, bob)]
    assert [await anext(stream) for stream in (*streams, *streams)] == ["c", "s", "c", "s"]
    for stream in streams:
        await stream.aclose()
    versions = [assignment.version for assignment in probe.seen]
    assert versions == ["v2", "v1", "v2", "v1", "v2", "v1"]


async def test_a_wrapper_inside_a_version_joins_it(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """Wrappers of one canary inside each other are one request, on one version, whatever their keys."""
    inner = wrap(probe.answering("inner"))

    async def outer(value: Any) -> Any:
        probe.note()
        return await inner.ainvoke(value, {"configurable": {"thread_id": "bob"}})

    assert await wrap(RunnableLambda(outer)).ainvoke(1, alice) == "inner"
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert (canary.metrics("v2").total, canary.metrics("v1").total) == (1, 0)


async def test_what_fails_inside_counts_once(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """The outer call has the one outcome: a version that raised has failed, also where a fallback hides it."""
    inner = wrap(probe.answering(LookupError()))

    async def outer(value: Any) -> Any:
        with pytest.raises(LookupError):
            await inner.ainvoke(value)
        return "survived"

    assert await wrap(RunnableLambda(outer)).ainvoke(1, alice) == "survived"
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (0, 1)


async def test_a_wrapper_of_another_canary_counts_apart(
    make_canary: Callable[..., AgentCanary], wrap: Any, probe: Any, alice: Any
) -> None:
    """Two rollouts at two depths of one chain are two requests, each with its own version."""
    retrieval = make_canary("r1", "r2", name="retrieval")
    versions: dict[str, Runnable[Any, Any]] = {"r1": probe.answering("r1"), "r2": probe.answering("r2")}
    inner: CanaryRunnable[Any, Any] = CanaryRunnable(retrieval, versions)
    wrapper = wrap(probe.answering("a") | inner | probe.answering("b"))
    assert await wrapper.ainvoke(1, alice) == "b"
    assert [assignment.version for assignment in probe.seen] == ["v2", "r2", "v2"]
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.SUCCEEDED] * 3
    assert retrieval.metrics("r2").total == 1


async def test_a_call_inside_an_assignment_joins_it(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """What a web adapter has assigned for the request holds for the chains that serve it, streams included."""
    wrapper = wrap(probe.answering("canary"), probe.answering("stable"))
    async with canary.assign("bob") as assignment:
        assert await wrapper.ainvoke(1, alice) == "stable"
        assert [chunk async for chunk in wrapper.astream(1, alice)] == ["stable"]
        assert assignment.outcome is None
    assert probe.assignment is assignment
    assert assignment.details is not None
    assert assignment.details.first_token_at is not None
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (1, 0)


async def _chunks(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def _step(stream: AsyncIterator[Any]) -> Any:
    return await anext(stream)

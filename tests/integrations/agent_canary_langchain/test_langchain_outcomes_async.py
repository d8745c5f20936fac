"""How a call's end is told, in the asynchronous methods. The synchronous twin has the same tests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import anyio.lowlevel
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from agent_canary import AgentCanary, Outcome
from agent_canary.testing import ManualClock

pytestmark = pytest.mark.anyio


async def test_an_answer_succeeds(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """A call that returns is a success of its version, and its answer is the version's."""
    assert await wrap(probe.answering(lambda value: value + 1)).ainvoke(1, alice) == 2
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert probe.assignment.version == "v2"
    assert (canary.metrics("v2").successes, canary.metrics("v1").total) == (1, 0)


async def test_an_exception_fails_and_is_raised_unchanged(
    canary: AgentCanary, wrap: Any, probe: Any, alice: Any
) -> None:
    """The app's exception is a failure that names it, and reaches the caller as the same object."""
    error = LookupError("no such tool")
    with pytest.raises(LookupError) as caught:
        await wrap(probe.answering(error)).ainvoke(1, alice)
    assert caught.value is error
    assert probe.assignment.outcome is Outcome.FAILED
    assert probe.assignment.details.failure == "LookupError"
    assert canary.metrics("v2").failures == 1


@pytest.mark.parametrize("method", ["ainvoke", "astream", "atransform"])
async def test_a_cancellation_is_neither(canary: AgentCanary, wrap: Any, probe: Any, alice: Any, method: str) -> None:
    """A cancelled task says nothing about the version, whichever method it was in."""
    started = asyncio.Event()

    async def version(value: Any) -> Any:
        probe.note()
        started.set()
        await asyncio.Event().wait()

    async def call() -> None:
        wrapper = wrap(RunnableLambda(version))
        if method == "ainvoke":
            await wrapper.ainvoke(1, alice)
        else:
            source = _chunks(1) if method == "atransform" else 1
            async for _ in getattr(wrapper, method)(source, alice):
                pass

    task = asyncio.create_task(call())
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert canary.metrics("v2").total == 0


async def test_the_latency_is_the_versions(
    canary: AgentCanary, wrap: Any, probe: Any, clock: ManualClock, alice: Any
) -> None:
    """The time from the assignment to the answer is booked, in milliseconds."""
    await wrap(probe.answering(lambda value: clock.advance(2.0))).ainvoke(1, alice)
    assert canary.metrics("v2").p50_ms == pytest.approx(2000.0, rel=0.01)


async def test_a_stream_succeeds_with_its_last_chunk(wrap: Any, probe: Any, clock: ManualClock, alice: Any) -> None:
    """A stream is a success when it has been read to its end; its first chunk is its first token."""
    began = clock.monotonic()
    version = probe.streaming(lambda: clock.advance(1.0) or "a", lambda: clock.advance(2.0) or "b")
    stream = wrap(version).astream(1, alice)
    assert await anext(stream) == "a"
    assert probe.assignment.outcome is None
    assert [chunk async for chunk in stream] == ["b"]
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert probe.assignment.details.first_token_at - began == 1.0
    assert probe.assignment.ended_at - began == 3.0


async def test_a_stream_that_fails_before_its_first_chunk_fails(wrap: Any, probe: Any, alice: Any) -> None:
    """Nothing had been answered, so there is a failure and no first token."""
    with pytest.raises(LookupError):
        await anext(wrap(probe.streaming(LookupError())).astream(1, alice))
    assert probe.assignment.outcome is Outcome.FAILED
    assert probe.assignment.details.first_token_at is None


async def test_a_stream_that_fails_after_its_first_chunk_fails(wrap: Any, probe: Any, alice: Any) -> None:
    """Half an answer is none."""
    error = LookupError()
    stream = wrap(probe.streaming("a", error)).astream(1, alice)
    assert await anext(stream) == "a"
    with pytest.raises(LookupError) as caught:
        await anext(stream)
    assert caught.value is error
    assert probe.assignment.outcome is Outcome.FAILED
    assert probe.assignment.details.failure == "LookupError"


async def test_a_consumer_that_closes_the_stream_is_neither(
    canary: AgentCanary, wrap: Any, probe: Any, alice: Any
) -> None:
    """The version's stream is closed, under its assignment, and the request says nothing about the version."""
    stream = wrap(probe.streaming("a", "b")).astream(1, alice)
    assert await anext(stream) == "a"
    await stream.aclose()
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert len(probe.seen) == 2
    assert canary.metrics("v2").total == 0


async def test_a_consumer_that_loses_the_stream_is_neither(wrap: Any, probe: Any, alice: Any) -> None:
    """A stream that is dropped without being closed ends when the event loop has collected it."""
    stream = wrap(probe.streaming("a", "b")).astream(1, alice)
    assert await anext(stream) == "a"
    del stream
    await _collected(probe)
    assert probe.assignment.outcome is Outcome.CANCELLED


async def test_a_consumer_of_a_chain_that_stops_is_neither(wrap: Any, probe: Any, alice: Any) -> None:
    """The same when the wrapper is a chain's last step."""
    stream = (RunnableLambda(str) | wrap(probe.streaming("a", "b"))).astream(1, alice)
    assert await anext(stream) == "a"
    await stream.aclose()
    del stream
    await _collected(probe)
    assert probe.assignment.outcome is Outcome.CANCELLED


async def test_a_stream_that_nobody_reads_is_no_request(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """Nothing is assigned before the first step."""
    wrap(probe.streaming("a")).astream(1, alice)
    assert not probe.seen
    assert canary.status()["open_assignments"] == 0


async def test_a_cleanup_that_raises_is_the_apps_error(wrap: Any, probe: Any, recorder: Any, alice: Any) -> None:
    """An error in the version's own cleanup reaches who closes the stream, and every run of the trace has ended."""

    class Version(Runnable[Any, str]):
        def invoke(self, value: Any, config: Any = None, **kwargs: Any) -> str:
            raise NotImplementedError

        async def astream(self, value: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[str]:
            try:
                probe.note()
                yield "a"
            finally:
                raise LookupError("cleanup")

    stream = wrap(Version()).astream(1, {**alice, "callbacks": [recorder]})
    await anext(stream)
    with pytest.raises(LookupError, match="cleanup"):
        await stream.aclose()
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert recorder.all_ended


async def test_transform_passes_its_input_on_as_it_comes(wrap: Any, probe: Any, alice: Any) -> None:
    """A version that can answer before its input is complete does."""
    read: list[str] = []

    async def source() -> AsyncIterator[str]:
        for part in ("a", "b"):
            read.append(part)
            yield part

    async def shout(parts: AsyncIterator[str]) -> AsyncIterator[str]:
        async for part in parts:
            probe.note()
            yield part.upper()

    stream = wrap(RunnableGenerator(shout)).atransform(source(), alice)
    assert await anext(stream) == "A"
    assert read == ["a"]
    assert [chunk async for chunk in stream] == ["B"]
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert probe.assignment.details.first_token_at is not None


async def test_an_input_without_chunks_is_passed_on(wrap: Any, probe: Any, alice: Any) -> None:
    """What an empty input means is the version's business."""

    async def version(parts: AsyncIterator[str]) -> AsyncIterator[str]:
        probe.note()
        yield f"{len([part async for part in parts])} parts"

    stream = wrap(RunnableGenerator(version)).atransform(_chunks(), alice)
    assert [chunk async for chunk in stream] == ["0 parts"]
    assert probe.assignment.outcome is Outcome.SUCCEEDED


async def test_an_input_that_fails_at_once_is_no_request(
    canary: AgentCanary, wrap: Any, probe: Any, alice: Any
) -> None:
    """The steps before the version begin first; what they raise then, no version has seen."""
    chain = probe.streaming(LookupError()) | wrap(probe.answering("a"))
    with pytest.raises(LookupError):
        await anext(chain.astream(1, alice))
    assert probe.seen == [None, None]
    assert (canary.metrics("v2").total, canary.status()["open_assignments"]) == (0, 0)


async def test_an_input_that_fails_later_is_not_the_versions_failure(
    canary: AgentCanary, wrap: Any, probe: Any, alice: Any
) -> None:
    """The steps before run inside the version that reads them, and their errors pass through it."""
    error = LookupError()

    async def source() -> AsyncIterator[str]:
        yield "a"
        raise error

    async def version(parts: AsyncIterator[str]) -> AsyncIterator[str]:
        async for part in parts:
            probe.note()
            yield part

    stream = wrap(RunnableGenerator(version)).atransform(source(), alice)
    assert await anext(stream) == "a"
    with pytest.raises(LookupError) as caught:
        await anext(stream)
    assert caught.value is error
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert canary.metrics("v2").total == 0


async def test_the_time_of_the_steps_before_is_not_the_versions(
    wrap: Any, probe: Any, clock: ManualClock, alice: Any
) -> None:
    """The clock of a request in a streamed chain begins with the version's input."""

    async def slow(values: AsyncIterator[Any]) -> AsyncIterator[str]:
        clock.advance(60.0)
        yield "question"

    def answer(value: str) -> str:
        clock.advance(1.0)
        return value

    stream = (RunnableGenerator(slow) | wrap(probe.answering(answer))).astream(1, alice)
    assert [chunk async for chunk in stream] == ["question"]
    assert probe.assignment.ended_at - probe.assignment.started_at == 1.0


async def test_a_handler_that_raises_is_not_the_versions_failure(
    canary: AgentCanary, wrap: Any, probe: Any, alice: Any
) -> None:
    """A callback handler that insists on its errors stops the call before any version ran."""

    class Strict(BaseCallbackHandler):
        raise_error = True

        def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            raise LookupError("handler")

    with pytest.raises(LookupError, match="handler"):
        await wrap(probe.answering("a")).ainvoke(1, {**alice, "callbacks": [Strict()]})
    assert not probe.seen
    assert (canary.metrics("v2").total, canary.status()["open_assignments"]) == (0, 0)


async def test_each_input_of_a_batch_has_its_own_version(
    canary: AgentCanary, wrap: Any, probe: Any, alice: Any, bob: Any
) -> None:
    """Every input counts as one request of the version of its own config."""
    wrapper = wrap(probe.answering("canary"))
    assert await wrapper.abatch([1, 2, 3], [alice, bob, alice]) == ["canary", "stable", "canary"]
    assert (canary.metrics("v2").successes, canary.metrics("v1").successes) == (2, 1)
    assert await wrapper.abatch([]) == []


async def test_a_batch_fails_by_input(canary: AgentCanary, wrap: Any, probe: Any, alice: Any, bob: Any) -> None:
    """One input's error is one failure, of its version, and with return_exceptions it is the input's answer."""
    error = LookupError()
    wrapper = wrap(probe.answering(error))
    assert await wrapper.abatch([1, 2], [alice, bob], return_exceptions=True) == [error, "stable"]
    assert (canary.metrics("v2").failures, canary.metrics("v1").successes) == (1, 1)


async def test_a_batch_comes_as_completed(canary: AgentCanary, wrap: Any, probe: Any, alice: Any, bob: Any) -> None:
    """The other form of a batch counts the same."""
    wrapper = wrap(probe.answering("canary"))
    answers = dict([answer async for answer in wrapper.abatch_as_completed([1, 2], [alice, bob])])
    assert answers == {0: "canary", 1: "stable"}
    assert (canary.metrics("v2").successes, canary.metrics("v1").successes) == (1, 1)


async def _chunks(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def _collected(probe: Any) -> None:
    """Let the event loop close what nobody holds any more."""
    gc.collect()
    for _ in range(1000):
        if probe.assignment.outcome is not None:
            return
        await anyio.lowlevel.checkpoint()

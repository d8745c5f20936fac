"""What ``astream_events`` and ``astream_log`` tell; both are asynchronous only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from agent_canary import Outcome, current_assignment

pytestmark = pytest.mark.anyio

NAME = "CanaryRunnable<agent>"


async def events_of(runnable: Any, value: Any, config: Any) -> list[Any]:
    """Return all events of a call."""
    return [event async for event in runnable.astream_events(value, config, version="v2")]


async def test_events_of_the_wrapper_enclose_the_versions(wrap: Any, probe: Any, alice: Any) -> None:
    """Begin, chunks and end of the wrapper's run, with its input and its whole answer."""
    events = await events_of(wrap(probe.streaming("a", "b")), 1, alice)
    own = [event for event in events if event["name"] == NAME]
    assert [event["event"] for event in own] == ["on_chain_start", "on_chain_stream", "on_chain_stream", "on_chain_end"]
    assert own[0]["data"] == {"input": 1}
    assert [event["data"]["chunk"] for event in own[1:3]] == ["a", "b"]
    assert own[3]["data"]["output"] == "ab"
    assert events[0] is own[0]
    assert events[-1] is own[-1]
    assert probe.assignment.outcome is Outcome.SUCCEEDED


async def test_events_tell_the_version_and_the_parents(wrap: Any, scripted: Any, alice: Any) -> None:
    """Every event below the wrapper is tagged; the wrapper's run is the parent of the version's."""
    version = ChatPromptTemplate.from_template("Say {word}") | scripted(text="well hello")
    events = await events_of(wrap(version), {"word": "hello"}, alice)
    assert all("version:v2" in event["tags"] for event in events)
    assert all(event["metadata"]["agent_canary_version"] == "v2" for event in events)
    wrapper = events[0]["run_id"]
    streamed = [event["data"]["chunk"].content for event in events if event["event"] == "on_chat_model_stream"]
    assert streamed[:2] == ["well", "hello"]
    sequence = next(event for event in events if event["name"] == "RunnableSequence")
    model = next(event for event in events if event["name"] == "ScriptedModel")
    assert sequence["parent_ids"] == [wrapper]
    assert model["parent_ids"] == [wrapper, sequence["run_id"]]


async def test_events_of_a_chain_show_the_wrappers_chunks(wrap: Any, probe: Any, alice: Any) -> None:
    """The same when the wrapper is a step of a streamed chain."""
    chain = RunnableLambda(str) | wrap(probe.streaming("a", "b"))
    events = await events_of(chain, 1, alice)
    own = [event for event in events if event["name"] == NAME]
    assert [event["event"] for event in own] == ["on_chain_start", "on_chain_stream", "on_chain_stream", "on_chain_end"]
    assert own[-1]["data"] == {"input": "1", "output": "ab"}


async def test_events_of_an_invoked_wrapper(wrap: Any, probe: Any, alice: Any) -> None:
    """A call inside a function is seen through LangChain's own context."""
    wrapper = wrap(probe.answering("canary"))

    async def call(value: Any) -> Any:
        return await wrapper.ainvoke(value)

    events = await events_of(RunnableLambda(call), 1, alice)
    own = [event for event in events if event["name"] == NAME]
    assert [event["event"] for event in own] == ["on_chain_start", "on_chain_end"]
    assert own[-1]["data"] == {"input": 1, "output": "canary"}


async def test_a_consumer_of_events_that_stops_is_neither(wrap: Any, probe: Any, alice: Any) -> None:
    """LangChain cancels the task in which the request runs."""

    async def version(values: AsyncIterator[Any]) -> AsyncIterator[str]:
        probe.note()
        yield "a"
        await asyncio.Event().wait()

    events = wrap(version).astream_events(1, alice, version="v2")
    async for event in events:
        assert current_assignment() is None
        if event["event"] == "on_chain_stream":
            break
    await events.aclose()
    assert probe.assignment.outcome is Outcome.CANCELLED


@pytest.mark.filterwarnings("ignore:astream_log is deprecated")
async def test_a_log_has_the_streamed_answer(wrap: Any, probe: Any, alice: Any) -> None:
    """``astream_log`` collects the wrapper's chunks and those of the runs below."""
    state: Any = None
    async for patch in wrap(probe.streaming("a", "b")).astream_log(1, alice):
        state = patch if state is None else state + patch
    assert state.state["final_output"] == "ab"
    assert state.state["streamed_output"] == ["a", "b"]
    assert probe.assignment.outcome is Outcome.SUCCEEDED

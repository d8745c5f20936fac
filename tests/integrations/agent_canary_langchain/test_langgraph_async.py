"""Graphs as versions, and wrappers as nodes, in the asynchronous methods. The synchronous twin has the same tests."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from agent_canary import AgentCanary, Outcome, current_assignment

pytestmark = pytest.mark.anyio


async def test_a_graph_is_a_version(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, scripted: Any, alice: Any
) -> None:
    """It remembers the thread, and each turn is a request that counts its own tokens only."""
    wrapper = wrap(graphs.chat(scripted(input_tokens=10, output_tokens=2), probe.note))
    for turn in (1, 2, 3):
        state = await wrapper.ainvoke({"messages": [HumanMessage(f"turn {turn}")]}, alice)
        assert len(state["messages"]) == 2 * turn
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.SUCCEEDED] * 3
    assert [assignment.details.input_tokens for assignment in probe.seen] == [10, 10, 10]
    assert canary.metrics("v2").successes == 3


async def test_a_thread_stays_on_its_version(wrap: Any, probe: Any, graphs: Any, scripted: Any) -> None:
    """Over all of its turns, and both versions have threads."""
    wrapper = wrap(graphs.chat(scripted(text="new"), probe.note), graphs.chat(scripted(text="old"), probe.note))
    answers: dict[str, set[str]] = {}
    for thread in [f"thread {number}" for number in range(20)] * 3:
        config = {"configurable": {"thread_id": thread}}
        state = await wrapper.ainvoke({"messages": [HumanMessage("hello")]}, config)
        answers.setdefault(thread, set()).update(m.content for m in state["messages"] if isinstance(m, AIMessage))
    assert {frozenset(given) for given in answers.values()} == {frozenset({"new"}), frozenset({"old"})}


async def test_a_graph_that_waits_for_a_person_has_answered(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """The question is an answer, and the resumption is the next request, on the same version."""

    async def work(state: Any) -> Any:
        probe.note()
        return {"answer": graphs.approval(state)}

    graph = graphs.single(work)
    wrapper = wrap(graph)
    assert "answer" not in await wrapper.ainvoke({"value": 1}, alice)
    assert graph.get_state(alice).next == ("work",)
    assert (await wrapper.ainvoke(graphs.resumption(graph, alice, "yes"), alice))["answer"] == "yes"
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.SUCCEEDED] * 2
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (2, 0)


async def test_a_graph_that_stops_at_a_breakpoint_has_answered(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """The same for ``interrupt_before``."""
    wrapper = wrap(graphs.single(lambda state: probe.note() or {"answer": "done"}, interrupt_before=["work"]))
    await wrapper.ainvoke({"value": 1}, alice)
    assert probe.seen == []
    assert (await wrapper.ainvoke(None, alice))["answer"] == "done"
    assert canary.metrics("v2").successes == 2


async def test_a_wrapper_is_a_node(canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any) -> None:
    """It has the graph's thread, and only its version sees the assignment."""
    outside: list[Any] = []

    async def plan(state: Any) -> Any:
        outside.append(current_assignment())
        return {"value": state["value"] + 1}

    builder = StateGraph(graphs.State)
    builder.add_node("plan", plan)
    builder.add_node("work", wrap(probe.answering(lambda state: {"answer": state["value"] * 10})))
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "work")
    builder.add_edge("work", END)
    graph = builder.compile()
    assert (await graph.ainvoke({"value": 1}, alice))["answer"] == 20
    updates = [chunk async for chunk in graph.astream({"value": 1}, alice, stream_mode="updates")]
    assert updates[-1] == {"work": {"answer": 20}}
    assert outside == [None, None]
    assert [assignment.version for assignment in probe.seen] == ["v2", "v2"]
    assert canary.metrics("v2").successes == 2
    assert current_assignment() is None


async def test_a_node_that_fails_is_a_failure(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """Its error leaves the graph as it came."""
    error = LookupError("no such tool")
    graph = graphs.single(wrap(probe.answering(error)))
    with pytest.raises(LookupError) as caught:
        await graph.ainvoke({"value": 1}, alice)
    assert caught.value is error
    assert probe.assignment.outcome is Outcome.FAILED
    assert canary.metrics("v2").failures == 1


async def test_a_node_that_waits_for_a_person_is_neither(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """It runs again when the graph resumes, and that passage is the request."""

    async def work(state: Any) -> Any:
        probe.note()
        return {"answer": graphs.approval(state)}

    graph = graphs.single(wrap(RunnableLambda(work)))
    assert "answer" not in await graph.ainvoke({"value": 1}, alice)
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert (await graph.ainvoke(graphs.resumption(graph, alice, "yes"), alice))["answer"] == "yes"
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.CANCELLED, Outcome.SUCCEEDED]
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (1, 0)


async def test_a_streamed_node_that_waits_for_a_person_is_neither(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """The same when the graph's nodes are streamed."""

    async def work(state: Any) -> Any:
        probe.note()
        return {"answer": graphs.approval(state)}

    graph = graphs.single(wrap(RunnableLambda(work)))
    assert [chunk async for chunk in graph.astream({"value": 1}, alice, stream_mode=["values", "messages"])]
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert canary.metrics("v2").failures == 0


@pytest.mark.usefixtures("newer_langgraph")
async def test_a_graph_inside_a_node_waits_for_a_person(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """A version that is a graph, in a node of a graph, goes on where it was."""

    async def first(state: Any) -> Any:
        probe.note()
        return {"value": state["value"] + 1}

    async def second(state: Any) -> Any:
        return {"answer": (graphs.approval(state), state["value"])}

    builder = StateGraph(graphs.State)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    graph = graphs.single(wrap(builder.compile()))
    assert "answer" not in await graph.ainvoke({"value": 1}, alice)
    assert (await graph.ainvoke(graphs.Command(resume="yes"), alice))["answer"] == ("yes", 2)
    assert len(probe.seen) == 1
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (1, 0)


@pytest.mark.usefixtures("newer_langgraph")
async def test_a_hand_off_to_the_parent_graph_is_an_answer(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """It leaves the version as an exception, and is no failure."""

    async def transfer(state: Any) -> Any:
        probe.note()
        return graphs.Command(goto="expert", graph=graphs.Command.PARENT, update={"value": 5})

    builder = StateGraph(graphs.State)
    builder.add_node("work", wrap(graphs.single(transfer)))
    builder.add_node("expert", lambda state: {"answer": state["value"] * 10})
    builder.add_edge(START, "work")
    builder.add_edge("expert", END)
    assert (await builder.compile().ainvoke({"value": 1}, alice))["answer"] == 50
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (1, 0)


async def test_an_agent_with_tools_is_a_version(wrap: Any, probe: Any, scripted: Any, say: Any, alice: Any) -> None:
    """Its tools see the assignment, and all its model calls count."""

    @tool
    def look_up(name: str) -> str:
        """Look something up."""
        probe.note()
        return f"{name} is blue"

    call = {"name": "look_up", "args": {"name": "sky"}, "id": "1"}
    model = scripted(
        say("", input_tokens=10, output_tokens=5, tool_calls=[call]), say("blue", input_tokens=20, output_tokens=1)
    ).bind_tools([look_up])
    builder = StateGraph(MessagesState)

    async def agent(state: Any) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder.add_node("agent", agent)
    builder.add_node("tools", ToolNode([look_up]))
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", tools_condition)
    builder.add_edge("tools", "agent")
    state = await wrap(builder.compile()).ainvoke({"messages": [HumanMessage("What colour is the sky?")]}, alice)
    assert state["messages"][-1].content == "blue"
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    details = probe.assignment.details
    assert (details.input_tokens, details.output_tokens) == (30, 6)


async def test_a_graphs_stream_modes_pass(wrap: Any, probe: Any, graphs: Any, scripted: Any, alice: Any) -> None:
    """What a graph can stream, the wrapper streams."""
    wrapper = wrap(graphs.chat(scripted(text="well hello"), probe.note))
    stream = wrapper.astream({"messages": [HumanMessage("hello")]}, alice, stream_mode="updates")
    assert [list(update) async for update in stream] == [["talk"]]
    stream = wrapper.astream({"messages": [HumanMessage("again")]}, alice, stream_mode="values")
    values = [value async for value in stream]
    assert [len(value["messages"]) for value in values] == [3, 4]
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.SUCCEEDED] * 2
    assert all(assignment.details.first_token_at is not None for assignment in probe.seen)


@pytest.mark.usefixtures("newer_langgraph")
async def test_a_graphs_streamed_messages_pass(wrap: Any, probe: Any, graphs: Any, scripted: Any, alice: Any) -> None:
    """Word by word, with what the graph tells about them."""
    wrapper = wrap(graphs.chat(scripted(text="well hello"), probe.note))
    stream = wrapper.astream({"messages": [HumanMessage("hello")]}, alice, stream_mode="messages")
    parts = [part async for part in stream]
    assert [message.content for message, _ in parts if message.content] == ["well", "hello"]
    assert {metadata["langgraph_node"] for _, metadata in parts} == {"talk"}
    assert probe.assignment.outcome is Outcome.SUCCEEDED


@pytest.mark.usefixtures("newer_langgraph")
async def test_a_node_streams_its_messages_once(wrap: Any, probe: Any, graphs: Any, scripted: Any, alice: Any) -> None:
    """Word by word, under the node's name, and not again as a whole."""

    def wrapped(messages: Any) -> Any:
        return {"messages": [messages]}

    version = RunnableLambda(lambda state: state["messages"]) | scripted(text="well hello") | wrapped
    graph = graphs.single(wrap(version), MessagesState, "talk")
    stream = graph.astream({"messages": [HumanMessage("hello")]}, alice, stream_mode="messages")
    parts = [part async for part in stream]
    assert [message.content for message, _ in parts if message.content] == ["well", "hello"]
    assert {metadata["langgraph_node"] for _, metadata in parts} == {"talk"}
    assert {metadata["agent_canary_version"] for _, metadata in parts} == {"v2"}


async def test_a_wrapper_in_a_graph_in_a_wrapper_joins(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """One canary's wrappers inside each other are one request, through all of LangGraph's tasks and threads."""
    inner = wrap(probe.answering({"answer": "inner"}))
    assert (await wrap(graphs.single(inner)).ainvoke({"value": 1}, alice))["answer"] == "inner"
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert canary.metrics("v2").total == 1


async def test_nodes_side_by_side_are_requests_of_their_own(
    canary: AgentCanary, wrap: Any, probe: Any, graphs: Any, alice: Any
) -> None:
    """Each of two parallel nodes sees its own assignment."""
    builder = StateGraph(graphs.State)
    builder.add_node("left", wrap(probe.answering({"answer": "left"})))
    builder.add_node("right", wrap(probe.answering({"approved": "right"})))
    for name in ("left", "right"):
        builder.add_edge(START, name)
        builder.add_edge(name, END)
    state = await builder.compile().ainvoke({"value": 1}, alice)
    assert (state["answer"], state["approved"]) == ("left", "right")
    assert len({id(assignment) for assignment in probe.seen}) == 2
    assert canary.metrics("v2").successes == 2

"""Two versions of a LangGraph agent: a conversation stays on its version, and keeps its memory through a rollback.

Runs without a network: the models are scripted.
"""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from agent_canary import AgentCanary, Rollout, Stage, current_assignment
from agent_canary_langchain import CanaryRunnable


@tool
def order_status(order: str) -> str:
    """Look an order up."""
    assignment = current_assignment()
    print(f"    (tool called under {assignment.version if assignment else 'nothing'})")
    return f"order {order} is on its way"


def script(name: str) -> list[AIMessage]:
    """What the model says: it calls the tool, tells what it found, and chats on."""
    call = {"name": "order_status", "args": {"order": "17"}, "id": "call"}
    usage = {"input_tokens": 40, "output_tokens": 10, "total_tokens": 50}
    texts = ["", f"{name}: it is on its way.", f"{name}: you are welcome.", f"{name}: anything else?"]
    return [AIMessage(text, tool_calls=[] if text else [call], usage_metadata=usage) for text in texts]


def agent(name: str, memory: MemorySaver) -> Any:
    """Model and tool in a loop, as a compiled graph."""
    model = GenericFakeChatModel(messages=iter(script(name)))
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode([order_status]))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder.compile(checkpointer=memory)


def say(text: str, thread: str) -> None:
    """Take one turn of a conversation, and print it."""
    state = app.invoke({"messages": [HumanMessage(text)]}, {"configurable": {"thread_id": thread}})
    print(f"{thread} > {text}\n    {state['messages'][-1].content}  [{len(state['messages'])} messages so far]")


# One memory for both: whichever version takes the next turn knows the conversation.
memory = MemorySaver()
canary = AgentCanary(
    "agent-1",
    "agent-2",
    Rollout([Stage(0.5), Stage(1.0)]),
    name="orders",
    overrides={"alice": "agent-2", "bob": "agent-1"},
)
app: CanaryRunnable[Any, Any] = CanaryRunnable(
    canary, {"agent-1": agent("old", memory), "agent-2": agent("new", memory)}
)

with canary:
    say("Where is order 17?", "alice")
    say("Thanks!", "alice")
    say("Where is order 17?", "bob")
    canary.rollout.rollback("an operator saw enough")
    say("Are you still there?", "alice")
    for version in canary.versions:
        metrics = canary.metrics(version)
        print(f"{version}: {metrics.total} turns, {metrics.success_rate:.0%} answered")

"""A new prompt behind a LangChain chain: its answers break the parser now and then, so it is rolled back.

Runs without a network: the model is scripted, and the clock is moved by hand, so that minutes pass in a second.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import cycle
from typing import Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from agent_canary import AgentCanary, Rollout, RolloutStatus, Stage
from agent_canary.testing import ManualClock
from agent_canary_langchain import CanaryRunnable

ANSWER = '{"refund": true}'
CHATTY = f"Sure, here is the JSON you asked for: {ANSWER}"


def classifier(instructions: str, answers: list[str]) -> Runnable[Any, Any]:
    """Prompt, model and parser. The model gives *answers* in turn, and reports the tokens it used."""
    usage = {"input_tokens": len(instructions), "output_tokens": 8, "total_tokens": len(instructions) + 8}
    model = GenericFakeChatModel(messages=cycle([AIMessage(answer, usage_metadata=usage) for answer in answers]))
    prompt = ChatPromptTemplate.from_messages([("system", instructions), ("user", "{question}")])
    return prompt | model | (lambda message: json.loads(message.content))


clock = ManualClock()
canary = AgentCanary(
    "prompt-1",
    "prompt-2",
    Rollout([Stage(0.10, min_samples=200), Stage(0.50), Stage(1.0)]),
    name="refund-classifier",
    clock=clock,
    autopilot=False,
)
chain = CanaryRunnable(
    canary,
    {
        "prompt-1": classifier("Answer in JSON.", [ANSWER]),
        "prompt-2": classifier("Kindly classify the request; JSON please.", [ANSWER, ANSWER, CHATTY]),
    },
)

seen: Counter[str] = Counter()
for request in range(20_000):
    conversation = f"conversation {request * 7919 % 2000}"
    try:
        chain.invoke({"question": "Where is my parcel?"}, {"configurable": {"thread_id": conversation}})
        seen["answered"] += 1
    except json.JSONDecodeError:
        seen["failed"] += 1
    clock.advance(0.05)
    if request % 20 == 0:
        canary.tick()
    if canary.rollout.status is RolloutStatus.ROLLED_BACK:
        break

print(f"{seen['answered']} requests answered, {seen['failed']} failed, {canary.rollout.status.value}")
print(canary.explain().sentence)
print("and every conversation is on", canary.route("conversation 1"), "again")

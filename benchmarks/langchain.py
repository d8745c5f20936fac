"""What the LangChain wrapper adds to an ``invoke``, against ``RunnableBranch``, which also picks one of two chains."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from agent_canary import AgentCanary, Rollout, Stage

from .ratios import added, ratios
from .rounds import Contestant, Effort, Samples, measure
from .routing import CANARY, SHARE, STABLE, keys
from .rows import Row, Rows, Skipped, duration

PATH = "agent_canary_langchain.CanaryRunnable, added per invoke"
BARE, BRANCH, OURS = "the chain alone", "RunnableBranch", "ours"


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    if not find_spec("langchain_core"):
        return [Skipped(PATH, "langchain-core is not installed")]
    try:
        wrapper = import_module("agent_canary_langchain").CanaryRunnable
    except ImportError as error:
        return [Skipped(PATH, f"the wrapper cannot be imported: {error}")]
    os.environ["LANGSMITH_TRACING"] = "false"
    from langchain_core.runnables import RunnableBranch, RunnableLambda

    stable: Any = RunnableLambda(_answer)
    candidate: Any = RunnableLambda(_answer)
    branch: Any = RunnableBranch((_is_canary, candidate), stable)
    with AgentCanary(STABLE, CANARY, Rollout([Stage(SHARE)])) as canary:
        ours = wrapper(canary, {STABLE: stable, CANARY: candidate})
        contestants = {
            BARE: Contestant(_invocations(stable)),
            BRANCH: Contestant(_invocations(branch)),
            OURS: Contestant(_invocations(ours, canary), after=canary.tick),
        }
        samples = measure(contestants, effort)
        if not canary.metrics(STABLE).total or canary.status()["errors"]:
            raise RuntimeError(f"invocations must have been booked, without errors, got {canary.status()}")
    return [_row(samples)]


def _answer(question: str) -> str:
    return question


def _is_canary(_question: str) -> bool:
    """The cheapest condition there is: it hashes nothing."""
    return False


def _invocations(chain: Any, canary: AgentCanary | None = None) -> Callable[[int], None]:
    def loop(count: int) -> None:
        for key in keys(count):
            chain.invoke("How are you?", {"configurable": {"thread_id": key}})
        if canary is not None:
            canary.metrics(CANARY).success_rate  # noqa: B018 - reading folds

    return loop


def _row(samples: Samples) -> Row:
    base = samples[BARE]
    times = f"{duration(added(samples[OURS], base))} against {duration(added(samples[BRANCH], base))}"
    value = ratios(samples[OURS], samples[BRANCH], less=base)
    return Row(PATH, f"{BRANCH}, added", value, at_most=0.5, absolute=times)

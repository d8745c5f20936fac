"""LangChain and LangGraph adapter of agent_canary: two versions of a chain or graph behind one Runnable."""

from __future__ import annotations

from importlib.util import find_spec

from agent_canary.errors import MissingExtraError

if find_spec("langchain_core") is None:
    raise MissingExtraError(
        'agent_canary_langchain needs langchain-core: pip install "agent-canary-rollout[langchain]"',
        name="langchain_core",
    )

from .wrapper import CanaryRunnable

__all__ = ["CanaryRunnable"]

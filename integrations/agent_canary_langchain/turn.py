"""One call of the wrapper: its assignment, the version that answers, and what the trace is told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Generic

from langchain_core.runnables.config import (
    RunnableConfig,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)
from langchain_core.runnables.utils import Input, Output

from agent_canary import current_assignment

from .unheard import AsyncUnheardRun, UnheardRun
from .usage import TokenCounter

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from agent_canary import AgentCanary, Assignment

    from .unheard import AsyncRun, Run

# The oldest LangGraph has no common class for its control flow.
_LANGGRAPH_PAUSES = ("GraphBubbleUp", "GraphInterrupt", "GraphDelegate")


class Turn(Generic[Input, Output]):
    """One call of the wrapper, from its assignment to its outcome.

    Args:
        canary: Whose assignment it is.
        assignment: What this call was given.
        runnable: The version that answers.
        config: The call's own copy of its config; every run of the trace gets the version from it, as a tag
            (``version:…``) and as metadata (``agent_canary_version``, ``agent_canary_rollout``).
    """

    def __init__(
        self, canary: AgentCanary, assignment: Assignment, runnable: Runnable[Input, Output], config: RunnableConfig
    ) -> None:
        self.assignment = assignment
        self.runnable = runnable
        self._canary = canary
        self._config = config
        self._tokens: TokenCounter | None = None
        tags = config.setdefault("tags", [])
        tag = f"version:{assignment.version}"
        if tag not in tags:
            tags.append(tag)
        metadata = config.setdefault("metadata", {})
        metadata["agent_canary_version"] = assignment.version
        metadata["agent_canary_rollout"] = canary.name

    def start(self, name: str, traced_input: object) -> Run:
        """Open the wrapper's own run of the trace. A handler that raises is the app's, and no version's failure."""
        run_name, run_id = self._config.pop("run_name", None) or name, self._config.pop("run_id", None)
        try:
            callbacks = get_callback_manager_for_config(self._config)
            if not callbacks.handlers:
                return UnheardRun(callbacks)
            return callbacks.on_chain_start(None, traced_input, name=run_name, run_id=run_id)
        except BaseException:
            self.assignment.cancel()
            raise

    async def astart(self, name: str, traced_input: object) -> AsyncRun:
        """Same as :meth:`start`."""
        run_name, run_id = self._config.pop("run_name", None) or name, self._config.pop("run_id", None)
        try:
            callbacks = get_async_callback_manager_for_config(self._config)
            if not callbacks.handlers:
                return AsyncUnheardRun(callbacks)
            return await callbacks.on_chain_start(None, traced_input, name=run_name, run_id=run_id)
        except BaseException:
            self.assignment.cancel()
            raise

    def child_config(self, run: Run | AsyncRun) -> RunnableConfig:
        """Return the version's config: its runs are children of *run*, and its tokens are counted.

        Called where the assignment is current; the tokens of one that this call joined may be counted already.
        """
        callbacks = run.get_child()
        assignment = current_assignment() or self.assignment
        counters = [handler for handler in callbacks.handlers if isinstance(handler, TokenCounter)]
        if not any(counter.assignment is assignment for counter in counters):
            self._tokens = TokenCounter(assignment, self._canary)
            callbacks.add_handler(self._tokens)
        config = self._config.copy()
        config["callbacks"] = callbacks
        return config

    def note(self, part: Any) -> None:
        """Look at an answer, or at one of its chunks, for tokens."""
        if self._tokens is not None:
            self._tokens.note_answer(part)

    def succeed(self) -> None:
        """End with a whole answer."""
        if self._tokens is not None:
            self._tokens.close()
        self.assignment.succeed()

    def end(self, error: BaseException) -> None:
        """End by what left the version. LangGraph's control flow travels as exceptions and is no failure.

        A hand-off to the parent graph is the node's answer. An interrupt waits for a person, and the node runs again
        when the graph resumes: this first passage is neither a success nor a failure.
        """
        if _is_langgraph(error, "ParentCommand"):
            self.succeed()
        elif any(_is_langgraph(error, name) for name in _LANGGRAPH_PAUSES):
            self.assignment.cancel()
        else:
            self.assignment.end(error)


def _is_langgraph(error: BaseException, name: str) -> bool:
    """Return whether *error* is LangGraph's *name*; LangGraph is never imported for it."""
    kind = getattr(sys.modules.get("langgraph.errors"), name, None)
    return isinstance(kind, type) and isinstance(error, kind)

"""Tokens that a version's model calls report, counted once for the whole answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage

from .overriding import override

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult

    from agent_canary import AgentCanary, Assignment


class TokenCounter(BaseCallbackHandler):
    """Adds the ``usage_metadata`` of every model call below one answer to its assignment.

    A graph's output repeats the messages of earlier turns, and a chain's output may hide its model's message, so the
    tokens come from the model runs themselves. Only when no model run was seen (a version that calls a provider's
    client by hand and returns an ``AIMessage``) does the answer's own ``usage_metadata`` count.
    """

    run_inline = True
    """Adding two numbers needs no thread of an executor, which async callbacks would otherwise cost."""

    def __init__(self, assignment: Assignment, canary: AgentCanary) -> None:
        super().__init__()
        self.assignment = assignment
        self._failsafe = canary.failsafe
        self._saw_model = False
        self._answer_input_tokens = 0
        self._answer_output_tokens = 0

    @override
    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:  # noqa: ARG002 - LangChain tells more
        """Count each prompt's first candidate: providers repeat a prompt's usage on every candidate."""
        self._saw_model = True
        self._failsafe.call("usage", self._count, response)

    def note_answer(self, part: object) -> None:
        """Remember the tokens of an answer, or of one of its chunks, in case no model run reports any."""
        if not self._saw_model and isinstance(part, AIMessage):
            self._failsafe.call("usage", self._remember, part)

    def close(self) -> None:
        """Report the answer's own tokens when no model run was seen; called before the assignment ends."""
        if not self._saw_model and (self._answer_input_tokens or self._answer_output_tokens):
            self.assignment.usage(input_tokens=self._answer_input_tokens, output_tokens=self._answer_output_tokens)

    def _count(self, response: LLMResult) -> None:
        for candidates in response.generations:
            message = getattr(candidates[0], "message", None) if candidates else None
            input_tokens, output_tokens = tokens_of(message)
            if input_tokens or output_tokens:
                self.assignment.usage(input_tokens=input_tokens, output_tokens=output_tokens)

    def _remember(self, message: AIMessage) -> None:
        input_tokens, output_tokens = tokens_of(message)
        self._answer_input_tokens += input_tokens
        self._answer_output_tokens += output_tokens

    # Everything but the end of a model run passes this handler by. Without `ignore_chat_model`, LangChain would turn
    # the messages of each model call into text for nothing.

    @property
    @override
    def ignore_chat_model(self) -> bool:
        """True."""
        return True

    @property
    @override
    def ignore_chain(self) -> bool:
        """True."""
        return True

    @property
    @override
    def ignore_agent(self) -> bool:
        """True."""
        return True

    @property
    @override
    def ignore_retriever(self) -> bool:
        """True."""
        return True

    @property
    @override
    def ignore_retry(self) -> bool:
        """True."""
        return True

    @property
    @override
    def ignore_custom_event(self) -> bool:
        """True."""
        return True


def tokens_of(message: object) -> tuple[int, int]:
    """Return the input and output tokens of a message's ``usage_metadata``; zeros without any."""
    usage = message.usage_metadata if isinstance(message, AIMessage) else None
    return (usage.get("input_tokens", 0), usage.get("output_tokens", 0)) if usage else (0, 0)

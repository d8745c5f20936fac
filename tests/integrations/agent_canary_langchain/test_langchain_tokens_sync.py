"""Tokens of model calls, in the synchronous methods. The asynchronous twin has the same tests."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel

from agent_canary import AgentCanary, Outcome

PROMPT = ChatPromptTemplate.from_template("Say {value}")


def tokens(probe: Any) -> tuple[int, int]:
    """Return the input and output tokens of the one assignment."""
    details = probe.assignment.details
    return (0, 0) if details is None else (details.input_tokens, details.output_tokens)


def test_a_models_tokens_are_counted(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """A chain whose answer is plain text does not hide what its model used."""
    version = PROMPT | scripted(input_tokens=10, output_tokens=2) | StrOutputParser() | probe.answering(str)
    assert wrap(version).invoke({"value": "hello"}, alice) == "well hello"
    assert tokens(probe) == (10, 2)


def test_a_streamed_models_tokens_are_counted(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """The usage comes with the last chunk, and is counted once."""
    version = probe.answering({"value": "hello"}) | PROMPT | scripted(input_tokens=10, output_tokens=2)
    chunks = list(wrap(version).stream({"value": "hello"}, alice))
    assert "".join(chunk.content for chunk in chunks) == "wellhello"
    assert tokens(probe) == (10, 2)


def test_several_model_calls_add_up(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """One after the other, and side by side."""
    first, second = scripted(input_tokens=1, output_tokens=2), scripted(input_tokens=10, output_tokens=20)
    third = scripted(input_tokens=100, output_tokens=200)
    wrap(probe.answering("hello") | first | StrOutputParser() | RunnableParallel(a=second, b=third)).invoke(1, alice)
    assert tokens(probe) == (111, 222)


def test_a_model_called_without_a_config_is_counted(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """LangChain hands the callbacks on by itself."""
    model = scripted(input_tokens=10, output_tokens=2)

    def version(value: Any) -> Any:
        probe.note()
        return model.invoke("hello").content

    wrap(RunnableLambda(version)).invoke(1, alice)
    assert tokens(probe) == (10, 2)


def test_candidates_of_one_prompt_count_once(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """Providers put the usage of the whole request on each of its candidates."""
    wrap(probe.answering("hello") | scripted(input_tokens=10, output_tokens=2, candidates=3)).invoke(1, alice)
    assert tokens(probe) == (10, 2)


def test_an_answers_own_usage_counts_without_a_model_run(wrap: Any, probe: Any, say: Any, alice: Any) -> None:
    """A version may call a provider's client by hand."""
    wrap(probe.answering(say(input_tokens=7, output_tokens=3))).invoke(1, alice)
    assert tokens(probe) == (7, 3)


def test_a_streamed_answers_own_usage_counts_without_a_model_run(wrap: Any, probe: Any, say: Any, alice: Any) -> None:
    """The same chunk by chunk."""
    version = probe.streaming(say(input_tokens=7, output_tokens=1), say(input_tokens=0, output_tokens=2))
    assert len(list(wrap(version).stream(1, alice))) == 2
    assert tokens(probe) == (7, 3)


def test_an_answers_own_usage_does_not_count_beside_a_model_run(
    wrap: Any, probe: Any, scripted: Any, alice: Any
) -> None:
    """A model's message that is the answer was counted already."""
    wrap(probe.answering("hello") | scripted(input_tokens=10, output_tokens=2)).invoke(1, alice)
    assert tokens(probe) == (10, 2)


def test_no_usage_is_no_tokens(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """Many models report none."""
    wrap(probe.answering("hello") | scripted(AIMessage("hello"))).invoke(1, alice)
    wrap(probe.answering(AIMessage("hello"))).invoke(1, alice)
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.SUCCEEDED] * 2
    for assignment in probe.seen:
        assert assignment.details is None or assignment.details.input_tokens == 0


def test_a_broken_usage_is_an_error_of_ours(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """What cannot be counted is noted, and the answer goes out all the same."""
    broken = AIMessage("hello")
    broken.usage_metadata = {"input_tokens": None, "output_tokens": "many"}  # type: ignore[typeddict-item]
    assert wrap(probe.answering(broken)).invoke(1, alice) is broken
    assert list(wrap(probe.streaming(broken)).stream(1, alice)) == [broken]
    assert canary.status()["errors"]["usage"] == 2
    assert canary.metrics("v2").successes == 2


def test_a_models_broken_usage_is_an_error_of_ours(
    canary: AgentCanary, wrap: Any, probe: Any, scripted: Any, alice: Any
) -> None:
    """The same for what a model run reports."""
    broken = AIMessage("hello")
    broken.usage_metadata = "many"  # type: ignore[assignment]
    assert wrap(probe.answering("hello") | scripted(broken)).invoke(1, alice).content == "hello"
    assert canary.status()["errors"]["usage"] == 1
    assert canary.metrics("v2").successes == 1


def test_a_wrapper_inside_counts_once(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """Wrappers of one canary inside each other are one request, with one count."""
    inner = wrap(probe.answering("hello") | scripted(input_tokens=10, output_tokens=2))
    wrap(probe.answering("hello") | inner).invoke(1, alice)
    assert tokens(probe) == (10, 2)


def test_a_wrapper_inside_another_assignment_counts_there(
    canary: AgentCanary, wrap: Any, probe: Any, scripted: Any, alice: Any
) -> None:
    """What a web adapter assigned for the request gets the tokens of its chains."""
    wrapper = wrap(probe.answering("hello") | scripted(input_tokens=10, output_tokens=2))
    with canary.assign("alice") as assignment:
        wrapper.invoke(1, alice)
        wrapper.invoke(1, alice)
    assert assignment.details is not None
    assert (assignment.details.input_tokens, assignment.details.output_tokens) == (20, 4)


def test_a_call_after_the_end_counts_for_itself(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """Work that goes on with the callbacks of a request that has ended is another request."""
    kept: list[Any] = []

    def version(value: Any, config: Any) -> Any:
        kept.append(config)
        return value

    wrap(RunnableLambda(version)).invoke(1, alice)
    wrap(probe.answering("hello") | scripted(input_tokens=10, output_tokens=2)).invoke(1, kept[0])
    assert tokens(probe) == (10, 2)


def test_a_call_after_the_end_of_what_it_joined_counts_for_itself(
    canary: AgentCanary, wrap: Any, probe: Any, scripted: Any, alice: Any
) -> None:
    """The same when the ended request was a web adapter's."""
    kept: list[Any] = []

    def version(value: Any, config: Any) -> Any:
        kept.append(config)
        return value

    with canary.assign("alice"):
        wrap(RunnableLambda(version)).invoke(1, alice)
    wrap(probe.answering("hello") | scripted(input_tokens=10, output_tokens=2)).invoke(1, kept[0])
    assert tokens(probe) == (10, 2)


def test_a_failed_answers_tokens_are_counted(wrap: Any, probe: Any, scripted: Any, alice: Any) -> None:
    """They were paid for."""

    def fail(message: Any) -> Any:
        raise LookupError

    version = probe.answering("hello") | scripted(input_tokens=10, output_tokens=2) | fail
    assert wrap(version).batch([1], alice, return_exceptions=True)
    assert probe.assignment.outcome is Outcome.FAILED
    assert tokens(probe) == (10, 2)

"""The wrapper among other Runnables, in the synchronous methods. The asynchronous twin has the same tests."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    ConfigurableField,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableWithFallbacks,
)

from agent_canary import AgentCanary, Outcome, current_assignment


def test_it_is_a_step_of_a_chain(canary: AgentCanary, wrap: Any, alice: Any) -> None:
    """Piped from both sides, by functions and dicts too."""
    wrapper = wrap(lambda value: value["x"] + 1)
    chain = {"x": RunnablePassthrough()} | wrapper | (lambda value: value * 10)
    assert chain.invoke(1, alice) == 20
    assert list(chain.stream(1, alice)) == [20]
    assert chain.batch([1, 2], alice) == [20, 30]
    assert canary.metrics("v2").successes == 4


def test_it_is_a_branch_of_a_parallel_step(wrap: Any, alice: Any) -> None:
    """Beside others, and under ``assign`` and ``pick``."""
    wrapper = wrap(lambda value: "canary")
    assert RunnableParallel(a=wrapper, b=len).invoke("xy", alice) == {"a": "canary", "b": 2}
    chain = RunnablePassthrough.assign(answer=wrapper).pick("answer")
    assert chain.invoke({}, alice) == "canary"


def test_it_maps_over_a_list(canary: AgentCanary, wrap: Any, alice: Any) -> None:
    """Each element is a request."""
    chain = wrap(lambda value: value + 1).map()
    assert chain.invoke([1, 2, 3], alice) == [2, 3, 4]
    assert canary.metrics("v2").successes == 3


def test_a_whole_chain_is_a_version(wrap: Any, probe: Any, scripted: Any, alice: Any, bob: Any) -> None:
    """Prompt, model and parser."""
    prompt = ChatPromptTemplate.from_template("Say {word}")
    chains = [prompt | scripted(text=text) | StrOutputParser() | probe.answering(str) for text in ("new words", "old")]
    wrapper = wrap(*chains)
    assert wrapper.invoke({"word": "hello"}, alice) == "new words"
    assert wrapper.invoke({"word": "hello"}, bob) == "old"
    assert list(wrapper.stream({"word": "hello"}, bob)) == ["old"]


def test_a_retry_around_it_is_a_request_for_each_attempt(
    canary: AgentCanary, wrap: Any, probe: Any, alice: Any
) -> None:
    """Every attempt has the same version, and an outcome of its own."""
    answers: list[Any] = [LookupError(), "second"]

    def version(value: Any) -> Any:
        return probe.answering(answers.pop(0)).invoke(value)

    chain = wrap(RunnableLambda(version)).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    assert chain.invoke(1, alice) == "second"
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.FAILED, Outcome.SUCCEEDED]
    assert {assignment.version for assignment in probe.seen} == {"v2"}
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (1, 1)


def test_a_retry_inside_a_version_is_one_request(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """The version's own retries are its own business."""
    answers: list[Any] = [LookupError(), "second"]

    def version(value: Any) -> Any:
        return probe.answering(answers.pop(0)).invoke(value)

    wrapper = wrap(RunnableLambda(version).with_retry(stop_after_attempt=2, wait_exponential_jitter=False))
    assert wrapper.invoke(1, alice) == "second"
    assert len(probe.seen) == 2
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert canary.metrics("v2").total == 1


def test_a_fallback_around_it_answers_for_a_failure(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """The failure counts, and the fallback runs outside of the request."""
    outside: list[Any] = []
    fallback = RunnableLambda(lambda value: outside.append(current_assignment()) or "fallback")
    chain: RunnableWithFallbacks[Any, Any] = wrap(probe.answering(LookupError())).with_fallbacks([fallback])
    assert chain.invoke(1, alice) == "fallback"
    assert list(chain.stream(1, alice)) == ["fallback"]
    assert outside == [None, None]
    assert canary.metrics("v2").failures == 2


def test_a_fallback_inside_a_version_is_one_success(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """A version that helps itself has answered."""
    wrapper = wrap(probe.answering(LookupError()).with_fallbacks([probe.answering("fallback")]))
    assert wrapper.invoke(1, alice) == "fallback"
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (1, 0)


def test_bound_arguments_reach_the_version(wrap: Any, alice: Any) -> None:
    """And so do those of the call, in every method."""

    def version(value: str, *, end: str, times: int = 1) -> str:
        return (value + end) * times

    wrapper = wrap(RunnableLambda(version))
    bound = wrapper.bind(end="!")
    assert bound.invoke("a", alice) == "a!"
    assert wrapper.invoke("a", alice, end="?", times=2) == "a?a?"
    assert list(bound.stream("a", alice, times=2)) == ["a!a!"]
    assert bound.batch(["a"], alice, times=2) == ["a!a!"]


def test_bound_configs_reach_the_version(wrap: Any, probe: Any, recorder: Any, alice: Any) -> None:
    """Tags, callbacks and the thread's id may be bound."""
    chain = wrap(probe.answering("canary")).with_config({**alice, "tags": ["mine"], "callbacks": [recorder]})
    assert chain.invoke(1) == "canary"
    assert {"mine", "version:v2"} <= set(recorder.root.child_runs[0].tags)


def test_configurable_fields_of_both_versions_pass(wrap: Any, say: Any, scripted: Any, alice: Any, bob: Any) -> None:
    """What a version made configurable is set from outside, with or without the other version knowing it."""
    replies = ConfigurableField(id="replies")
    version = scripted(text="new").configurable_fields(replies=replies) | StrOutputParser()
    stable = scripted(text="old").configurable_alternatives(
        ConfigurableField(id="model"), better=scripted(text="better")
    )
    wrapper = wrap(version, stable | StrOutputParser())
    wrapper_set = wrapper.with_config(configurable={"replies": [say("set")], "model": "better"})
    assert wrapper.invoke("hello", alice) == "new"
    assert wrapper_set.invoke("hello", alice) == "set"
    assert wrapper.invoke("hello", bob) == "old"
    assert wrapper_set.invoke("hello", bob) == "better"


def test_listeners_hear_the_wrapper(wrap: Any, alice: Any) -> None:
    """Begin, end and error of the whole."""
    heard: list[tuple[str, str]] = []

    def listener(event: str) -> Any:
        return lambda run: heard.append((event, run.name))

    def version(value: Any) -> Any:
        return 1 // value

    chain = wrap(RunnableLambda(version)).with_listeners(
        on_start=listener("start"), on_end=listener("end"), on_error=listener("error")
    )
    chain.invoke(1, alice)
    with pytest.raises(ZeroDivisionError):
        chain.invoke(0, alice)
    name = "CanaryRunnable<agent>"
    assert heard == [("start", name), ("end", name), ("start", name), ("error", name)]

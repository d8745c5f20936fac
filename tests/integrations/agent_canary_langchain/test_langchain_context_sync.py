"""Where the assignment is seen, in the synchronous methods. The asynchronous twin has the same tests."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda, RunnableParallel

from agent_canary import AgentCanary, Outcome, current_assignment
from agent_canary_langchain import CanaryRunnable


def test_the_version_sees_its_assignment(wrap: Any, probe: Any, alice: Any) -> None:
    """In each method, and in what the version calls: other steps, and threads that LangChain starts."""

    def helper(value: Any) -> Any:
        return probe.answering(value).invoke(value)

    version = RunnableParallel(a=probe.answering("a"), b=RunnableLambda(helper)) | probe.answering("c")
    wrapper = wrap(version)
    wrapper.invoke(1, alice)
    list(wrapper.stream(1, alice))
    list(wrapper.transform(iter([1]), alice))
    wrapper.batch([1, 2], [alice, alice])
    assert len(probe.seen) == 15
    assert all(assignment is not None and assignment.version == "v2" for assignment in probe.seen)
    assert len({id(assignment) for assignment in probe.seen}) == 5


def test_nobody_else_sees_it(wrap: Any, probe: Any, alice: Any) -> None:
    """Neither who consumes a stream nor who calls, after an answer or an error."""
    wrapper = wrap(probe.streaming("a", "b"))
    for _ in wrapper.stream(1, alice):
        assert current_assignment() is None
    assert current_assignment() is None
    wrapper.invoke(1, alice)
    assert current_assignment() is None
    with pytest.raises(LookupError):
        wrap(probe.answering(LookupError())).invoke(1, alice)
    assert current_assignment() is None
    assert None not in probe.seen


def test_the_steps_before_do_not_see_it(wrap: Any, probe: Any, alice: Any) -> None:
    """The inputs of a transform are read in the context of its consumer, though the version pulls them."""
    seen_before: list[Any] = []
    answered = contextvars.ContextVar("answered", default=0)

    def source() -> Iterator[int]:
        for number in range(3):
            seen_before.append((current_assignment(), answered.get()))
            yield number

    def version(numbers: Iterator[int]) -> Iterator[int]:
        for number in numbers:
            probe.note()
            answered.set(answered.get() + 1)
            yield number

    assert list(wrap(RunnableGenerator(version)).transform(source(), alice)) == [0, 1, 2]
    assert seen_before == [(None, 0)] * 3
    assert probe.assignment.outcome is Outcome.SUCCEEDED


def test_a_stream_may_be_read_from_many_contexts(wrap: Any, probe: Any, alice: Any) -> None:
    """A server may take each step of a stream in a thread and a context of its own."""
    stream = wrap(probe.streaming("a", "b", "c")).stream(1, alice)
    chunks: list[str] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: chunks.append(contextvars.copy_context().run(next, stream)))
        thread.start()
        thread.join(5)
    contextvars.copy_context().run(stream.close)
    assert chunks == ["a", "b", "c"]
    assert probe.assignment.outcome is Outcome.CANCELLED
    assert current_assignment() is None


def test_calls_at_the_same_time_do_not_mix(wrap: Any, probe: Any, alice: Any, bob: Any) -> None:
    """Each of two calls sees its own assignment only, however their steps fall."""
    stable, version = probe.streaming("s", "s"), probe.streaming("c", "c")
    wrapper = wrap(version, stable)
    streams = [wrapper.stream(1, alice), wrapper.stream(1, bob)]
    assert [next(stream) for stream in (*streams, *streams)] == ["c", "s", "c", "s"]
    for stream in streams:
        stream.close()
    versions = [assignment.version for assignment in probe.seen]
    assert versions == ["v2", "v1", "v2", "v1", "v2", "v1"]


def test_a_wrapper_inside_a_version_joins_it(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """Wrappers of one canary inside each other are one request, on one version, whatever their keys."""
    inner = wrap(probe.answering("inner"))

    def outer(value: Any) -> Any:
        probe.note()
        return inner.invoke(value, {"configurable": {"thread_id": "bob"}})

    assert wrap(RunnableLambda(outer)).invoke(1, alice) == "inner"
    assert probe.assignment.outcome is Outcome.SUCCEEDED
    assert (canary.metrics("v2").total, canary.metrics("v1").total) == (1, 0)


def test_what_fails_inside_counts_once(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """The outer call has the one outcome: a version that raised has failed, also where a fallback hides it."""
    inner = wrap(probe.answering(LookupError()))

    def outer(value: Any) -> Any:
        with pytest.raises(LookupError):
            inner.invoke(value)
        return "survived"

    assert wrap(RunnableLambda(outer)).invoke(1, alice) == "survived"
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (0, 1)


def test_a_wrapper_of_another_canary_counts_apart(
    make_canary: Callable[..., AgentCanary], wrap: Any, probe: Any, alice: Any
) -> None:
    """Two rollouts at two depths of one chain are two requests, each with its own version."""
    retrieval = make_canary("r1", "r2", name="retrieval")
    versions: dict[str, Runnable[Any, Any]] = {"r1": probe.answering("r1"), "r2": probe.answering("r2")}
    inner: CanaryRunnable[Any, Any] = CanaryRunnable(retrieval, versions)
    wrapper = wrap(probe.answering("a") | inner | probe.answering("b"))
    assert wrapper.invoke(1, alice) == "b"
    assert [assignment.version for assignment in probe.seen] == ["v2", "r2", "v2"]
    assert [assignment.outcome for assignment in probe.seen] == [Outcome.SUCCEEDED] * 3
    assert retrieval.metrics("r2").total == 1


def test_a_call_inside_an_assignment_joins_it(canary: AgentCanary, wrap: Any, probe: Any, alice: Any) -> None:
    """What a web adapter has assigned for the request holds for the chains that serve it, streams included."""
    wrapper = wrap(probe.answering("canary"), probe.answering("stable"))
    with canary.assign("bob") as assignment:
        assert wrapper.invoke(1, alice) == "stable"
        assert list(wrapper.stream(1, alice)) == ["stable"]
        assert assignment.outcome is None
    assert probe.assignment is assignment
    assert assignment.details is not None
    assert assignment.details.first_token_at is not None
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (1, 0)

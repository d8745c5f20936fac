"""Who gets which version: the thread's id, a key function, nobody."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableGenerator, RunnableLambda

from agent_canary import AgentCanary, Cohort, Reason, Rollout, Stage
from agent_canary.testing import disabled, force_version
from agent_canary_langchain import CanaryRunnable

Answer = Callable[[CanaryRunnable[Any, Any], Any, Any], Any]


def invoke(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    return wrapper.invoke(value, config)


def batch(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    return wrapper.batch([value], [config])[0]


def stream(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    answers = list(wrapper.stream(value, config))
    return answers[0]


def transform(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    answers = list(wrapper.transform(iter([value]), config))
    return answers[0]


def ainvoke(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    return asyncio.run(wrapper.ainvoke(value, config))


def abatch(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    return asyncio.run(wrapper.abatch([value], [config]))[0]


def astream(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    return asyncio.run(_first(wrapper.astream(value, config)))


def atransform(wrapper: CanaryRunnable[Any, Any], value: Any, config: Any) -> Any:
    return asyncio.run(_first(wrapper.atransform(_chunks(value), config)))


METHODS = [invoke, batch, stream, transform, ainvoke, abatch, astream, atransform]
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)


@pytest.fixture
def hashed(make_canary: Callable[..., AgentCanary]) -> AgentCanary:
    """Return a canary without overrides."""
    return make_canary(name="hashed", overrides=None)


def naming(canary: AgentCanary, **options: Any) -> CanaryRunnable[Any, Any]:
    """Wrap two versions that answer their own name."""
    return CanaryRunnable(canary, {"v1": lambda value: "v1", "v2": lambda value: "v2"}, **options)


@given(st.one_of(st.text(min_size=1), st.integers(), st.uuids()))
def test_a_thread_gets_the_version_of_its_id(thread_id: Any) -> None:
    """Any text, number or UUID decides as it does for ``route``, at every call."""
    with AgentCanary("v1", "v2", Rollout([Stage(0.5)]), autopilot=False) as canary:
        config = {"configurable": {"thread_id": thread_id}}
        wrapper = naming(canary)
        assert [wrapper.invoke(1, config) for _ in range(3)] == [canary.route(thread_id)] * 3
        assert not canary.status()["errors"]


@each_method
def test_all_methods_agree_on_a_thread(hashed: AgentCanary, method: Answer) -> None:
    """A thread has one version whatever it is called by."""
    for number in range(20):
        thread_id = f"thread {number}"
        answer = method(naming(hashed), 1, {"configurable": {"thread_id": thread_id}})
        assert answer == hashed.route(thread_id)


@each_method
def test_all_methods_agree_on_a_key_function(hashed: AgentCanary, method: Answer) -> None:
    """A key function gets the input and the config, and its key has one version."""
    got: list[Any] = []

    def key(value: Any, config: Any) -> str:
        got.append((value, config["metadata"]["tenant"]))
        return str(value["user"])

    for number in range(20):
        user = f"user {number}"
        answer = method(naming(hashed, key=key), {"user": user}, {"metadata": {"tenant": "acme"}})
        assert answer == hashed.route(user)
        assert got[-1] == ({"user": user}, "acme")


def test_a_key_function_sees_the_whole_streamed_input(hashed: AgentCanary, recorder: Any) -> None:
    """The pieces of a transform are put together before the key is asked for; the version gets them together too."""
    got: list[str] = []

    def key(value: str, config: Any) -> str:
        got.append(value)
        return value

    pieces: list[Any] = []

    def version(values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            pieces.append(value)
            yield value

    both = RunnableGenerator(version)
    wrapper: CanaryRunnable[Any, Any] = CanaryRunnable(hashed, {"v1": both, "v2": both}, key=key)
    assert list(wrapper.transform(iter(["al", "ice"]), {"callbacks": [recorder]})) == ["alice"]
    assert got == pieces == ["alice"]
    assert recorder.root.inputs == {"input": "alice"}
    assert list(wrapper.transform(iter([]))) == []


@pytest.mark.anyio
async def test_a_key_function_sees_the_whole_asynchronously_streamed_input(hashed: AgentCanary) -> None:
    """The same for ``atransform``."""
    got: list[str] = []
    wrapper = naming(hashed, key=lambda value, config: got.append(value) or "someone")
    answers = [chunk async for chunk in wrapper.atransform(_chunks("al", "ice"))]
    assert got == ["alice"]
    assert answers == [hashed.route("someone")]


def test_the_whole_of_pieces_that_cannot_be_added_is_the_last(hashed: AgentCanary) -> None:
    """Steps that pass on their state give it anew each time."""
    got: list[Any] = []
    wrapper = naming(hashed, key=lambda value, config: got.append(value) or "someone")
    list(wrapper.transform(iter([{"state": 1}, {"state": 2}])))
    assert got == [{"state": 2}]


@each_method
def test_nobody_gets_stable_and_is_counted(make_canary: Callable[..., AgentCanary], method: Answer) -> None:
    """Without a key there is no coin: stable answers, as unkeyed traffic."""
    canary = make_canary(overrides=None)
    for config in ({}, None, {"configurable": {}}, {"configurable": {"thread_id": None}}):
        assert method(naming(canary), 1, config) == "v1"
    assert canary.metrics("v1").successes == 4
    assert not canary.status()["errors"]


def test_an_empty_thread_id_is_nobodys(hashed: AgentCanary, probe: Any) -> None:
    """It is the field's default, which a server fills in: all those callers are not one user."""
    both = probe.answering("a")
    wrapper: CanaryRunnable[Any, Any] = CanaryRunnable(hashed, {"v1": both, "v2": both})
    wrapper.invoke(1, {"configurable": {"thread_id": ""}})
    assert probe.assignment.reason is Reason.DEFAULT
    assert probe.assignment.unit is None


@pytest.mark.parametrize("key", [["a list"], {"a": "dict"}, 1.5, True, b"bytes", object()])
def test_a_key_of_a_wrong_type_gets_stable(canary: AgentCanary, key: Any) -> None:
    """It is counted, and the call goes on."""
    assert naming(canary).invoke(1, {"configurable": {"thread_id": key}}) == "v1"
    assert naming(canary, key=lambda value, config: key).invoke(1) == "v1"
    assert sum(canary.status()["errors"].values()) == 2
    assert canary.metrics("v1").successes == 2


@each_method
def test_a_key_function_that_raises_gets_stable(canary: AgentCanary, method: Answer) -> None:
    """The user's bug is counted under its name, and the call goes on."""
    wrapper = naming(canary, key=lambda value, config: config["configurable"]["no such field"])
    assert method(wrapper, 1, None) == "v1"
    assert canary.status()["errors"] == {"key": 1}
    assert canary.metrics("v1").successes == 1


def test_a_key_function_may_not_know(canary: AgentCanary) -> None:
    """None is nobody, and no error."""
    assert naming(canary, key=lambda value, config: None).invoke(1, {"configurable": {"thread_id": "alice"}}) == "v1"
    assert not canary.status()["errors"]


def test_a_call_inside_another_chain_inherits_its_thread(canary: AgentCanary, alice: Any) -> None:
    """The config that LangChain passes on by itself has the thread's id."""
    wrapper = naming(canary)
    assert RunnableLambda(lambda value: wrapper.invoke(value)).invoke(1, alice) == "v2"


def test_the_config_is_the_context(make_canary: Callable[..., AgentCanary]) -> None:
    """Cohorts and overrides look at the call's config."""
    staff = Cohort("staff", lambda context: context["metadata"].get("staff"), 1.0)
    canary = make_canary(overrides=None, cohorts=[staff])
    nobody = next(key for key in (uuid.UUID(int=n) for n in range(100)) if canary.route(key) == "v1")
    config = {"configurable": {"thread_id": nobody}}
    assert naming(canary).invoke(1, {**config, "metadata": {"staff": True}}) == "v2"
    assert naming(canary).invoke(1, config) == "v1"


def test_switches_hold(canary: AgentCanary, alice: Any, bob: Any) -> None:
    """A forced version and the kill switch go before the key."""
    wrapper = naming(canary)
    with force_version("v2"):
        assert wrapper.invoke(1, bob) == "v2"
    with disabled():
        assert wrapper.invoke(1, alice) == "v1"
    assert wrapper.invoke(1, alice) == "v2"


def test_the_first_call_wakes_the_autopilot(make_canary: Callable[..., AgentCanary], alice: Any) -> None:
    """Whoever wraps a chain need not tick."""
    canary = make_canary(autopilot=None)
    wrapper = naming(canary)
    assert not canary.status()["autopilot"]
    wrapper.invoke(1, alice)
    assert canary.status()["autopilot"]


def test_a_rollback_holds_from_the_next_call_on(hashed: AgentCanary) -> None:
    """A thread that was on the canary is on stable then."""
    key = next(f"thread {number}" for number in range(100) if hashed.route(f"thread {number}") == "v2")
    wrapper, config = naming(hashed), {"configurable": {"thread_id": key}}
    assert wrapper.invoke(1, config) == "v2"
    hashed.rollout.rollback("by hand")
    assert wrapper.invoke(1, config) == "v1"


async def _first(chunks: AsyncIterator[Any]) -> Any:
    read = [chunk async for chunk in chunks]
    return read[0]


async def _chunks(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value

"""What a wrapper is made of, and what it refuses."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableLambda

from agent_canary import AgentCanary
from agent_canary_langchain import CanaryRunnable


def refused(canary: AgentCanary, versions: Any, **options: Any) -> str:
    """Return the error of a construction that must fail."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the callers look at the message
        CanaryRunnable(canary, versions, **options)
    return str(caught.value)


def one(value: Any) -> Any:
    return value


@pytest.mark.parametrize("versions", [None, 5, "v1", [one, one], {one}])
def test_versions_must_be_a_mapping(canary: AgentCanary, versions: Any) -> None:
    """The error names the parameter, the value and the keys that are wanted."""
    message = refused(canary, versions)
    assert message.startswith("versions must be a mapping")
    assert "'v1', 'v2'" in message
    assert repr(versions) in message


@pytest.mark.parametrize(
    "versions",
    [{}, {"v1": one}, {"v1": one, "v3": one}, {"v1": one, "v2": one, "v3": one}, {"stable": one, "canary": one}],
)
def test_versions_must_be_the_canarys(canary: AgentCanary, versions: Any) -> None:
    """Exactly the two versions are named, no other."""
    message = refused(canary, versions)
    assert message.startswith("versions must have exactly the keys ['v1', 'v2']")
    assert str(list(versions)) in message


@pytest.mark.parametrize("thing", [None, 5, "prompt", ["steps"]])
def test_each_version_must_be_runnable(canary: AgentCanary, thing: Any) -> None:
    """The error names the version that LangChain cannot run."""
    message = refused(canary, {"v1": one, "v2": thing})
    assert message.startswith("versions['v2'] must be a Runnable")
    assert repr(thing) in message


async def _async_key(value: Any, config: Any) -> str:
    return "alice"


class _AsyncKey:
    async def __call__(self, value: Any, config: Any) -> str:
        return "alice"


@pytest.mark.parametrize("key", ["user_id", 5, _async_key, functools.partial(_async_key), _AsyncKey()])
def test_key_must_be_a_plain_function(canary: AgentCanary, key: Any) -> None:
    """A key that has to be awaited, or is none, is refused at once and not at each call."""
    message = refused(canary, {"v1": one, "v2": one}, key=key)
    assert message.startswith("key must be a plain function")
    assert repr(key) in message


def test_what_langchain_can_run_is_made_a_runnable(canary: AgentCanary, alice: Any, bob: Any) -> None:
    """A function, a dict of them, and a generator function are versions too."""

    def letters(values: Iterator[str]) -> Iterator[str]:
        for value in values:
            yield from value

    wrapper: CanaryRunnable[Any, Any] = CanaryRunnable(canary, {"v1": {"x": one, "y": one}, "v2": letters})
    assert wrapper.invoke("ab", bob) == {"x": "ab", "y": "ab"}
    assert list(wrapper.stream("ab", alice)) == ["a", "b"]
    assert all(isinstance(version, Runnable) for version in wrapper.versions.values())


@pytest.mark.anyio
async def test_asynchronous_functions_are_versions(canary: AgentCanary, alice: Any, bob: Any) -> None:
    """A coroutine function and an asynchronous generator function are versions for the asynchronous methods."""

    async def later(value: str) -> str:
        return value.upper()

    async def letters(values: AsyncIterator[str]) -> AsyncIterator[str]:
        async for value in values:
            for letter in value:
                yield letter

    wrapper: CanaryRunnable[Any, Any] = CanaryRunnable(canary, {"v1": later, "v2": letters})
    assert await wrapper.ainvoke("ab", bob) == "AB"
    assert [chunk async for chunk in wrapper.astream("ab", alice)] == ["a", "b"]


def test_one_runnable_may_be_both_versions(canary: AgentCanary, alice: Any, bob: Any, probe: Any) -> None:
    """Code that looks at ``current_assignment()`` itself needs no second chain."""
    both = probe.answering("a")
    wrapper: CanaryRunnable[Any, Any] = CanaryRunnable(canary, {"v1": both, "v2": both})
    wrapper.invoke(1, alice)
    wrapper.invoke(1, bob)
    assert [assignment.version for assignment in probe.seen] == ["v2", "v1"]


def test_the_mapping_is_copied(canary: AgentCanary, alice: Any) -> None:
    """What the caller does with it later changes nothing."""
    versions: dict[str, Any] = {"v1": one, "v2": RunnableLambda(lambda value: "canary")}
    wrapper: CanaryRunnable[Any, Any] = CanaryRunnable(canary, versions)
    versions.clear()
    assert wrapper.invoke(1, alice) == "canary"


def test_it_is_told_by_its_rollout(canary: AgentCanary) -> None:
    """Its text names the rollout and both versions."""
    wrapper: CanaryRunnable[Any, Any] = CanaryRunnable(canary, {"v1": one, "v2": one})
    assert repr(wrapper).startswith("CanaryRunnable('agent', {'v1': RunnableLambda")

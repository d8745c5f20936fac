"""CanaryRunnable: two versions of a chain or graph behind one Runnable."""

# ruff: noqa: A002, N802 - the names are LangChain's

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableLike, coerce_to_runnable
from langchain_core.runnables.config import ensure_config
from langchain_core.runnables.utils import ConfigurableFieldSpec, Input, Output

from agent_canary.adapting import StickyKey

from .description import THREAD_ID, Description
from .overriding import override
from .relay import arelay, relay
from .turn import Turn
from .upstream import AsyncUpstream, Upstream

if TYPE_CHECKING:
    from langchain_core.runnables.graph import Graph
    from langchain_core.utils.pydantic import TypeBaseModel

    from agent_canary import AgentCanary

KeyFunction = Callable[[Any, RunnableConfig], StickyKey | None]


class CanaryRunnable(Runnable[Input, Output]):
    """Answers each call by its version: same as ``AgentCanary.assign``, the key taken from the config.

    The versions' code finds its assignment by ``current_assignment()``, and every run of the trace carries the version
    as a tag (``version:v2``) and as metadata. The config is the context that overrides and cohorts see. One call is one
    assignment: each input of a batch, and each attempt of a ``with_retry()`` around the wrapper. It succeeds when the
    version's answer is complete, and fails by an exception. A cancelled task, a consumer that stops reading a stream,
    and an interrupt of LangGraph that passes through a node are neither.

    Args:
        canary: Who decides.
        versions: What answers, by version: a Runnable, a compiled graph, or what LangChain makes a Runnable of (a
            function, a dict).
        key: Gets the input and the config and returns the sticky key, or None when it does not know who asks. By
            default the key is ``config["configurable"]["thread_id"]``. Without a key stable answers, and it is counted.
            A function needs the whole input: with one, ``transform`` reads its input to the end before the version
            begins.
        name: The run's name in a trace; by default it names the rollout.

    Raises:
        ValueError: *versions* has not exactly the canary's two versions, one of them cannot be made a Runnable, or
            *key* is no plain function.
    """

    def __init__(
        self,
        canary: AgentCanary,
        versions: Mapping[str, RunnableLike[Input, Output]],
        *,
        key: KeyFunction | None = None,
        name: str | None = None,
    ) -> None:
        self.canary = canary
        self.versions = _runnables(canary, versions)
        self.name = name
        self._key = _checked(key)
        stable, other = canary.versions
        self._description = Description(self.versions[stable], self.versions[other], canary.versions)

    def __repr__(self) -> str:
        return f"CanaryRunnable({self.canary.name!r}, {self.versions!r})"

    # What it tells about itself

    @override
    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return super().get_name(suffix, name=name or self.name or f"CanaryRunnable<{self.canary.name}>")

    @property
    @override
    def InputType(self) -> Any:
        return self._description.stable.InputType

    @property
    @override
    def OutputType(self) -> type[Output]:
        return self._description.output_type()

    @override
    def get_input_schema(self, config: RunnableConfig | None = None) -> TypeBaseModel:
        """Return stable's: what callers send has to be good for stable too, after a rollback at the latest."""
        return self._description.stable.get_input_schema(config)

    @override
    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """Same as :meth:`get_input_schema`; a graph makes this one in a way of its own."""
        return self._description.stable.get_input_jsonschema(config)

    @override
    def get_output_schema(self, config: RunnableConfig | None = None) -> TypeBaseModel:
        """Return stable's, or the union of both versions' when they differ: callers may get either."""
        return self._description.output_schema(self, config)

    @override
    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """Same as :meth:`get_output_schema`; a graph makes this one in a way of its own."""
        return self._description.output_jsonschema(config) or super().get_output_jsonschema(config)

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return self._description.config_specs([THREAD_ID] if self._key is None else [])

    @override
    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        return self._description.graph(config) or super().get_graph(config)

    # How it answers

    @override
    def invoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Output:
        turn = self._turn(input, config)
        run = turn.start(self.get_name(), input)
        try:
            with turn.assignment.active():
                output = turn.runnable.invoke(input, turn.child_config(run), **kwargs)
        except BaseException as error:
            turn.end(error)
            run.on_chain_error(error)
            raise
        turn.note(output)
        turn.succeed()
        run.on_chain_end(output)
        return output

    @override
    async def ainvoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Output:
        turn = self._turn(input, config)
        run = await turn.astart(self.get_name(), input)
        try:
            with turn.assignment.active():
                output = await turn.runnable.ainvoke(input, turn.child_config(run), **kwargs)
        except BaseException as error:
            turn.end(error)
            await run.on_chain_error(error)
            raise
        turn.note(output)
        turn.succeed()
        await run.on_chain_end(output)
        return output

    @override
    def stream(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Output]:
        turn = self._turn(input, config)
        run = turn.start(self.get_name(), input)
        yield from relay(turn, run, lambda config: turn.runnable.stream(input, config, **kwargs))

    @override
    async def astream(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Output]:
        turn = self._turn(input, config)
        run = await turn.astart(self.get_name(), input)
        stream = arelay(turn, run, lambda config: turn.runnable.astream(input, config, **kwargs))
        async with aclosing(stream):
            async for chunk in stream:
                yield chunk

    @override
    def transform(
        self, input: Iterator[Input], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Output]:
        upstream = Upstream(input)
        turn = self._turn(upstream.begin(whole=self._key is not None), config)
        run = turn.start(self.get_name(), {"input": ""})
        yield from relay(turn, run, lambda config: turn.runnable.transform(upstream, config, **kwargs), upstream)

    @override
    async def atransform(
        self, input: AsyncIterator[Input], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Output]:
        upstream = AsyncUpstream(input)
        turn = self._turn(await upstream.begin(whole=self._key is not None), config)
        run = await turn.astart(self.get_name(), {"input": ""})
        stream = arelay(turn, run, lambda config: turn.runnable.atransform(upstream, config, **kwargs), upstream)
        async with aclosing(stream):
            async for chunk in stream:
                yield chunk

    def _turn(self, input: Input | None, config: RunnableConfig | None) -> Turn[Input, Output]:
        config = ensure_config(config)
        if self._key is None:
            sticky_key = _thread_id(config)
        else:
            sticky_key = self.canary.failsafe.call("key", self._key, input, config)
        context = cast("Mapping[str, Any]", config)
        assignment = self.canary.assign(sticky_key, context, adapter=True)
        return Turn(self.canary, assignment, self.versions[assignment.version], config)


def _thread_id(config: RunnableConfig) -> StickyKey | None:
    """Return the thread's id; None for the field's default, which a server may fill in, and which is nobody."""
    thread_id: StickyKey | None = config.get("configurable", {}).get(THREAD_ID.id)
    return None if thread_id == THREAD_ID.default else thread_id


def _runnables(
    canary: AgentCanary, versions: Mapping[str, RunnableLike[Input, Output]]
) -> dict[str, Runnable[Input, Output]]:
    if not isinstance(versions, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"versions must be a mapping with the keys {list(canary.versions)}, got {versions!r}")
    canary.require_versions(versions, "versions")
    return {version: _runnable(version, thing) for version, thing in versions.items()}


def _runnable(version: str, thing: RunnableLike[Input, Output]) -> Runnable[Input, Output]:
    try:
        return cast("Runnable[Input, Output]", coerce_to_runnable(thing))
    except TypeError as error:
        raise ValueError(
            f"versions[{version!r}] must be a Runnable, or a function or dict to make one of, got {thing!r}"
        ) from error


def _checked(key: KeyFunction | None) -> KeyFunction | None:
    if key is not None and (not callable(key) or _is_async(key)):
        raise ValueError(
            f"key must be a plain function of input and config that returns the sticky key, got {key!r}; "
            'without one the key is config["configurable"]["thread_id"]'
        )
    return key


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)

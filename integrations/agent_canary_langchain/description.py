"""What two versions tell about themselves, joined: types, schemas, configurable fields, graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Union, cast

from langchain_core.runnables.utils import ConfigurableFieldSpec, Input, Output

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable, RunnableConfig
    from langchain_core.runnables.graph import Graph, Node
    from langchain_core.utils.pydantic import TypeBaseModel

THREAD_ID = ConfigurableFieldSpec(id="thread_id", annotation=str, name="Thread ID", default="", is_shared=True)
"""The field of the sticky key, as LangGraph's checkpointers tell it: two different ones could not be in one chain."""


class Description(Generic[Input, Output]):
    """Stable's word where the two differ about what they take; both where they differ about what they give.

    Args:
        stable: Its inputs are what callers must send: after a rollback it gets all of them.
        canary: The other version.
        names: The versions' names, stable's first, for the graph.
    """

    def __init__(
        self, stable: Runnable[Input, Output], canary: Runnable[Input, Output], names: tuple[str, str]
    ) -> None:
        self.stable = stable
        self.canary = canary
        self._names = names

    def output_type(self) -> type[Output]:
        """Return the type of the answers: a union if the versions' differ."""
        return cast("type[Output]", _union(self.stable.OutputType, self.canary.OutputType))

    def output_schema(self, wrapper: Runnable[Input, Output], config: RunnableConfig | None) -> TypeBaseModel:
        """Return the schema of the answers: a union, under *wrapper*'s name, if the versions' differ."""
        stable, canary = (version.get_output_schema(config) for version in (self.stable, self.canary))
        if _fields_of(stable) == _fields_of(canary):
            return stable
        return wrapper.with_types(output_type=_union(stable, canary)).get_output_schema(config)

    def output_jsonschema(self, config: RunnableConfig | None) -> dict[str, Any] | None:
        """Return the JSON schema of the answers; None if the versions' differ."""
        stable, canary = (version.get_output_jsonschema(config) for version in (self.stable, self.canary))
        return stable if {**stable, "title": ""} == {**canary, "title": ""} else None

    def config_specs(self, own: Iterable[ConfigurableFieldSpec]) -> list[ConfigurableFieldSpec]:
        """Return both versions' configurable fields and the wrapper's *own*.

        A field that the versions describe differently, as with another default, is told as stable tells it; each uses
        its own default all the same.
        """
        specs = (*own, *self.canary.config_specs, *self.stable.config_specs)
        return list({spec.id: spec for spec in specs}.values())

    def graph(self, config: RunnableConfig | None) -> Graph | None:
        """Return both versions' steps side by side between stable's input and output; None if it has no such ends."""
        drawn = self.stable.get_graph(config)
        first, last = drawn.first_node(), drawn.last_node()
        if first is None or last is None:
            return None
        graph = type(drawn)(nodes={first.id: first, last.id: last})
        for name, version in zip(self._names, (self.stable, self.canary), strict=True):
            begin, end = _extend(graph, name, version, config)
            graph.add_edge(first, begin, name, conditional=True)
            graph.add_edge(end, last)
        return graph


def _extend(graph: Graph, name: str, version: Runnable[Any, Any], config: RunnableConfig | None) -> tuple[Node, Node]:
    """Add the steps of *version*, without its own input and output, to *graph*; return the first and the last one."""
    steps = version.get_graph(config)
    steps.trim_first_node()
    steps.trim_last_node()
    if steps.first_node() is not None and steps.last_node() is not None:
        return cast("tuple[Node, Node]", graph.extend(steps, prefix=name))
    node = graph.add_node(version)
    return node, node


def _union(one: Any, other: Any) -> Any:
    return one if one == other else cast("Any", Union)[one, other]


def _fields_of(schema: TypeBaseModel) -> object:
    """Return the types of a schema's fields by name: schemas of equal fields say the same, whatever they are called."""
    fields = getattr(schema, "model_fields", None)
    return schema if fields is None else {name: field.annotation for name, field in fields.items()}

"""What a wrapper tells about itself: name, types, schemas, configurable fields, graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, Runnable, RunnableLambda, RunnablePassthrough
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from agent_canary import AgentCanary
from agent_canary_langchain import CanaryRunnable


def text_to_text(value: str) -> str:
    return value


def text_to_number(value: str) -> int:
    return len(value)


def number_to_number(value: int) -> int:
    return value


def typed(function: Any, input_type: Any, output_type: Any) -> Runnable[Any, Any]:
    return RunnableLambda(function).with_types(input_type=input_type, output_type=output_type)


def test_its_name_is_its_rollouts(canary: AgentCanary, wrap: Any) -> None:
    """Unless it was given one; names of schemas are made of it."""
    assert wrap(text_to_text).get_name() == "CanaryRunnable<agent>"
    assert wrap(text_to_text).get_name("Input") == "CanaryRunnable<agent>Input"
    assert wrap(text_to_text).get_name(name="asked") == "asked"
    assert wrap(text_to_text, name="support").get_name() == "support"


def test_equal_schemas_are_stables(wrap: Any, scripted: Any) -> None:
    """Two versions of one shape look like one chain."""
    chains = [ChatPromptTemplate.from_template(text) | scripted() | StrOutputParser() for text in ("{q}", "Now: {q}")]
    wrapper = wrap(*chains)
    assert wrapper.InputType == chains[1].InputType
    assert wrapper.OutputType is str
    assert wrapper.get_input_jsonschema() == chains[1].get_input_jsonschema()
    assert wrapper.get_output_jsonschema() == chains[1].get_output_jsonschema()
    assert wrapper.input_schema.model_validate({"q": "hello"})


def test_inputs_are_what_stable_takes(wrap: Any) -> None:
    """Callers write for stable: after a rollback it gets all of their inputs."""
    wrapper = wrap(typed(number_to_number, int, int), typed(text_to_text, str, str))
    assert wrapper.InputType is str
    assert wrapper.get_input_jsonschema()["type"] == "string"


def test_outputs_are_what_either_gives(wrap: Any) -> None:
    """Callers get the answers of both."""
    wrapper = wrap(typed(text_to_number, str, int), typed(text_to_text, str, str))
    assert wrapper.OutputType == str | int
    schema = wrapper.get_output_jsonschema()
    assert schema["title"] == "CanaryRunnable<agent>Output"
    assert [schema["$defs"][part["$ref"].rpartition("/")[2]]["type"] for part in schema["anyOf"]] == [
        "string",
        "integer",
    ]


def test_other_names_are_no_other_schema(wrap: Any) -> None:
    """LangChain names a schema after the function; what counts is its fields."""

    def same(value: str) -> str:
        return value

    wrapper, stable = wrap(RunnableLambda(same), RunnableLambda(text_to_text)), RunnableLambda(text_to_text)
    assert wrapper.get_output_schema().model_json_schema() == stable.get_output_schema().model_json_schema()
    assert wrapper.get_output_jsonschema() == stable.get_output_jsonschema()


class State(TypedDict):
    question: str
    answer: str


class LongerState(State):
    sources: list[str]


def compiled(state: type[Any]) -> Any:
    builder = StateGraph(state)
    builder.add_node("think", lambda state: {"answer": "a"})
    builder.add_node("speak", lambda state: {"answer": "b"})
    builder.add_edge(START, "think")
    builder.add_edge("think", "speak")
    builder.add_edge("speak", END)
    return builder.compile()


def test_schemas_of_graphs_are_joined(wrap: Any) -> None:
    """Graphs of one state are one shape; a state that grew is another."""
    equal = wrap(compiled(State), compiled(State))
    assert equal.get_output_schema().model_json_schema() == compiled(State).get_output_schema().model_json_schema()
    assert equal.get_output_jsonschema() == compiled(State).get_output_jsonschema()
    grown = wrap(compiled(LongerState), compiled(State))
    assert len(grown.get_output_jsonschema()["anyOf"]) == 2
    assert grown.get_input_jsonschema() == compiled(State).get_input_jsonschema()


def test_the_threads_id_is_a_configurable_field(wrap: Any) -> None:
    """Unless a key function finds the key elsewhere."""
    assert [spec.id for spec in wrap(text_to_text).config_specs] == ["thread_id"]
    assert wrap(text_to_text, key=lambda value, config: "someone").config_specs == []
    assert "thread_id" in wrap(text_to_text).config_schema().model_json_schema()["$defs"]["Configurable"]["properties"]


def test_configurable_fields_of_both_are_told(wrap: Any, scripted: Any) -> None:
    """Each once."""
    new = scripted().configurable_fields(replies=ConfigurableField(id="replies"))
    old = scripted().configurable_fields(given=ConfigurableField(id="given"))
    chain = RunnablePassthrough() | wrap(new, old)
    assert sorted(spec.id for spec in chain.config_specs) == ["given", "replies", "thread_id"]


def test_a_field_that_differs_is_stables(wrap: Any, scripted: Any) -> None:
    """A new default is what a new version is for, and no conflict."""
    field = ConfigurableField(id="candidates")
    new, old = scripted(candidates=2), scripted(candidates=1)
    wrapper = wrap(new.configurable_fields(candidates=field), old.configurable_fields(candidates=field))
    assert [spec.default for spec in wrapper.config_specs if spec.id == "candidates"] == [1]


def test_two_wrappers_stand_in_one_chain(make_canary: Callable[..., AgentCanary], wrap: Any) -> None:
    """Both tell the thread's id, which is one field."""
    other: CanaryRunnable[Any, Any] = CanaryRunnable(
        make_canary("r1", "r2"), {"r1": RunnablePassthrough(), "r2": RunnablePassthrough()}
    )
    assert [spec.id for spec in (other | wrap(text_to_text)).config_specs] == ["thread_id"]


def labelled(graph: Any) -> set[tuple[str, str, str | None]]:
    """Return the edges by the names of their nodes, with their labels."""
    names = {node.id: node.name for node in graph.nodes.values()}
    return {(names[edge.source], names[edge.target], edge.data) for edge in graph.edges}


def test_its_graph_has_both_versions(wrap: Any, scripted: Any) -> None:
    """Side by side between stable's input and output, the way to each named by its version."""
    chain = ChatPromptTemplate.from_template("{q}") | scripted() | StrOutputParser()
    graph = wrap(chain, RunnablePassthrough()).get_graph()
    assert labelled(graph) == {
        ("PassthroughInput", "Passthrough", "v1"),
        ("Passthrough", "PassthroughOutput", None),
        ("PassthroughInput", "ChatPromptTemplate", "v2"),
        ("ChatPromptTemplate", "ScriptedModel", None),
        ("ScriptedModel", "StrOutputParser", None),
        ("StrOutputParser", "PassthroughOutput", None),
    }
    assert "v2" in graph.draw_mermaid()


def test_its_graph_tells_graphs_apart(wrap: Any) -> None:
    """Nodes of one name in both versions are two."""
    graph = wrap(compiled(State), compiled(State)).get_graph()
    assert {"v1:think", "v1:speak", "v2:think", "v2:speak"} <= set(graph.nodes)
    assert len(graph.nodes) == 6
    assert "v1" in graph.draw_mermaid()


class Odd(Runnable[str, str]):
    """Its graph has two last steps."""

    def invoke(self, value: str, config: Any = None, **kwargs: Any) -> str:
        return value

    def get_graph(self, config: Any = None) -> Any:
        graph = super().get_graph(config)
        graph.add_edge(next(iter(graph.nodes.values())), graph.add_node(RunnablePassthrough()))
        return graph


def test_its_graph_shows_a_version_without_one_end_as_one(wrap: Any) -> None:
    """Such a canary stands as a whole; of such a stable the wrapper itself is shown."""
    edges = labelled(wrap(Odd(), RunnablePassthrough()).get_graph())
    assert ("PassthroughInput", "Odd", "v2") in edges
    assert ("Odd", "PassthroughOutput", None) in edges
    assert "CanaryRunnable" in str(labelled(wrap(RunnablePassthrough(), Odd()).get_graph()))


def test_its_prompts_are_both_versions(wrap: Any, scripted: Any) -> None:
    """Whoever lists the prompts of an app finds them."""
    chains = [ChatPromptTemplate.from_template(text) | scripted() for text in ("{q}", "Now: {q}")]
    assert len(wrap(*chains).get_prompts()) == 2

"""Tokens that spans report, counted once for the assignment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import Tracer, use_span

from agent_canary import AgentCanary, Assignment
from agent_canary.context import shadow_scope
from agent_canary_opentelemetry import SpanRecorder


def usage(read: object = None, written: object = None) -> dict[str, Any]:
    found = {"gen_ai.usage.input_tokens": read, "gen_ai.usage.output_tokens": written}
    return {name: value for name, value in found.items() if value is not None}


def counted(assignment: Assignment) -> tuple[int, int]:
    details = assignment.details
    return (0, 0) if details is None else (details.input_tokens, details.output_tokens)


def test_tokens_go_to_the_assignment(canary: AgentCanary, tracer: Tracer) -> None:
    """Several model calls add up, and are in the version's metrics at the end."""
    with canary.assign("alice") as assignment:
        for _ in range(3):
            tracer.start_span("chat", attributes=usage(100, 7)).end()
    assert counted(assignment) == (300, 21)
    snapshot = canary.metrics("v2").snapshot()
    assert (snapshot["input_tokens"], snapshot["output_tokens"], snapshot["total"]) == (300, 21, 1)


def test_deprecated_names_are_understood(canary: AgentCanary, tracer: Tracer) -> None:
    """Instrumentations that write the conventions' older names are read too; the present names win."""
    older = {"gen_ai.usage.prompt_tokens": 11, "gen_ai.usage.completion_tokens": 5}
    with canary.assign("alice") as assignment:
        tracer.start_span("old", attributes=older).end()
        tracer.start_span("both", attributes={**older, **usage(1, 1)}).end()
    assert counted(assignment) == (12, 6)


def test_an_agent_that_repeats_the_sum_adds_nothing(canary: AgentCanary, tracer: Tracer) -> None:
    """The usage of an agent's span is the sum of its model calls: they are not counted twice."""
    with canary.assign("alice") as assignment, tracer.start_as_current_span("invoke_agent") as agent:
        with tracer.start_as_current_span("plan"):
            tracer.start_span("chat", attributes=usage(100, 10)).end()
        tracer.start_span("chat", attributes=usage(200, 20)).end()
        agent.set_attributes(usage(300, 30))
    assert counted(assignment) == (300, 30)


def test_an_agent_that_knows_more_adds_the_difference(canary: AgentCanary, tracer: Tracer) -> None:
    """Model calls that nobody instrumented are in the agent's sum only."""
    with canary.assign("alice") as assignment, tracer.start_as_current_span("invoke_agent") as agent:
        tracer.start_span("chat", attributes=usage(100, 10)).end()
        agent.set_attributes(usage(250, 10))
    assert counted(assignment) == (250, 10)


@pytest.mark.parametrize("bad", [-5, 0, float("nan"), float("inf"), "12", [3, 4]])
def test_what_is_no_number_of_tokens_is_ignored(canary: AgentCanary, tracer: Tracer, bad: object) -> None:
    """A wrong value is no usage, and the other one still counts."""
    with canary.assign("alice") as assignment:
        tracer.start_span("chat", attributes=usage(bad, 7)).end()
    assert counted(assignment) == (0, 7)
    assert canary.status()["errors"] == {}


def test_tokens_after_the_end_are_noted(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """A span that ends after its assignment cannot add to it: that is counted and logged, and changes nothing."""
    with canary.assign("alice") as assignment:
        late = tracer.start_span("chat", attributes=usage(100, 7))
    late.end()
    assert counted(assignment) == (0, 0)
    assert canary.status()["errors"] == {"span tokens": 1}


def test_a_late_repetition_of_the_sum_is_not_noted(canary: AgentCanary, tracer: Tracer) -> None:
    """An agent's span that ends after its assignment and adds nothing is no error."""
    with canary.assign("alice") as assignment:
        agent = tracer.start_span("invoke_agent", attributes=usage(100, 7))
        with use_span(agent):
            tracer.start_span("chat", attributes=usage(100, 7)).end()
    agent.end()
    assert counted(assignment) == (100, 7)
    assert canary.status()["errors"] == {}


def test_a_shadow_call_is_not_charged(canary: AgentCanary, tracer: Tracer) -> None:
    """Tokens of a shadow call below the request's span are not the answer's."""
    with canary.assign("alice") as assignment, tracer.start_as_current_span("request"), shadow_scope():
        tracer.start_span("chat", attributes=usage(100, 7)).end()
    assert counted(assignment) == (0, 0)


def test_both_rollouts_are_charged(make_canary: Any, telemetry_of: Any) -> None:
    """What an inner rollout's version spends was spent for the outer one's answer too."""
    outer, inner = make_canary(name="router"), make_canary(name="writer")
    tracer = telemetry_of(SpanRecorder(outer), SpanRecorder(inner)).tracer
    with outer.assign("alice") as around, tracer.start_as_current_span("outer"), inner.assign("bob") as within:
        tracer.start_span("chat", attributes=usage(100, 7)).end()
    assert counted(around) == counted(within) == (100, 7)


def test_tokens_can_be_left_to_somebody_else(canary: AgentCanary, telemetry_of: Any) -> None:
    """With tokens=False what an adapter counts itself is not counted again; all else is as before."""
    recorder = SpanRecorder(canary, tokens=False)
    telemetry = telemetry_of(recorder)
    judged = {"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.value": 1.0}
    with canary.assign("alice") as assignment:
        assignment.usage(input_tokens=100)
        telemetry.tracer.start_span("chat", attributes={**usage(100, 7), **judged}).end()
    with telemetry.tracer.start_as_current_span("answer", attributes=usage(100, 7)):
        recorder.routed("v2")
    assert counted(assignment) == (100, 0)
    snapshot = canary.metrics("v2").snapshot()
    assert (snapshot["total"], snapshot["input_tokens"], snapshot["scores"]["helpful"]["count"]) == (2, 100, 1)


Tree = tuple[int, list[Any]]
trees = st.recursive(
    st.tuples(st.integers(0, 50), st.just([])),
    lambda inner: st.tuples(st.integers(0, 120), st.lists(inner, max_size=4)),
    max_leaves=12,
)


def larger_of_own_and_below(tree: Tree) -> int:
    own, below = tree
    return max(own, sum(map(larger_of_own_and_below, below)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees)
def test_each_token_counts_once_in_any_tree(
    make_canary: Callable[..., AgentCanary], telemetry_of: Any, tree: Tree
) -> None:
    """Whatever the tree of spans and whoever of them reports, the larger of own and below counts at each."""
    canary = make_canary()
    tracer = telemetry_of(SpanRecorder(canary)).tracer

    def run(node: Tree) -> None:
        with tracer.start_as_current_span("node") as span:
            for child in node[1]:
                run(child)
            span.set_attributes(usage(node[0]))

    with canary.assign("alice") as assignment:
        run(tree)
    assert counted(assignment) == (larger_of_own_and_below(tree), 0)

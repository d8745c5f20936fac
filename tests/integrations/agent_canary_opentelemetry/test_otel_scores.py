"""Evaluations that spans carry, as scores of the assignment that they judge."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.trace import Tracer, use_span

from agent_canary import AgentCanary
from agent_canary.context import shadow_scope
from agent_canary_opentelemetry import SpanRecorder
from agent_canary_opentelemetry.attributes import ASSIGNMENT_ID


def evaluation(name: object, value: object) -> dict[str, Any]:
    return {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": value}


def scores(canary: AgentCanary, version: str = "v2") -> dict[str, float]:
    found = canary.metrics(version).snapshot()["scores"]
    return {name: sums["mean"] for name, sums in found.items()}


def test_events_on_a_span_are_scores(canary: AgentCanary, tracer: Tracer) -> None:
    """Each evaluation event scores the assignment; other events do not."""
    with canary.assign("alice"), tracer.start_as_current_span("chat") as span:
        span.add_event("gen_ai.evaluation.result", evaluation("helpful", 1))
        span.add_event("gen_ai.evaluation.result", evaluation("relevance", 0.75))
        span.add_event("something.else", evaluation("noise", 0.1))
    assert scores(canary) == {"helpful": 1.0, "relevance": 0.75}


def test_attributes_of_a_span_are_a_score(canary: AgentCanary, tracer: Tracer) -> None:
    """A judge's own span may carry name and value itself."""
    with canary.assign("bob"):
        tracer.start_span("evaluate", attributes=evaluation("helpful", 0)).end()
    assert scores(canary, "v1") == {"helpful": 0.0}
    assert scores(canary, "v2") == {}


def test_a_label_alone_is_no_score(canary: AgentCanary, tracer: Tracer) -> None:
    """An evaluation without a number is passed over."""
    with canary.assign("alice"), tracer.start_as_current_span("chat") as span:
        label = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "pass"}
        span.add_event("gen_ai.evaluation.result", label)
    assert scores(canary) == {}
    assert canary.status()["errors"] == {}


@pytest.mark.parametrize("bad", [evaluation("helpful", float("nan")), evaluation("helpful", "yes"), evaluation("", 1)])
def test_a_bad_score_is_counted_and_the_next_one_books(canary: AgentCanary, tracer: Tracer, bad: Any) -> None:
    """What is no number or has no name is refused, counted, and nothing else is lost."""
    with canary.assign("alice") as assignment, tracer.start_as_current_span("chat") as span:
        span.add_event("gen_ai.evaluation.result", bad)
        span.add_event("gen_ai.evaluation.result", evaluation("relevance", 0.5))
        span.set_attribute("gen_ai.usage.input_tokens", 3)
    assert scores(canary) == {"relevance": 0.5}
    assert canary.status()["errors"] == {"score (bad value)": 1}
    assert assignment.details is not None
    assert assignment.details.input_tokens == 3


def test_a_score_without_a_name_is_counted(canary: AgentCanary, tracer: Tracer) -> None:
    """The name is required."""
    with canary.assign("alice"):
        tracer.start_span("evaluate", attributes={"gen_ai.evaluation.score.value": 1.0}).end()
    assert canary.status()["errors"] == {"score (bad value)": 1}


def test_a_judge_that_ends_after_the_answer_scores_it(canary: AgentCanary, tracer: Tracer) -> None:
    """A span that began in the assignment scores it also after its end."""
    with canary.assign("alice"):
        judge = tracer.start_span("evaluate")
    judge.set_attributes(evaluation("helpful", 1))
    judge.end()
    assert scores(canary) == {"helpful": 1.0}


def test_a_judge_below_an_open_span_scores_the_answer(canary: AgentCanary, tracer: Tracer) -> None:
    """A span that begins after the assignment's end, in a span of it that is still open, scores it."""
    with canary.assign("alice"):
        request = tracer.start_span("request")
    with use_span(request, end_on_exit=True):
        tracer.start_span("evaluate", attributes=evaluation("helpful", 1)).end()
    assert scores(canary) == {"helpful": 1.0}


def test_a_judge_names_the_answer_by_its_id(make_canary: Any, telemetry_of: Any, canary: AgentCanary) -> None:
    """Later, in another process with the same secret, the assignment's id on the judge's span tells whom it judges."""
    here, there = make_canary(secret="s" * 32), make_canary(secret="s" * 32)
    with here.assign("alice") as assignment:
        pass
    tracer = telemetry_of(SpanRecorder(there)).tracer
    tracer.start_span("evaluate", attributes={ASSIGNMENT_ID: assignment.id, **evaluation("helpful", 1)}).end()
    assert scores(there) == {"helpful": 1.0}
    assert scores(here) == {}
    assert there.status()["errors"] == {}


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_an_id_on_the_span_beats_the_context(canary: AgentCanary, telemetry: Any, tracer: Tracer, when: str) -> None:
    """A judge that is a request of its own scores the answer that it names, not itself."""
    with canary.assign("alice") as judged:
        pass
    named = {ASSIGNMENT_ID: judged.id}
    with canary.assign("bob"):
        judge = tracer.start_span("evaluate", attributes=named if when == "at the start" else None)
        judge.set_attributes({} if when == "at the start" else named)
        judge.set_attributes(evaluation("helpful", 1))
        judge.end()
    assert scores(canary, "v2") == {"helpful": 1.0}
    assert scores(canary, "v1") == {}
    assert telemetry.said("evaluate")[ASSIGNMENT_ID] == judged.id


def test_a_forged_id_is_refused(make_canary: Any, telemetry_of: Any) -> None:
    """An id that another secret signed scores nothing, and is counted."""
    here, stranger = make_canary(secret="s" * 32), make_canary(secret="t" * 32)
    tracer = telemetry_of(SpanRecorder(here)).tracer
    with stranger.assign("alice") as assignment:
        pass
    tracer.start_span("evaluate", attributes={ASSIGNMENT_ID: assignment.id, **evaluation("helpful", 1)}).end()
    assert scores(here) == {}
    assert here.status()["errors"] == {"score (forged)": 1}


def test_a_shadow_call_is_not_scored(canary: AgentCanary, tracer: Tracer) -> None:
    """An evaluation of a shadow's answer is no score of the user's."""
    with canary.assign("alice"), tracer.start_as_current_span("request"), shadow_scope():
        tracer.start_span("evaluate", attributes=evaluation("helpful", 0)).end()
    assert scores(canary) == {}


def test_an_id_that_a_limit_has_cut_still_scores(
    canary: AgentCanary, telemetry_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit to the length of attributes cuts the id; in this process the assignment is known all the same."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "40")
    telemetry = telemetry_of(SpanRecorder(canary))
    with canary.assign("alice") as assignment:
        telemetry.tracer.start_span("evaluate", attributes=evaluation("helpful", 1)).end()
    assert telemetry.said("evaluate")[ASSIGNMENT_ID] == assignment.id[:40]
    assert scores(canary) == {"helpful": 1.0}
    assert canary.status()["errors"] == {}

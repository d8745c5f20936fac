"""Which spans say which version they belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, Tracer

from agent_canary import AgentCanary, current_assignment
from agent_canary.context import shadow_scope
from agent_canary.testing import disabled
from agent_canary_opentelemetry import SpanRecorder
from agent_canary_opentelemetry import attributes as names


def in_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(timeout=5)
    assert not thread.is_alive()


def test_a_span_in_an_assignment_says_all_of_it(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """Version, rollout, arm, reason, stage and the assignment's id are on the span, and nothing else."""
    with canary.assign("alice") as assignment, tracer.start_as_current_span("chat"):
        pass
    assert dict(telemetry.said("chat")) == {
        "agent_canary.rollout": "support",
        "agent_canary.version": "v2",
        "agent_canary.stage.index": 0,
        "agent_canary.assignment.id": assignment.id,
        "gen_ai.agent.version": "v2",
        "feature_flag.key": "support",
        "feature_flag.provider.name": "agent_canary",
        "feature_flag.result.variant": "canary",
        "feature_flag.result.reason": "targeting_match",
    }


def test_the_sticky_key_is_not_on_the_span(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """No attribute holds the key."""
    key = "margaret.hamilton@example.org"
    with canary.assign(key), tracer.start_as_current_span("chat"):
        pass
    assert telemetry.said("chat")["feature_flag.result.reason"] == "split"
    assert not [value for value in telemetry.said("chat").values() if key in str(value)]


def test_stable_says_stable(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """Without a key the variant is stable, by default; switched off it is stable, disabled."""
    with canary.assign(None), tracer.start_as_current_span("keyless"):
        pass
    with disabled(), canary.assign("alice"), tracer.start_as_current_span("off"):
        pass
    arms = [
        (telemetry.said(name)[names.FEATURE_FLAG_VARIANT], telemetry.said(name)[names.FEATURE_FLAG_REASON])
        for name in ("keyless", "off")
    ]
    assert arms == [("stable", "default"), ("stable", "disabled")]


def test_spans_outside_say_nothing(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """Before and after an assignment spans are left alone."""
    with tracer.start_as_current_span("before"):
        pass
    with canary.assign("alice"):
        pass
    with tracer.start_as_current_span("after"):
        pass
    assert dict(telemetry.said("before")) == dict(telemetry.said("after")) == {}


def test_an_ended_assignment_tags_no_more(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """A task that outlives its request, and still sees its assignment, is of no version."""
    assignment = canary.assign("alice")
    assignment.succeed()
    with assignment.active(), tracer.start_as_current_span("poller"):
        assert current_assignment() is assignment
    assert dict(telemetry.said("poller")) == {}


def test_every_span_below_is_tagged(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """Children of children are, and siblings."""
    with canary.assign("bob"), tracer.start_as_current_span("a"):
        with tracer.start_as_current_span("b"), tracer.start_as_current_span("c"):
            pass
        with tracer.start_as_current_span("d"):
            pass
    assert {name: telemetry.said(name)[names.VERSION] for name in telemetry.spans} == dict.fromkeys("abcd", "v1")


def test_spans_of_a_thread_with_the_context_are_tagged(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """A copied context carries the assignment into a thread."""
    with canary.assign("alice"):
        context = copy_context()
    in_thread(lambda: context.run(lambda: tracer.start_span("too late").end()))
    with canary.assign("alice"):
        context = copy_context()
        in_thread(lambda: context.run(lambda: tracer.start_span("in thread").end()))
    assert dict(telemetry.said("too late")) == {}
    assert telemetry.said("in thread")[names.VERSION] == "v2"


@pytest.mark.anyio
async def test_spans_of_tasks_are_tagged(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """Two requests at the same time tag the spans of their own tasks."""

    async def answer(user: str) -> None:
        async with canary.assign(user), anyio.create_task_group() as group:
            for part in ("x", "y"):
                group.start_soon(step, f"{user} {part}")

    async def step(name: str) -> None:
        with tracer.start_as_current_span(name):
            await anyio.lowlevel.checkpoint()
            with tracer.start_as_current_span(f"{name} inner"):
                await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(answer, "alice")
        group.start_soon(answer, "bob")
    assert len(telemetry.spans) == 8
    for name in telemetry.spans:
        assert telemetry.said(name)[names.VERSION] == ("v2" if name.startswith("alice") else "v1")


def test_a_thread_with_only_the_span_inherits(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """Where instrumentation carries the span into a thread and nobody the assignment, the open parent tells."""

    def work(parent: otel_context.Context) -> None:
        assert current_assignment() is None
        tracer.start_span("in thread", context=parent).end()

    with canary.assign("alice") as assignment, tracer.start_as_current_span("parent"):
        context = otel_context.get_current()
        in_thread(lambda: work(context))
    assert telemetry.said("in thread")[names.ASSIGNMENT_ID] == assignment.id


def test_what_the_app_says_stays(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """An agent's version and another feature flag that the span has are not overwritten, nor mixed with ours."""
    own = {"gen_ai.agent.version": "2024-06", "feature_flag.key": "dark-mode", "feature_flag.result.variant": "on"}
    with canary.assign("alice"), tracer.start_as_current_span("chat", attributes=own):
        pass
    said = dict(telemetry.said("chat"))
    assert {name: value for name, value in said.items() if not name.startswith("agent_canary.")} == own
    assert (said[names.ROLLOUT], said[names.VERSION]) == ("support", "v2")


def test_shadow_spans_say_shadow_and_no_version(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """A shadow call inside a request is nobody's answer; so are the spans below it, in other threads too."""
    request, shadow = tracer.start_as_current_span("request"), tracer.start_as_current_span("shadow")
    with canary.assign("alice"), request, shadow_scope(), shadow:
        parent = otel_context.get_current()
        in_thread(lambda: tracer.start_span("below", context=parent).end())
    assert dict(telemetry.said("shadow")) == dict(telemetry.said("below")) == {"agent_canary.shadow": True}


def test_the_innermost_rollout_is_told(make_canary: Any, telemetry_of: Any) -> None:
    """With two canaries, each with its recorder, a span names the rollout of the innermost assignment."""
    outer, inner = make_canary(name="router"), make_canary(name="writer")
    for recorders in ((SpanRecorder(outer), SpanRecorder(inner)), (SpanRecorder(inner), SpanRecorder(outer))):
        telemetry = telemetry_of(*recorders)
        with outer.assign("alice"), telemetry.tracer.start_as_current_span("outer"):
            with inner.assign("bob"), telemetry.tracer.start_as_current_span("inner"):
                pass
            with telemetry.tracer.start_as_current_span("again"):
                pass
        told = {
            name: (telemetry.said(name)[names.ROLLOUT], telemetry.said(name)[names.AGENT_VERSION])
            for name in telemetry.spans
        }
        assert told == {"outer": ("router", "v2"), "inner": ("writer", "v1"), "again": ("router", "v2")}


# Spans that began before the assignment


def test_a_server_span_around_the_assignment_is_tagged(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """As soon as a span begins in the assignment, the server's span around it is tagged, other spans are not."""
    with (
        tracer.start_as_current_span("GET /chat", kind=SpanKind.SERVER),
        tracer.start_as_current_span("auth"),
        canary.assign("alice") as assignment,
        tracer.start_as_current_span("chat"),
    ):
        pass
    assert telemetry.said("GET /chat") == telemetry.said("chat")
    assert telemetry.said("chat")[names.ASSIGNMENT_ID] == assignment.id
    assert dict(telemetry.said("auth")) == {}


def test_a_server_span_keeps_its_first_assignment(canary: AgentCanary, telemetry: Any, tracer: Tracer) -> None:
    """A second assignment below it does not rename it."""
    with tracer.start_as_current_span("POST /batch", kind=SpanKind.SERVER):
        for user in ("alice", "bob"):
            with canary.assign(user), tracer.start_as_current_span(user):
                pass
    assert [telemetry.said(name)[names.VERSION] for name in ("POST /batch", "alice", "bob")] == ["v2", "v2", "v1"]


def test_a_server_span_that_has_ended_is_left_alone(
    canary: AgentCanary, telemetry: Any, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    """A span that ended before the assignment's first span began cannot be tagged, and the SDK has nothing to say."""
    server = tracer.start_span("POST /job", kind=SpanKind.SERVER)
    with trace.use_span(server), tracer.start_as_current_span("job"):
        server.end()
        with canary.assign("alice"), tracer.start_as_current_span("chat"):
            pass
    assert dict(telemetry.said("POST /job")) == {}
    assert telemetry.said("chat")[names.VERSION] == "v2"
    assert caplog.records == []


@pytest.mark.parametrize("kind", [SpanKind.INTERNAL, SpanKind.CONSUMER, SpanKind.CLIENT])
def test_a_loop_around_many_assignments_is_of_no_version(
    canary: AgentCanary, telemetry: Any, tracer: Tracer, kind: SpanKind
) -> None:
    """What is no server's span may be around many requests, and is left alone."""
    with tracer.start_as_current_span("loop", kind=kind):
        for user in ("alice", "bob"):
            with canary.assign(user), tracer.start_as_current_span(user):
                pass
    assert dict(telemetry.said("loop")) == {}


def test_the_current_span_is_tagged_on_demand(
    canary: AgentCanary, recorder: SpanRecorder, telemetry: Any, tracer: Tracer
) -> None:
    """tag_current_span tags a span that began before the assignment, and what begins in it later."""
    with tracer.start_as_current_span("turn"):
        assignment = canary.assign("alice")
        with assignment.active():
            recorder.tag_current_span()
        assignment.succeed()
        with tracer.start_as_current_span("judge"):
            pass
    assert telemetry.said("turn")[names.ASSIGNMENT_ID] == assignment.id
    assert telemetry.said("judge") == telemetry.said("turn")


def test_tagging_on_demand_without_an_assignment_does_nothing(
    make_canary: Any, canary: AgentCanary, recorder: SpanRecorder, telemetry: Any, tracer: Tracer
) -> None:
    """Outside of an assignment, in another canary's, and without a span, nothing happens."""
    recorder.tag_current_span()
    with canary.assign("alice"):
        recorder.tag_current_span()
    with tracer.start_as_current_span("turn"):
        recorder.tag_current_span()
        with make_canary(name="other").assign("alice"):
            recorder.tag_current_span()
    assert dict(telemetry.said("turn")) == {}
    assert canary.status()["errors"] == {}


def test_unsampled_spans_do_no_harm(canary: AgentCanary, recorder: SpanRecorder, telemetry_of: Any) -> None:
    """Spans that the sampler drops are not seen, and tagging them is no error."""
    telemetry = telemetry_of(recorder, sampler=ALWAYS_OFF)
    with canary.assign("alice"), telemetry.tracer.start_as_current_span("chat"):
        recorder.tag_current_span()
        recorder.routed("v2")
        assert not trace.get_current_span().is_recording()
    assert telemetry.spans == {}
    assert canary.status()["errors"] == {}

"""The recorder's own limits and failures: bounded memory, any number of threads, and nothing that reaches the app."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

import agent_canary_opentelemetry.recorder
from agent_canary import AgentCanary
from agent_canary_opentelemetry import SpanRecorder
from agent_canary_opentelemetry.open_spans import OpenSpan, OpenSpans

TAGGED = {"agent_canary.rollout": "support", "agent_canary.version": "v2"}


@pytest.fixture
def few(recorder: SpanRecorder) -> OpenSpans:
    """Let the recorder remember five open spans."""
    recorder._spans = OpenSpans(recorder._forgotten, limit=5)
    return recorder._spans


def remembered() -> list[OpenSpan]:
    gc.collect()
    return [kept for kept in gc.get_objects() if isinstance(kept, OpenSpan)]


def test_spans_that_never_end_are_forgotten(canary: AgentCanary, few: OpenSpans, tracer: Tracer) -> None:
    """The oldest is forgotten, which is counted; the others are still booked."""
    spans = [tracer.start_span("answer", attributes=TAGGED) for _ in range(8)]
    assert len(few) == 5
    for span in spans:
        span.end()
    assert len(few) == 0
    assert canary.metrics("v2").total == 5
    assert canary.status()["errors"] == {"open spans": 3}


def test_a_forgotten_span_harms_nobody(canary: AgentCanary, few: OpenSpans, tracer: Tracer) -> None:
    """In an assignment its tokens are lost, and the outcome is not."""
    with canary.assign("alice") as assignment:
        lost = tracer.start_span("chat", attributes={"gen_ai.usage.input_tokens": 3})
        for _ in range(5):
            tracer.start_span("leak")
        lost.end()
    assert assignment.details is None
    assert canary.metrics("v2").total == 1


def test_a_span_that_its_app_drops_is_not_kept(tracer: Tracer) -> None:
    """What was never ended and is no longer referenced is collected."""
    span = tracer.start_span("dropped", attributes=TAGGED)
    dropped = weakref.ref(span)
    del span
    gc.collect()
    assert dropped() is None


def test_a_chain_of_spans_does_not_grow(tracer: Tracer) -> None:
    """Tasks that begin each other for ever, each inside of the one before, keep nothing of those that ended."""
    before = len(remembered())
    previous = tracer.start_span("step")
    for _ in range(200):
        with trace.use_span(previous):
            following = tracer.start_span("step")
        previous.end()
        previous = following
    assert len(remembered()) == before + 2
    previous.end()


def test_spans_that_enclose_each_other_for_ever_do_not_grow(few: OpenSpans, tracer: Tracer) -> None:
    """A chain of spans that never end keeps those that are remembered, and no more."""
    before = len(remembered())
    innermost = tracer.start_span("step")
    for _ in range(200):
        with trace.use_span(innermost):
            innermost = tracer.start_span("step")
    assert len(remembered()) == before + 6
    few.clear()


def test_nothing_is_left_when_all_have_ended(recorder: SpanRecorder, canary: AgentCanary, tracer: Tracer) -> None:
    """After the last span no bookkeeping is left; shutting down forgets what is still open."""
    with canary.assign("alice"), tracer.start_as_current_span("a"), tracer.start_as_current_span("b"):
        assert len(recorder._spans) == 2
    assert len(recorder._spans) == 0
    tracer.start_span("open")
    recorder.shutdown()
    assert len(recorder._spans) == 0
    assert recorder.force_flush() is True


def test_threads_count_exactly(canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer) -> None:
    """Eight threads with requests of both kinds lose nothing and count nothing twice."""
    ready = threading.Barrier(8)

    def work(number: int) -> None:
        ready.wait(timeout=5)
        for _ in range(100):
            with canary.assign("alice"), tracer.start_as_current_span("agent") as agent:
                tracer.start_span("chat", attributes={"gen_ai.usage.input_tokens": 3}).end()
                agent.set_attribute("gen_ai.usage.input_tokens", 3)
            with tracer.start_as_current_span("routed"):
                recorder.routed("v1", sticky_key=number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert canary.metrics("v2").total == canary.metrics("v1").total == 800
    assert canary.metrics("v2").snapshot()["input_tokens"] == 2400
    assert canary.status()["errors"] == {}


@pytest.mark.parametrize("place", ["current_assignment", "tags.write", "tags.tags_of"])
def test_a_bug_of_ours_does_not_reach_the_app(
    canary: AgentCanary, telemetry: Any, tracer: Tracer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Whatever raises here is counted and logged; the span and the request go on."""

    def bug(*args: object) -> None:
        raise RuntimeError("a bug")

    module, _, name = place.rpartition(".")
    target: Any = agent_canary_opentelemetry.recorder
    monkeypatch.setattr(getattr(target, module) if module else target, name, bug)
    with canary.assign("alice"), tracer.start_as_current_span("chat"):
        pass
    assert "chat" in telemetry.spans
    assert canary.metrics("v2").total == 1
    assert canary.status()["errors"] == {"span": 1}


def test_a_bug_at_the_end_does_not_reach_the_app(
    canary: AgentCanary, recorder: SpanRecorder, telemetry: Any, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where spans end, and in what the app calls."""

    def bug(*args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(recorder._booking, "book", bug)
    monkeypatch.setattr(agent_canary_opentelemetry.recorder, "get_current_span", bug)
    with canary.assign("alice"), tracer.start_as_current_span("chat"):
        recorder.tag_current_span()
        recorder.routed("v2")
    assert "chat" in telemetry.spans
    assert canary.status()["errors"] == {"span": 3}


def test_a_recorder_that_came_later_harms_nobody(canary: AgentCanary, recorder: SpanRecorder) -> None:
    """Spans that began before the recorder was added are passed over."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    early = tracer.start_span("early", attributes=TAGGED)
    provider.add_span_processor(recorder)
    with trace.use_span(early, end_on_exit=True):
        recorder.routed("v2")
        tracer.start_span("child", attributes={"gen_ai.usage.input_tokens": 3}).end()
    assert canary.metrics("v2").total == 0
    assert canary.status()["errors"] == {}
    provider.shutdown()


def test_the_memory_of_open_spans_is_small(make_canary: Callable[..., AgentCanary]) -> None:
    """All the spans that are ever remembered at once take less than 5 MiB of the recorder's own."""
    recorder = SpanRecorder(make_canary())
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    spans = [tracer.start_span("open") for _ in range(10_000)]
    tracemalloc.start()
    try:
        for span in spans:
            recorder.on_start(span)  # type: ignore[arg-type]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(recorder._spans) == 10_000
    assert kept < 5 * 1024 * 1024
    provider.shutdown()

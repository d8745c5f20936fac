"""Requests that have a version and no assignment: counted by their spans, each once."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer

from agent_canary import AgentCanary
from agent_canary_opentelemetry import SpanRecorder
from agent_canary_opentelemetry.attributes import ASSIGNMENT_ID

TAGGED = {"agent_canary.rollout": "support", "agent_canary.version": "v2"}
SECOND = 1_000_000_000


def counts(canary: AgentCanary, version: str = "v2") -> tuple[int, int]:
    metrics = canary.metrics(version)
    return metrics.successes, metrics.failures


def answer_with(recorder: SpanRecorder, tracer: Tracer, error: BaseException) -> None:
    with tracer.start_as_current_span("answer"):
        recorder.routed("v2")
        raise error


@pytest.fixture
def booked(canary: AgentCanary, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Watch what is recorded."""
    spy = Mock(wraps=canary.record)
    monkeypatch.setattr(canary, "record", spy)
    return spy


def test_a_routed_span_is_a_request(
    canary: AgentCanary, recorder: SpanRecorder, telemetry: Any, tracer: Tracer
) -> None:
    """The current span counts for the version it was routed to, when it ends, and is tagged."""
    with tracer.start_as_current_span("answer"):
        recorder.routed(canary.route("bob"))
        assert counts(canary, "v1") == (0, 0)
    assert (counts(canary, "v1"), counts(canary, "v2")) == ((1, 0), (0, 0))
    assert dict(telemetry.said("answer")) == {
        "agent_canary.rollout": "support",
        "agent_canary.version": "v1",
        "gen_ai.agent.version": "v1",
        "feature_flag.key": "support",
        "feature_flag.provider.name": "agent_canary",
        "feature_flag.result.variant": "stable",
    }


def test_an_error_status_is_a_failure(canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer) -> None:
    """An exception that left the span, or a status that the app set, fails; any other status succeeds."""
    with pytest.raises(LookupError):
        answer_with(recorder, tracer, LookupError())
    with tracer.start_as_current_span("says so") as span:
        recorder.routed("v2")
        span.set_status(StatusCode.ERROR)
    with tracer.start_as_current_span("is fine") as span:
        recorder.routed("v2")
        span.set_status(StatusCode.OK)
    assert counts(canary) == (1, 2)


def test_latency_is_from_start_to_end(canary: AgentCanary, tracer: Tracer) -> None:
    """The span's own times count, in milliseconds."""
    tracer.start_span("answer", attributes=TAGGED, start_time=7 * SECOND).end(7 * SECOND + 250_000_000)
    assert canary.metrics("v2").p50_ms == 250.0


def test_a_clock_that_was_set_back_is_no_error(canary: AgentCanary, tracer: Tracer) -> None:
    """A span that ended before it began took no time."""
    tracer.start_span("answer", attributes=TAGGED, start_time=7 * SECOND).end(6 * SECOND)
    assert (counts(canary), canary.metrics("v2").p50_ms) == ((1, 0), 0.0)
    assert canary.status()["errors"] == {}


@pytest.mark.parametrize(
    "attributes",
    [TAGGED, {"feature_flag.key": "support", "gen_ai.agent.version": "v2"}],
    ids=["our names", "the conventions' names"],
)
def test_tags_from_elsewhere_are_read(canary: AgentCanary, tracer: Tracer, attributes: dict[str, str]) -> None:
    """A span that somebody else tagged, at its start or later, counts."""
    tracer.start_span("at the start", attributes=attributes).end()
    with tracer.start_as_current_span("later") as span:
        span.set_attributes(attributes)
    assert counts(canary) == (2, 0)


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.agent.version": "v2"},
        {"agent_canary.version": "v2"},
        {"agent_canary.rollout": "another", "agent_canary.version": "v2"},
        {"feature_flag.key": "dark-mode", "gen_ai.agent.version": "v2"},
        {"feature_flag.key": "support"},
    ],
)
def test_a_version_of_no_or_another_rollout_does_not_count(
    canary: AgentCanary, tracer: Tracer, attributes: dict[str, str]
) -> None:
    """Only both together, this rollout and a version, make a span a request."""
    tracer.start_span("answer", attributes=attributes).end()
    assert (counts(canary, "v1"), counts(canary, "v2")) == ((0, 0), (0, 0))
    assert canary.status()["errors"] == {}


def test_an_unknown_version_is_counted_as_an_error(
    canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    """A version that the canary does not know books nothing, raises nothing, and says so."""
    with tracer.start_as_current_span("answer"):
        recorder.routed("v3")
    assert canary.status()["errors"] == {"span": 1}
    assert "version must be one of ['v1', 'v2'], got 'v3'" in caplog.text


# Once


def test_children_are_no_requests(canary: AgentCanary, recorder: SpanRecorder, telemetry: Any, tracer: Tracer) -> None:
    """Spans below a request are tagged as it is, and do not count; neither does one that is routed again."""
    with tracer.start_as_current_span("request"):
        recorder.routed("v2")
        with tracer.start_as_current_span("chat") as chat:
            recorder.routed("v2")
            chat.set_status(StatusCode.ERROR)
        tracer.start_span("tool", attributes=TAGGED).end()
    assert counts(canary) == (1, 0)
    assert telemetry.said("chat") == telemetry.said("request")


def test_the_outermost_tagged_span_is_the_request(canary: AgentCanary, tracer: Tracer) -> None:
    """A tag on an outer span that came after the inner span's makes the outer one the request."""
    with tracer.start_as_current_span("server") as server, tracer.start_as_current_span("middleware"):
        with tracer.start_as_current_span("handler", attributes=TAGGED):
            server.set_attributes(TAGGED)
        assert counts(canary) == (0, 0)
        server.set_status(StatusCode.ERROR)
    assert counts(canary) == (0, 1)


def test_an_untagged_span_around_is_no_request(canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer) -> None:
    """A loop around requests is none itself, and each of them counts."""
    with tracer.start_as_current_span("loop"):
        for version in ("v1", "v2", "v2"):
            with tracer.start_as_current_span("answer"):
                recorder.routed(version)
    assert (counts(canary, "v1"), counts(canary, "v2")) == ((1, 0), (2, 0))


def test_a_child_that_outlives_the_request_does_not_count(canary: AgentCanary, tracer: Tracer) -> None:
    """Spans may end in any order."""
    request = tracer.start_span("request", attributes=TAGGED)
    with trace.use_span(request, end_on_exit=True):
        chat = tracer.start_span("chat", attributes=TAGGED)
        with trace.use_span(chat):
            deeper = tracer.start_span("deeper", attributes=TAGGED)
    del request
    chat.end()
    deeper.end()
    assert counts(canary) == (1, 0)


def test_a_request_of_another_process_is_a_request_here(canary: AgentCanary, tracer: Tracer) -> None:
    """The outermost span of this process counts, whatever called it."""
    remote = SpanContext(0x11, 0x22, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    context = trace.set_span_in_context(NonRecordingSpan(remote))
    tracer.start_span("answer", context=context, kind=SpanKind.SERVER, attributes=TAGGED).end()
    assert counts(canary) == (1, 0)


def test_a_process_that_calls_itself_serves_two_requests(canary: AgentCanary, tracer: Tracer) -> None:
    """A parent that was reached over the network is none, even when it is in this process."""
    with tracer.start_as_current_span("request", attributes=TAGGED) as caller:
        inner = caller.get_span_context()
        remote = SpanContext(inner.trace_id, inner.span_id, is_remote=True, trace_flags=inner.trace_flags)
        context = trace.set_span_in_context(NonRecordingSpan(remote))
        tracer.start_span("over http", context=context, kind=SpanKind.SERVER, attributes=TAGGED).end()
    assert counts(canary) == (2, 0)


def test_a_span_that_names_an_assignment_is_no_request(make_canary: Any, telemetry_of: Any) -> None:
    """An assignment of another process has its outcome there."""
    here, there = make_canary(secret="s" * 32), make_canary(secret="s" * 32)
    assignment = there.assign("alice")
    tracer = telemetry_of(SpanRecorder(here)).tracer
    tracer.start_span("answer", attributes={**TAGGED, ASSIGNMENT_ID: assignment.id}).end()
    assert counts(here) == (0, 0)


def test_routed_inside_an_assignment_changes_nothing(
    canary: AgentCanary, recorder: SpanRecorder, telemetry: Any, tracer: Tracer
) -> None:
    """The assignment is the request: its version is told, and it counts once."""
    with canary.assign("bob") as assignment, tracer.start_as_current_span("answer"):
        recorder.routed("v2")
    assert (counts(canary, "v1"), counts(canary, "v2")) == ((1, 0), (0, 0))
    assert telemetry.said("answer")[ASSIGNMENT_ID] == assignment.id
    assert telemetry.said("answer")["agent_canary.version"] == "v1"


def test_a_tagged_span_around_an_assignment_does_not_count_again(canary: AgentCanary, tracer: Tracer) -> None:
    """A consumer's span that says its version, with an assignment of the same rollout inside, is one request."""
    with (
        tracer.start_as_current_span("consume", kind=SpanKind.CONSUMER, attributes=TAGGED),
        tracer.start_as_current_span("step"),
        canary.assign("alice"),
        tracer.start_as_current_span("chat"),
    ):
        pass
    assert counts(canary) == (1, 0)


# Whose evidence it is


def test_a_routed_request_with_its_key_is_keyed(
    canary: AgentCanary, recorder: SpanRecorder, telemetry: Any, tracer: Tracer, booked: Mock
) -> None:
    """The key goes to the record and not on the span."""
    with tracer.start_as_current_span("answer"):
        recorder.routed("v2", sticky_key="margaret")
    assert booked.call_args.kwargs == {"sticky_key": "margaret"}
    assert "margaret" not in str(dict(telemetry.said("answer")))


def test_the_key_is_found_by_a_function_of_the_span(canary: AgentCanary, telemetry_of: Any, booked: Mock) -> None:
    """Where the app does not say the key, key= finds it; what the app says wins."""
    recorder = SpanRecorder(canary, key=lambda span: (span.attributes or {}).get("gen_ai.conversation.id"))  # type: ignore[arg-type,return-value]
    tracer = telemetry_of(recorder).tracer
    tracer.start_span("answer", attributes={**TAGGED, "gen_ai.conversation.id": "c1"}).end()
    with tracer.start_as_current_span("answer", attributes={"gen_ai.conversation.id": "c1"}):
        recorder.routed("v2", sticky_key="said")
    tracer.start_span("answer", attributes=TAGGED).end()
    assert [call.kwargs["sticky_key"] for call in booked.call_args_list] == ["c1", "said", None]


def test_a_key_function_that_raises_is_counted(canary: AgentCanary, telemetry_of: Any, booked: Mock) -> None:
    """The request is booked without a key."""

    def key(span: ReadableSpan) -> str:
        raise KeyError("no such user")

    telemetry_of(SpanRecorder(canary, key=key)).tracer.start_span("answer", attributes=TAGGED).end()
    assert booked.call_args.kwargs == {"sticky_key": None}
    assert canary.status()["errors"] == {"key": 1}


async def _async_key(span: ReadableSpan) -> str:
    return "alice"


@pytest.mark.parametrize("key", ["gen_ai.conversation.id", 7, _async_key])
def test_a_key_that_is_no_function_is_refused(canary: AgentCanary, key: Any) -> None:
    """Anything but a plain function is an error at construction that shows the value."""
    with pytest.raises(ValueError, match="key must be a plain function") as caught:
        SpanRecorder(canary, key=key)
    assert repr(key) in str(caught.value)


def test_tokens_and_scores_go_to_the_version(canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer) -> None:
    """Those of the request and of all below it, tokens once."""
    with tracer.start_as_current_span("request") as request:
        recorder.routed("v2")
        with tracer.start_as_current_span("step"), tracer.start_as_current_span("chat") as chat:
            chat.set_attributes({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 7})
            judged = {"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.value": 1.0}
            chat.add_event("gen_ai.evaluation.result", judged)
        request.set_attribute("gen_ai.usage.input_tokens", 120)
    snapshot = canary.metrics("v2").snapshot()
    assert (snapshot["input_tokens"], snapshot["output_tokens"]) == (120, 7)
    assert snapshot["scores"] == {"helpful": {"count": 1, "mean": 1.0}}
    assert canary.metrics("v1").snapshot()["scores"] == {}


def test_a_score_below_a_tagged_request_goes_to_its_version(canary: AgentCanary, tracer: Tracer) -> None:
    """The nearest span around the judge's that says a version tells whom it judges."""
    judged = {"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.value": 1.0}
    with tracer.start_as_current_span("request", attributes=TAGGED), tracer.start_as_current_span("step"):
        tracer.start_span("evaluate", attributes=judged).end()
    assert canary.metrics("v2").snapshot()["scores"] == {"helpful": {"count": 1, "mean": 1.0}}


def test_a_limit_to_attributes_loses_no_routed_request(
    canary: AgentCanary, recorder: SpanRecorder, telemetry_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK drops the oldest attributes of a span that has too many, ours among them; the request still counts."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "8")
    telemetry = telemetry_of(recorder)
    with telemetry.tracer.start_as_current_span("answer") as span:
        recorder.routed("v2")
        span.set_attributes({f"own.{number}": number for number in range(8)})
    assert "agent_canary.version" not in telemetry.said("answer")
    assert counts(canary) == (1, 0)


# What spans do not tell


@pytest.mark.anyio
async def test_a_cancelled_request_is_neither(canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer) -> None:
    """A span that ends because its task is cancelled books nothing."""
    with anyio.CancelScope() as scope, tracer.start_as_current_span("answer"):
        recorder.routed("v2")
        scope.cancel()
        await anyio.sleep(60)
    assert scope.cancelled_caught
    assert counts(canary) == (0, 0)


def test_a_stream_that_is_closed_early_is_neither(canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer) -> None:
    """A generator that its consumer closes books nothing."""

    def stream() -> Any:
        with tracer.start_as_current_span("answer"):
            recorder.routed("v2")
            yield "a"
            yield "b"

    answer = stream()
    next(answer)
    answer.close()
    assert counts(canary) == (0, 0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BaseExceptionGroup("both", [asyncio.CancelledError(), LookupError()]), (0, 1)),
        (BaseExceptionGroup("cancelled", [asyncio.CancelledError()]), (0, 0)),
        (ExceptionGroup("failed", [LookupError()]), (0, 1)),
        (KeyboardInterrupt(), (0, 0)),
        (concurrent.futures.CancelledError(), (0, 0)),
    ],
    ids=repr,
)
def test_a_group_fails_if_any_in_it_does(
    canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer, error: BaseException, expected: tuple[int, int]
) -> None:
    """Cancellations alone are neither; with a failure among them it is one."""
    with pytest.raises(type(error)):
        answer_with(recorder, tracer, error)
    assert counts(canary) == expected


def test_a_request_inside_an_except_block_is_judged_by_itself(
    canary: AgentCanary, recorder: SpanRecorder, tracer: Tracer
) -> None:
    """An error that is being handled around it is not its own."""
    try:
        raise ExceptionGroup("before", [LookupError()])
    except ExceptionGroup:
        with tracer.start_as_current_span("second try"):
            recorder.routed("v2")
    assert counts(canary) == (1, 0)


class RecordOnly(Sampler):
    """Records every span and exports none."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "RecordOnly"


def test_spans_that_are_recorded_only_count(
    canary: AgentCanary, recorder: SpanRecorder, telemetry_of: Callable[..., Any]
) -> None:
    """A sampler that records without exporting lets every request be counted."""
    telemetry = telemetry_of(recorder, sampler=RecordOnly())
    with telemetry.tracer.start_as_current_span("answer"):
        recorder.routed("v2")
    assert telemetry.spans == {}
    assert counts(canary) == (1, 0)

"""Feed a canary from OpenTelemetry spans: tokens and scores come from the instrumentation that an app already has.

Run it with ``python examples/opentelemetry_spans.py``; it needs ``pip install "agent-canary-rollout[opentelemetry]"``.
"""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from agent_canary import AgentCanary, Rollout, Stage
from agent_canary_opentelemetry import SpanRecorder

USERS = 400


def ask_model(tracer: Tracer, version: str, user: int) -> str:
    """Stand in for a model's client that OpenTelemetry instruments: v2 needs more tokens and is helpful more often."""
    with tracer.start_as_current_span("chat small-model") as span:
        span.set_attribute("gen_ai.usage.input_tokens", 900)
        span.set_attribute("gen_ai.usage.output_tokens", 120 if version == "v1" else 180)
    return "helpful" if user % (4 if version == "v1" else 10) else "beside the point"


def judge(tracer: Tracer, assignment_id: str, answer: str) -> None:
    """Stand in for a judge that runs later, and says by the assignment's id whose answer it judges."""
    with tracer.start_as_current_span("evaluate") as span:
        span.set_attribute("agent_canary.assignment.id", assignment_id)
        span.set_attribute("gen_ai.evaluation.name", "helpful")
        span.set_attribute("gen_ai.evaluation.score.value", float(answer == "helpful"))


def main() -> None:
    """Answer some users, and print what the spans told."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    tracer = provider.get_tracer("example")
    with AgentCanary("v1", "v2", Rollout([Stage(0.25)]), name="support-agent") as canary:
        provider.add_span_processor(SpanRecorder(canary))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        for user in range(USERS):
            with canary.assign(f"user-{user}") as assignment:
                answer = ask_model(tracer, assignment.version, user)
            judge(tracer, assignment.id, answer)
        report(canary)
    chat = exporter.get_finished_spans()[0]
    print(f"\nThe first model call, {chat.name!r}, says:")
    for name, value in (chat.attributes or {}).items():
        print(f"  {name:30} {value!r}")
    provider.shutdown()


def report(canary: AgentCanary) -> None:
    """Print both versions side by side."""
    print(f"{'version':8} {'requests':>8} {'tokens per answer':>18} {'helpful':>8}")
    for version in canary.versions:
        seen = canary.metrics(version).snapshot()
        tokens = (seen["input_tokens"] + seen["output_tokens"]) / seen["total"]
        print(f"{version:8} {seen['total']:8} {tokens:18,.0f} {seen['scores']['helpful']['mean']:8.0%}")


if __name__ == "__main__":
    main()

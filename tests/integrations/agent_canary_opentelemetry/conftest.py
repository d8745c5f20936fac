"""A canary on a manual clock, and a real tracer provider whose spans stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import Tracer

from agent_canary import AgentCanary, Rollout, Stage
from agent_canary.testing import ManualClock
from agent_canary_opentelemetry import SpanRecorder


@pytest.fixture
def clock() -> ManualClock:
    """Return the canary's clock."""
    return ManualClock()


@pytest.fixture
def make_canary(clock: ManualClock) -> Iterator[Callable[..., AgentCanary]]:
    """Return a maker of canaries: alice is on v2, bob on v1, everybody else as hashed."""
    made: list[AgentCanary] = []

    def make(**options: Any) -> AgentCanary:
        options = {"clock": clock, "autopilot": False, "overrides": {"alice": "v2", "bob": "v1"}, **options}
        made.append(AgentCanary("v1", "v2", Rollout([Stage(0.5)]), **{"name": "support", **options}))
        return made[-1]

    yield make
    for canary in made:
        canary.close()


@pytest.fixture
def canary(make_canary: Callable[..., AgentCanary]) -> AgentCanary:
    """Return the canary whose spans are recorded."""
    return make_canary()


@pytest.fixture
def recorder(canary: AgentCanary) -> SpanRecorder:
    """Return its recorder."""
    return SpanRecorder(canary)


class Telemetry:
    """A provider, its tracer, and the spans that were exported."""

    def __init__(self, *recorders: SpanRecorder, sampler: Sampler | None = None) -> None:
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self._exporter = InMemorySpanExporter()
        for recorder in recorders:
            self.provider.add_span_processor(recorder)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = self.provider.get_tracer("test")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The ended spans by name."""
        return {span.name: span for span in self._exporter.get_finished_spans()}

    def said(self, name: str) -> Mapping[str, Any]:
        """The attributes of an ended span."""
        return self.spans[name].attributes or {}


@pytest.fixture
def telemetry_of() -> Iterator[Callable[..., Telemetry]]:
    """Return a maker of providers with recorders."""
    made: list[Telemetry] = []

    def make(*recorders: SpanRecorder, sampler: Sampler | None = None) -> Telemetry:
        made.append(Telemetry(*recorders, sampler=sampler))
        return made[-1]

    yield make
    for telemetry in made:
        telemetry.provider.shutdown()


@pytest.fixture
def telemetry(telemetry_of: Callable[..., Telemetry], recorder: SpanRecorder) -> Telemetry:
    """Return a provider with the recorder."""
    return telemetry_of(recorder)


@pytest.fixture
def tracer(telemetry: Telemetry) -> Tracer:
    """Return its tracer."""
    return telemetry.tracer

"""A real Starlette app with our middleware and OpenTelemetry's own instrumentation: every request counts once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from agent_canary import AgentCanary, current_assignment
from agent_canary_asgi import CanaryMiddleware
from agent_canary_opentelemetry import SpanRecorder
from agent_canary_opentelemetry import attributes as names

pytestmark = pytest.mark.anyio

USAGE = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 7}
HELPFUL = {"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.value": 1.0}


@pytest.fixture
def app(telemetry: Any, recorder: SpanRecorder) -> Starlette:
    """Return an agent whose model calls are spans, as an instrumented client's are."""
    tracer = telemetry.tracer

    async def chat() -> None:
        with tracer.start_as_current_span("chat", attributes=USAGE):
            await anyio.lowlevel.checkpoint()

    async def answer(request: Request) -> Response:
        with tracer.start_as_current_span("invoke_agent", attributes=USAGE):
            async with anyio.create_task_group() as group:
                group.start_soon(chat)
        return PlainTextResponse("ok", status_code=int(request.query_params.get("status", 200)))

    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[str]:
            with tracer.start_as_current_span("chat", attributes=USAGE):
                yield "a"
                yield "b"

        return StreamingResponse(parts())

    async def broken(request: Request) -> Response:
        with tracer.start_as_current_span("chat"):
            raise LookupError("the model is gone")

    async def judged(request: Request) -> Response:
        assignment = current_assignment()
        assert assignment is not None
        named = {names.ASSIGNMENT_ID: assignment.id, **HELPFUL}

        async def judge() -> None:
            tracer.start_span("evaluate", attributes=named).end()

        return PlainTextResponse("ok", background=BackgroundTask(judge))

    async def quiet(request: Request) -> Response:
        recorder.tag_current_span()
        return JSONResponse([])

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok")

    endpoints = (answer, stream, broken, judged, quiet, health)
    return Starlette(routes=[Route(f"/{endpoint.__name__}", endpoint) for endpoint in endpoints])


@pytest.fixture
def inside(canary: AgentCanary, telemetry: Any, app: Starlette) -> Any:
    """Return the app with the canary inside of the instrumentation: its server span begins before the assignment."""
    within = CanaryMiddleware(app, canary, key=lambda scope: "alice", exclude="/health")
    return OpenTelemetryMiddleware(within, tracer_provider=telemetry.provider)


@pytest.fixture
def outside(canary: AgentCanary, telemetry: Any, app: Starlette) -> Any:
    """Return the app with the canary outside of the instrumentation."""
    instrumented = OpenTelemetryMiddleware(app, tracer_provider=telemetry.provider)
    return CanaryMiddleware(instrumented, canary, key=lambda scope: "alice", exclude="/health")


@pytest.fixture(params=["inside", "outside"])
def served(request: pytest.FixtureRequest) -> Any:
    """Return both in turn."""
    return request.getfixturevalue(request.param)


async def get(app: Any, path: str, raises: bool = True) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=raises)
    async with httpx.AsyncClient(transport=transport, base_url="http://agent.test") as client:
        return await client.get(path)


def counts(canary: AgentCanary) -> dict[str, Any]:
    snapshot = canary.metrics("v2").snapshot()
    return {name: snapshot[name] for name in ("total", "failures", "cancelled", "input_tokens", "output_tokens")}


def counted(total: int, failures: int, tokens: bool = True) -> dict[str, int]:
    read, written = (100, 7) if tokens else (0, 0)
    return {"total": total, "failures": failures, "cancelled": 0, "input_tokens": read, "output_tokens": written}


def server_span(telemetry: Any) -> Any:
    (span,) = [span for span in telemetry.spans.values() if span.kind is trace.SpanKind.SERVER]
    return span


@pytest.mark.parametrize(("path", "failures"), [("/answer", 0), ("/answer?status=503", 1), ("/stream", 0)])
async def test_a_request_counts_once(
    canary: AgentCanary, served: Any, telemetry: Any, path: str, failures: int
) -> None:
    """Middleware and recorder see the same request: one outcome, the middleware's, with the spans' tokens once."""
    await get(served, path)
    assert counts(canary) == counted(1, failures)
    assert canary.metrics("v1").total == 0
    assert canary.status()["errors"] == {}


async def test_an_exception_counts_once(canary: AgentCanary, served: Any) -> None:
    """Error statuses on the spans of a failed request add no failure."""
    response = await get(served, "/broken", raises=False)
    assert response.status_code == 500
    assert counts(canary) == counted(1, 1, tokens=False)


async def test_every_span_of_the_request_is_tagged(canary: AgentCanary, served: Any, telemetry: Any) -> None:
    """Also the server's own, whether it began before the assignment or in it; all name the same assignment."""
    await get(served, "/answer")
    ids = {telemetry.said(name).get(names.ASSIGNMENT_ID) for name in telemetry.spans}
    assert len(ids) == 1
    assert None not in ids
    assert server_span(telemetry).attributes[names.VERSION] == "v2"
    assert {"chat", "invoke_agent"} < set(telemetry.spans)


async def test_a_path_that_does_not_count_is_not_tagged(canary: AgentCanary, served: Any, telemetry: Any) -> None:
    """A health check has no assignment, so its spans say nothing and book nothing."""
    await get(served, "/health")
    assert names.VERSION not in server_span(telemetry).attributes
    assert counts(canary) == counted(0, 0, tokens=False)


async def test_a_judge_in_the_background_scores_by_the_id(canary: AgentCanary, served: Any) -> None:
    """A background task runs after the answer: the id on its span tells whom it judges."""
    await get(served, "/judged")
    assert canary.metrics("v2").snapshot()["scores"] == {"helpful": {"count": 1, "mean": 1.0}}
    assert canary.status()["errors"] == {}


async def test_a_request_without_further_spans_is_tagged_on_demand(
    canary: AgentCanary, telemetry: Any, app: Starlette
) -> None:
    """Where no span begins in the assignment, tag_current_span tags the server's."""
    within = CanaryMiddleware(app, canary, key=lambda scope: "alice")

    async def with_server_span(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        with telemetry.tracer.start_as_current_span("server", kind=trace.SpanKind.SERVER):
            await within(scope, receive, send)

    await get(with_server_span, "/quiet")
    assert telemetry.said("server")[names.VERSION] == "v2"
    assert counts(canary) == counted(1, 0, tokens=False)


async def test_requests_of_two_versions_at_once_are_kept_apart(make_canary: Any, telemetry_of: Any) -> None:
    """Tokens and tags of requests that run at the same time go to their own versions."""
    canary = make_canary()
    telemetry = telemetry_of(SpanRecorder(canary))

    async def answer(request: Request) -> Response:
        with telemetry.tracer.start_as_current_span("chat") as span:
            await anyio.lowlevel.checkpoint()
            assignment = current_assignment()
            assert assignment is not None
            span.set_attribute("gen_ai.usage.input_tokens", 1000 if assignment.is_canary else 1)
        return PlainTextResponse(assignment.version)

    app = Starlette(routes=[Route("/{user}", answer)])
    within = CanaryMiddleware(app, canary, key=lambda scope: scope["path"][1:])
    served = OpenTelemetryMiddleware(within, tracer_provider=telemetry.provider)
    async with anyio.create_task_group() as group:
        for user in ["alice", "bob"] * 10:
            group.start_soon(get, served, f"/{user}")
    assert [canary.metrics(version).snapshot()["input_tokens"] for version in ("v1", "v2")] == [10, 10_000]
    assert [canary.metrics(version).total for version in ("v1", "v2")] == [10, 10]

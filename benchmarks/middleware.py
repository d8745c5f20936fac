"""What the ASGI middleware adds to a request, in process: no server, no socket, a minimal app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from agent_canary import AgentCanary, Rollout, Stage

from .ratios import added, ratios
from .rounds import Contestant, Effort, Samples, measure
from .routing import CANARY, SHARE, STABLE, keys
from .rows import Row, Rows, Skipped, duration

OURS, COOKIE, OPENTELEMETRY = "ours", "ours with a cookie", "OpenTelemetry"
PATH = "agent_canary_asgi.CanaryMiddleware, added per request"
BARE = "the app alone"
EMPTY = "an empty BaseHTTPMiddleware"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


async def app(_scope: Message, _receive: Receive, send: Send) -> None:
    """Answer at once, without a look at the request: the less it does, the more a middleware has to wrap."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Hello"})


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    if not find_spec("starlette"):
        return [Skipped(PATH, "starlette is not installed")]
    with ExitStack() as stack:
        canary = stack.enter_context(AgentCanary(STABLE, CANARY, Rollout([Stage(SHARE)]), secret="benchmark"))  # noqa: S106
        runner = stack.enter_context(asyncio.Runner())
        contestants = {
            BARE: Contestant(_requests(runner, app)),
            OURS: Contestant(_requests(runner, _ours(canary, key=user_of), canary), after=canary.tick),
            COOKIE: Contestant(_requests(runner, _ours(canary, cookie="canary"), canary), after=canary.tick),
            EMPTY: Contestant(_requests(runner, _base_http_middleware())),
        }
        if find_spec("opentelemetry.instrumentation.asgi"):
            contestants[OPENTELEMETRY] = Contestant(_requests(runner, _opentelemetry()))
        samples = measure(contestants, effort)
        _require_booked(canary)
    rows: Rows = [
        _row(PATH, samples, OURS, at_most=0.1),
        _row("for scale: CanaryMiddleware, key from its own signed cookie", samples, COOKIE),
    ]
    theirs = "for scale: OpenTelemetry's ASGI middleware"
    if OPENTELEMETRY in samples:
        return [*rows, _row(theirs, samples, OPENTELEMETRY)]
    return [*rows, Skipped(theirs, "opentelemetry-instrumentation-asgi is not installed")]


def user_of(scope: Message) -> str | None:
    """Return the sticky key: a header, searched as apps do."""
    for name, value in scope["headers"]:
        if name == b"x-user-id":
            return str(value.decode("latin-1"))
    return None


def _ours(canary: AgentCanary, **identification: Any) -> App:
    from agent_canary_asgi import CanaryMiddleware

    return CanaryMiddleware(app, canary, **identification)


def _base_http_middleware() -> App:
    from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
    from starlette.requests import Request
    from starlette.responses import Response

    async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    return BaseHTTPMiddleware(app, dispatch)


def _opentelemetry() -> App:
    """With the SDK, so that spans and metrics are recorded, and without an exporter."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    instrumented: App = OpenTelemetryMiddleware(
        app, tracer_provider=TracerProvider(shutdown_on_exit=False), meter_provider=meters
    )
    return instrumented


def _requests(runner: asyncio.Runner, served: App, canary: AgentCanary | None = None) -> Callable[[int], None]:
    """Return a loop of requests; assignments that wait at its end are folded, on the clock."""
    signed = "" if canary is None else canary.sign("5" * 32)
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        (b"accept", b"*/*"),
        (b"accept-language", b"en"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"cookie", f"session=1234567890; canary={signed}".encode()),
    ]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    async def serve(count: int) -> None:
        for key in keys(count):
            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "http_version": "1.1",
                "server": ("127.0.0.1", 8000),
                "client": ("127.0.0.1", 50000),
                "scheme": "http",
                "method": "GET",
                "root_path": "",
                "path": "/chat",
                "raw_path": b"/chat",
                "query_string": b"",
                "headers": [*headers, (b"x-user-id", key.encode())],
                "state": {},
            }
            await served(scope, receive, send)

    def loop(count: int) -> None:
        runner.run(serve(count))
        if canary is not None:
            canary.metrics(CANARY).success_rate  # noqa: B018 - reading folds

    return loop


def _require_booked(canary: AgentCanary) -> None:
    seen = [canary.metrics(version).snapshot() for version in canary.versions]
    errors = canary.status()["errors"]
    if errors or not seen[0]["total"] or not all(metrics["successes"] == metrics["total"] for metrics in seen):
        raise RuntimeError(f"requests must have been booked as successes, without errors, got {seen} and {errors}")


def _row(path: str, samples: Samples, name: str, at_most: float | None = None) -> Row:
    base = samples[BARE]
    times = f"{duration(added(samples[name], base))} against {duration(added(samples[EMPTY], base))}"
    value = ratios(samples[name], samples[EMPTY], less=base)
    return Row(path, f"{EMPTY}, added", value, at_most=at_most, absolute=times)

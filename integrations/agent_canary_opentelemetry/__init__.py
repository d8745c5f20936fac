"""OpenTelemetry adapter of agent_canary: spans say which version they belong to, and what it did."""

from __future__ import annotations

from agent_canary.errors import MissingExtraError

try:
    from .recorder import SpanRecorder
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise MissingExtraError(
        f'agent_canary_opentelemetry needs {error.name}: pip install "agent-canary-rollout[opentelemetry]"',
        name=error.name,
    ) from error

__all__ = ["SpanRecorder"]

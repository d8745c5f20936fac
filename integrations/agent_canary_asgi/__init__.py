"""Canary releases for ASGI apps: Starlette, FastAPI and any other."""

from __future__ import annotations

from agent_canary.errors import MissingExtraError

try:
    from .dependency import canary_assignment
    from .middleware import CanaryMiddleware
    from .versioned import VersionedApp
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("anyio", "starlette"):
        raise
    raise MissingExtraError(
        f'agent_canary_asgi needs {error.name}: pip install "agent-canary-rollout[asgi]"', name=error.name
    ) from error

__all__ = ["CanaryMiddleware", "VersionedApp", "canary_assignment"]

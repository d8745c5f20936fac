"""Canary releases for Flask apps."""

from __future__ import annotations

from agent_canary.errors import MissingExtraError

try:
    from .extension import FlaskCanary
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("flask", "werkzeug"):
        raise
    raise MissingExtraError(
        f'agent_canary_flask needs {error.name}: pip install "agent-canary-rollout[flask]"', name=error.name
    ) from error

__all__ = ["FlaskCanary"]

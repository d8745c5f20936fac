"""The middleware: one assignment per request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_canary.adapting import Identifier, PathFilter, added_headers, field_name

from .client import ScopeClient
from .responder import Responder
from .types import ASGIApp, Header, KeyFunction, PathRules, Receive, Scope, Send

if TYPE_CHECKING:
    from agent_canary import AgentCanary


class CanaryMiddleware:
    """Pure ASGI middleware that routes each request: same as ``AgentCanary.assign``, the key taken from the scope.

    The app finds the assignment by ``current_assignment()`` and in ``scope["state"]["agent_canary"]``
    (``request.state.agent_canary``), its version also in ``scope["state"]["agent_canary_version"]``. The scope is the
    context that overrides and cohorts see. A request succeeds when its last byte was handed to the server, with a
    status below 500; it fails by an exception before, a status of 500 or more, or an answer left incomplete; a client
    that leaves before is neither. WebSockets and lifespan events pass through.

    Args:
        app: The app below.
        canary: Who decides.
        key: Gets the scope and returns the sticky key, or None when it does not know who asks.
        cookie: Name of a cookie, set for clients that *key* does not know, see
            :class:`~agent_canary.adapting.StickyCookie`. One name per rollout.
        response_header: Name of a header that tells the client its version; none by default.
        include: The paths that count, see :class:`~agent_canary.adapting.PathFilter`; all by default.
        exclude: The paths that do not: health checks, static files, feedback.

    Raises:
        ValueError: Neither *key* nor *cookie* is given, or an argument cannot be what it is used for.
    """

    def __init__(
        self,
        app: ASGIApp,
        canary: AgentCanary,
        *,
        key: KeyFunction | None = None,
        cookie: str | None = None,
        response_header: str | None = None,
        include: PathRules | None = None,
        exclude: PathRules | None = None,
    ) -> None:
        self.app = app
        self.canary = canary
        self._identifier = Identifier[Scope](
            canary, key, cookie, ScopeClient, if_async="use the dependency canary_assignment"
        )
        self._filter = PathFilter[Scope](canary.failsafe, include, exclude)
        self._header_name = field_name(response_header)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not self._filter.matches(scope["path"], scope):
            await self.app(scope, receive, send)
            return
        sticky_key, set_cookie = self._identifier.identify(scope)
        assignment = self.canary.assign(sticky_key, scope, adapter=True)
        # A new dict: the server may hand the same one to every request.
        scope["state"] = {
            **scope.get("state", {}),
            "agent_canary": assignment,
            "agent_canary_version": assignment.version,
        }
        headers = added_headers(assignment.version, set_cookie, self._header_name)
        await Responder(assignment, self.canary, receive, send, encoded(headers)).run(self.app, scope)


def encoded(headers: list[tuple[str, str]] | None) -> list[Header] | None:
    """Return headers as ASGI has them: in lower case, in bytes."""
    if headers is None:
        return None
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers]

"""Two whole apps behind one address, one of each version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent_canary.adapting import added_headers

from .lifespan import run_lifespans
from .middleware import CanaryMiddleware, encoded
from .types import ASGIApp, Header, KeyFunction, Message, PathRules, Receive, Scope, Send

if TYPE_CHECKING:
    from agent_canary import AgentCanary


class VersionedApp(CanaryMiddleware):
    """Serves each request by the app of its version, and reports it as :class:`.CanaryMiddleware` does.

    Requests that do not count get stable's app. A WebSocket gets the app of its sticky key and does not count: assign
    inside, per message. Both apps start up and shut down with the server, each with a lifespan state of its own.

    Args:
        canary: Who decides.
        apps: The app of each of the canary's two versions, by version.
        key: As in :class:`~agent_canary_asgi.CanaryMiddleware`, and so is all that follows.
        cookie: The same.
        response_header: The same.
        include: The same.
        exclude: The same.

    Raises:
        ValueError: *apps* has not exactly the canary's two versions, or as in CanaryMiddleware.
    """

    def __init__(
        self,
        canary: AgentCanary,
        apps: Mapping[str, ASGIApp],
        *,
        key: KeyFunction | None = None,
        cookie: str | None = None,
        response_header: str | None = None,
        include: PathRules | None = None,
        exclude: PathRules | None = None,
    ) -> None:
        canary.require_versions(apps, "apps")
        super().__init__(
            self._serve_version,
            canary,
            key=key,
            cookie=cookie,
            response_header=response_header,
            include=include,
            exclude=exclude,
        )
        self.apps = dict(apps)
        self._states: dict[str, dict[str, Any]] = {version: {} for version in apps}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._run_lifespans(scope, receive, send)
        elif scope["type"] == "websocket" and self._filter.matches(scope["path"], scope):
            await self._serve_websocket(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _serve_version(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.get("state", {})
        version = state.get("agent_canary_version")
        if version not in self.apps:
            version = self.canary.stable_version
        scope["state"] = {**self._states[version], **state}
        await self.apps[version](scope, receive, send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        sticky_key, set_cookie = self._identifier.identify(scope)
        # Without a key route would toss a coin.
        version = self.canary.stable_version if sticky_key is None else self.canary.route(sticky_key, scope)
        scope["state"] = {**scope.get("state", {}), "agent_canary_version": version}
        headers = encoded(added_headers(version, set_cookie, self._header_name))
        await self._serve_version(scope, receive, send if headers is None else _accepting_with(headers, send))

    async def _run_lifespans(self, scope: Scope, receive: Receive, send: Send) -> None:
        given: dict[str, Any] = scope.get("state", {})
        by_app: dict[int, tuple[ASGIApp, dict[str, Any]]] = {}
        for version, app in self.apps.items():
            # One app may be both versions: it starts once.
            _, self._states[version] = by_app.setdefault(id(app), (app, dict(given)))
        await run_lifespans(by_app.values(), scope, receive, send)


def _accepting_with(headers: list[Header], send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "websocket.accept":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with_headers

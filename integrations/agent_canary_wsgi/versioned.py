"""Two whole apps behind one address, one of each version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .middleware import CanaryMiddleware
from .types import Environ, KeyFunction, PathRules, StartResponse, WSGIApplication

if TYPE_CHECKING:
    from agent_canary import AgentCanary


class VersionedApp(CanaryMiddleware):
    """Serves each request by the app of its version, and reports it as :class:`.CanaryMiddleware` does.

    Requests that do not count get stable's app.

    Args:
        canary: Who decides.
        apps: The app of each of the canary's two versions, by version.
        key: As in :class:`~agent_canary_wsgi.CanaryMiddleware`, and so is all that follows.
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
        apps: Mapping[str, WSGIApplication],
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

    def _serve_version(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        app = self.apps.get(environ.get("agent_canary.version", ""))
        return (app or self.apps[self.canary.stable_version])(environ, start_response)

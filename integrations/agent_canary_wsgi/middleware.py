"""The middleware: one assignment per request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agent_canary.adapting import Identifier, PathFilter, added_headers, field_name

from .answer import Answer
from .client import EnvironClient, path_of
from .types import Environ, KeyFunction, PathRules, StartResponse, WSGIApplication

if TYPE_CHECKING:
    from agent_canary import AgentCanary


class CanaryMiddleware:
    """WSGI middleware that routes each request: same as ``AgentCanary.assign``, the key taken from the environ.

    The app finds the assignment by ``current_assignment()`` and in ``environ["agent_canary.assignment"]``, its version
    also in ``environ["agent_canary.version"]``. The environ is the context that overrides and cohorts see. A request
    succeeds when its body has ended, with a status below 500; it fails by an exception before, a status of 500 or more,
    or a body that ends without ``start_response``; one whose body the server closes before its end is neither, since
    the client left.

    A file that the app returns by ``wsgi.file_wrapper`` is passed to the server as it is, so that the server knows it
    and can use ``sendfile``; the answer ends there, before its bytes are sent.

    Args:
        app: The app below.
        canary: Who decides.
        key: Gets the environ and returns the sticky key, or None when it does not know who asks.
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
        app: WSGIApplication,
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
        self._identifier = Identifier[Environ](canary, key, cookie, EnvironClient)
        self._filter = PathFilter[Environ](canary.failsafe, include, exclude)
        self._header_name = field_name(response_header)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if not self._filter.matches(path_of(environ), environ):
            return self.app(environ, start_response)
        sticky_key, set_cookie = self._identifier.identify(environ)
        assignment = self.canary.assign(sticky_key, environ, adapter=True)
        environ["agent_canary.assignment"] = assignment
        environ["agent_canary.version"] = assignment.version
        answer = Answer(environ, start_response)
        answer.open(assignment, added_headers(assignment.version, set_cookie, self._header_name))
        return answer.run(self.app)

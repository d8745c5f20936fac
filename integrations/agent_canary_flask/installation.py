"""A canary's part in one app: where the assignment is opened, and where it ends."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, g, request
from werkzeug.exceptions import ClientDisconnected

from agent_canary import adapting
from agent_canary.adapting import Identifier, PathFilter, StickyKey, added_headers, field_name
from agent_canary_wsgi.answer import Answer
from agent_canary_wsgi.client import EnvironClient, path_of

if TYPE_CHECKING:
    from agent_canary import AgentCanary, Assignment

KeyFunction = Callable[[], StickyKey | None] | Callable[[Request], StickyKey | None]
PathRules = adapting.PathRules[Request]


class Installation:
    """Wraps two methods of an app.

    ``wsgi_app``, as Flask recommends, since an answer ends in its body, after ``teardown_request``; and
    ``dispatch_request``, since that is where all ``before_request`` functions are through and a view begins.

    Args:
        app: The app.
        canary: Who decides.
        key: As in :class:`~agent_canary_flask.FlaskCanary`, and so is all that follows.
        cookie: The same.
        response_header: The same.
        include: The same.
        exclude: The same.

    Raises:
        ValueError: Neither *key* nor *cookie* is given, or a value cannot be what it is used for.
    """

    def __init__(
        self,
        app: Flask,
        canary: AgentCanary,
        key: KeyFunction | None,
        cookie: str | None,
        response_header: str | None,
        include: PathRules | None,
        exclude: PathRules | None,
    ) -> None:
        self.canary = canary
        self._identifier = Identifier[Request](
            canary, _of_request(key), cookie, _client_of, if_async="await it in a before_request function"
        )
        self._filter = PathFilter[Request](canary.failsafe, include, exclude)
        self._header_name = field_name(response_header)
        self._slot = f"agent_canary_flask.answer.{canary.name}"
        self._wsgi_app = app.wsgi_app
        self._dispatch_request: Callable[..., Any] = app.dispatch_request
        app.wsgi_app = self.serve  # type: ignore[method-assign]
        app.dispatch_request = self.dispatch  # type: ignore[method-assign]

    def serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve one request, as the app's ``wsgi_app``."""
        answer = Answer(environ, start_response)
        environ[self._slot] = answer
        try:
            return answer.run(self._wsgi_app)
        finally:
            # The answer knows the server's objects, and these may know the environ.
            environ.pop(self._slot, None)

    # Flask's own arguments, which are others in each version.
    def dispatch(self, *args: Any, **kwargs: Any) -> Any:
        """Run the view, as the app's ``dispatch_request``."""
        answer = self._answer()
        if answer is None:
            return self._dispatch_request(*args, **kwargs)
        if answer.assignment is None and self._counts():
            self._open(answer)
        answer.enter()
        try:
            return self._dispatch_request(*args, **kwargs)
        except ClientDisconnected:
            # Flask answers it, with a 400 that nobody receives.
            if answer.assignment is not None:
                answer.assignment.cancel()
            raise
        except Exception as error:
            answer.cause = type(error).__name__
            raise

    def assign(self) -> Assignment:
        """Return the assignment of the present request, opened now if it was not.

        Raises:
            RuntimeError: The request did not come through ``wsgi_app``, or was answered.
        """
        answer = self._answer()
        if answer is None:
            raise RuntimeError(
                "no assignment can be opened: the request did not come through app.wsgi_app, or was answered already; "
                "in tests send it by app.test_client()"
            )
        return answer.assignment or self._open(answer)

    def _answer(self) -> Answer | None:
        answer: Answer | None = request.environ.get(self._slot)
        return answer

    def _open(self, answer: Answer) -> Assignment:
        sticky_key, set_cookie = self._identifier.identify(request)
        assignment = self.canary.assign(sticky_key, request.environ, adapter=True)
        answer.open(assignment, added_headers(assignment.version, set_cookie, self._header_name))
        g.agent_canary = assignment
        return assignment

    def _counts(self) -> bool:
        rule = request.url_rule
        if rule is None or request.routing_exception is not None:
            return False
        if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
            return False
        return self._filter.matches(path_of(request.environ), request)


def _client_of(request: Request) -> EnvironClient:
    return EnvironClient(request.environ)


def _of_request(key: KeyFunction | None) -> Callable[[Request], StickyKey | None] | None:
    """Return a key that takes the request; what is no plain function is left for the identifier to refuse."""
    if callable(key) and not inspect.iscoroutinefunction(key) and _takes_nothing(key):
        nullary = cast("Callable[[], StickyKey | None]", key)
        return lambda _: nullary()
    return cast("Callable[[Request], StickyKey | None] | None", key)


def _takes_nothing(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True

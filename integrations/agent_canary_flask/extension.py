"""The extension: what a user configures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app

from .installation import Installation, KeyFunction, PathRules

if TYPE_CHECKING:
    from agent_canary import AgentCanary, Assignment


class FlaskCanary:
    """Flask extension that routes each request: same as ``AgentCanary.assign``, the key taken from the request.

    The assignment is opened when the view is about to run, after all ``before_request`` functions, so that the key can
    be the user whom they logged in. The view, ``after_request`` functions and a streamed body find it by
    ``current_assignment()`` and in ``g.agent_canary``. A request that no view answers (no such page, an answer of a
    ``before_request`` function, Flask's own answer to OPTIONS) does not count.

    A request succeeds when its body has ended, with a status below 500. It fails by an exception that no error handler
    turns into such an answer, and by one in the body; Flask treats it as ever. One whose body the server closes before
    its end, or whose request body ends too early, is neither, since the client left. Files that Flask hands to the
    server end as in :class:`~agent_canary_wsgi.CanaryMiddleware`.

    One extension serves several apps; each may have a canary of its own. What is not given here comes from the app's
    configuration: ``AGENT_CANARY_COOKIE``, ``AGENT_CANARY_RESPONSE_HEADER``, ``AGENT_CANARY_INCLUDE`` and
    ``AGENT_CANARY_EXCLUDE``.

    Args:
        app: An app to install it in; None to call :meth:`init_app` later.
        canary: Who decides, in apps for which :meth:`init_app` names no other.
        key: Returns the sticky key, or None when it does not know who asks. Called within the request's context,
            without an argument if it can be (``lambda: g.user.id``), else with the request. A plain function.
        cookie: Name of a cookie, set for clients that *key* does not know, see
            :class:`~agent_canary.adapting.StickyCookie`. One name per rollout.
        response_header: Name of a header that tells the client its version; none by default.
        include: The paths that count, see :class:`~agent_canary.adapting.PathFilter`; all by default. Callables get
            the request.
        exclude: The paths that do not: health checks, static files, feedback.

    Raises:
        ValueError: As in :meth:`init_app`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        canary: AgentCanary | None = None,
        *,
        key: KeyFunction | None = None,
        cookie: str | None = None,
        response_header: str | None = None,
        include: PathRules | None = None,
        exclude: PathRules | None = None,
    ) -> None:
        self._canary = canary
        self._key = key
        self._options: dict[str, Any] = {
            "cookie": cookie,
            "response_header": response_header,
            "include": include,
            "exclude": exclude,
        }
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, canary: AgentCanary | None = None) -> None:
        """Install it in *app*.

        Args:
            app: The app, its configuration already read.
            canary: Who decides in this app; the constructor's by default.

        Raises:
            ValueError: There is no canary, *app* has this extension or one for a canary of that name already, neither
                a key nor a cookie is given, or a value cannot be what it is used for.
        """
        canary = canary or self._canary
        if canary is None:
            raise ValueError("canary is None; give one to FlaskCanary(app, canary) or to init_app(app, canary)")
        installed = _installed(app)
        if self in installed or any(other.canary.name == canary.name for other in installed.values()):
            raise ValueError(f"{app!r} has a FlaskCanary for the rollout {canary.name!r} already; install it once")
        config = cast("Mapping[str, Any]", app.config)
        options = {
            name: config.get(f"AGENT_CANARY_{name.upper()}") if value is None else value
            for name, value in self._options.items()
        }
        installed[self] = Installation(app, canary, self._key, **options)

    def assign(self) -> Assignment:
        """Open the assignment of the present request now, in a ``before_request`` function that needs the version.

        Whatever the path filters say. Opened already, it is returned as it is.

        Raises:
            RuntimeError: There is no request, it did not come through the app's ``wsgi_app`` (as with
                ``test_request_context``), or the extension is not installed in its app.
        """
        try:
            installation = _installed(current_app)[self]
        except KeyError:
            raise RuntimeError(f"this FlaskCanary is not installed in {current_app!r}; call init_app(app)") from None
        return installation.assign()


def _installed(app: Flask) -> dict[FlaskCanary, Installation]:
    installed: dict[FlaskCanary, Installation] = app.extensions.setdefault("agent_canary", {})
    return installed

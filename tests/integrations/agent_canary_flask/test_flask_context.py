"""Where the assignment is seen, and where it is not."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import flask
import pytest

from agent_canary import AgentCanary, Assignment, current_assignment
from agent_canary_flask import FlaskCanary


@pytest.fixture
def extension(app: flask.Flask, canary: AgentCanary) -> FlaskCanary:
    """Return the extension, installed for alice, who is on v2."""
    return FlaskCanary(app, canary, key=lambda: "alice")


def test_the_app_sees_its_assignment(app: flask.Flask, extension: FlaskCanary) -> None:
    """The view, error handlers, ``after_request`` and ``teardown_request`` see it; who comes before does not."""
    seen: dict[str, Any] = {}

    def look(where: str) -> None:
        seen[where] = current_assignment()
        if seen[where] is not None:
            assert flask.g.agent_canary is seen[where]

    @app.before_request
    def before() -> None:
        look("before")

    @app.get("/")
    def view() -> str:
        look("view")
        raise LookupError

    @app.errorhandler(LookupError)
    def handler(error: LookupError) -> str:
        look("handler")
        return "handled"

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        look("after")
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        look("teardown")

    assert app.test_client().get("/").text == "handled"
    assert seen.pop("before") is None
    assert list(seen) == ["view", "handler", "after", "teardown"]
    assert isinstance(seen["view"], Assignment)
    assert set(seen.values()) == {seen["view"]}
    assert current_assignment() is None


@pytest.mark.parametrize("with_context", [True, False])
def test_a_stream_sees_it_and_the_server_does_not(app: flask.Flask, extension: FlaskCanary, with_context: bool) -> None:
    """In each step of a body, with Flask's context or without, it is the current one, and in between there is none."""
    seen: list[Assignment | None] = []

    def stream() -> Iterator[str]:
        try:
            for _ in range(3):
                seen.append(current_assignment())
                if with_context:
                    assert flask.g.agent_canary is seen[-1]
                yield "chunk"
        finally:
            seen.append(current_assignment())

    @app.get("/")
    def view() -> flask.Response:
        seen.append(flask.g.agent_canary)
        return flask.Response(flask.stream_with_context(stream()) if with_context else stream())

    response = app.test_client().get("/")
    for _ in response.response:
        assert current_assignment() is None
    response.close()
    assert len(seen) == 5
    assert len(set(seen)) == 1
    assert seen[0] is not None


@pytest.mark.parametrize("is_propagated", [True, False])
def test_nothing_is_left_after_an_exception(app: flask.Flask, extension: FlaskCanary, is_propagated: bool) -> None:
    """The context is reset whatever leaves the app."""
    app.config["PROPAGATE_EXCEPTIONS"] = is_propagated
    app.add_url_rule("/", view_func=lambda: 1 / 0)
    try:
        app.test_client().get("/")
    except ZeroDivisionError:
        assert is_propagated
    assert current_assignment() is None


def test_an_async_view_sees_it(app: flask.Flask, extension: FlaskCanary) -> None:
    """A coroutine, which Flask runs on an event loop of its own, sees it, and an exception in it is the request's."""
    pytest.importorskip("asgiref")

    @app.get("/")
    async def view() -> str:
        assert current_assignment() is flask.g.agent_canary
        return str(flask.g.agent_canary.version)

    @app.get("/raise")
    async def failing() -> str:
        raise LookupError

    app.register_error_handler(LookupError, lambda error: ("sorry", 500))
    client = app.test_client()
    assert client.get("/").text == "v2"
    assert client.get("/raise").status_code == 500
    assert current_assignment() is None
    gc.collect()  # The exception's frames hold asgiref's event loop, and with it a thread.


def test_an_async_before_request_may_open_it(app: flask.Flask, extension: FlaskCanary) -> None:
    """Opened on another event loop, in another context, it is seen by the view and left by the server's thread."""
    pytest.importorskip("asgiref")
    opened: list[Assignment] = []

    @app.before_request
    async def before() -> None:
        opened.append(extension.assign())

    app.add_url_rule("/", view_func=lambda: str(current_assignment() is opened[0]))
    assert app.test_client().get("/").text == "True"
    assert current_assignment() is None


def test_an_inner_assign_joins(app: flask.Flask, canary: AgentCanary, extension: FlaskCanary) -> None:
    """Code that assigns inside a request gets its version, and the request counts once."""

    @app.get("/")
    def view() -> str:
        with canary.assign("bob") as assignment:
            return assignment.version

    assert app.test_client().get("/").text == "v2"
    canary.tick()
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (0, 1)


def test_a_request_inside_a_request_joins(app: flask.Flask, canary: AgentCanary, extension: FlaskCanary) -> None:
    """An app that asks itself has each answer from the same version, and its own assignment back afterwards."""

    @app.get("/")
    def view() -> str:
        outer = flask.g.agent_canary
        inner = app.test_client().get("/inner").text
        assert current_assignment() is outer
        return inner

    app.add_url_rule("/inner", "inner", view_func=lambda: flask.g.agent_canary.version)
    assert app.test_client().get("/").text == "v2"
    canary.tick()
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (0, 1)


def test_the_autopilot_is_asked_for(
    app: flask.Flask, canary: AgentCanary, extension: FlaskCanary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter's assignment says that it is one, once per request."""
    asked: list[Any] = []
    assign = canary.assign

    def spy(*args: Any, **options: Any) -> Assignment:
        asked.append(options)
        return assign(*args, **options)

    monkeypatch.setattr(canary, "assign", spy)
    app.add_url_rule("/", view_func=lambda: "text")
    app.test_client().get("/")
    assert asked == [{"adapter": True}]

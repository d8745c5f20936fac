"""How a request's end is told."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from werkzeug.exceptions import BadRequest, ClientDisconnected

from agent_canary import AgentCanary, Assignment, Outcome
from agent_canary.testing import ManualClock
from agent_canary_flask import FlaskCanary


@pytest.fixture
def ask(app: flask.Flask, canary: AgentCanary) -> Callable[..., tuple[Any, Assignment]]:
    """Give the app one view, ask it once as alice, read the answer whole; return it and the assignment."""

    def asking(view: Callable[..., Any], **options: Any) -> tuple[Any, Assignment]:
        FlaskCanary(app, canary, key=lambda: "alice")
        found: list[Assignment] = []

        def noting() -> Any:
            found.append(flask.g.agent_canary)
            return view()

        app.add_url_rule("/", view_func=noting, methods=["GET", "POST"])
        response = app.test_client().open("/", **{"buffered": True, **options})
        return response, found[0]

    return asking


def raising(error: BaseException) -> Callable[[], Any]:
    """Return a view that raises."""

    def view() -> Any:
        raise error

    return view


@pytest.mark.parametrize("answer", ["text", ("gone", 404), {"a": 1}, flask.Response(status=302)])
def test_a_complete_answer_succeeds(ask: Any, answer: Any) -> None:
    """An answer below 500 whose body has ended is a success of its version."""
    _, assignment = ask(lambda: answer)
    assert (assignment.version, assignment.outcome) == ("v2", Outcome.SUCCEEDED)


def test_a_status_of_500_or_more_fails(ask: Any) -> None:
    """A completed answer with a server error's status is a failure that names the status."""
    response, assignment = ask(lambda: ("busy", 503))
    assert response.status_code == 503
    assert (assignment.outcome, assignment.details.failure) == (Outcome.FAILED, "status 503")


def test_an_unhandled_exception_fails(ask: Any) -> None:
    """Flask answers 500 as ever, and the failure has the exception's name."""
    response, assignment = ask(raising(LookupError("the model is gone")))
    assert response.status_code == 500
    assert (assignment.outcome, assignment.details.failure) == (Outcome.FAILED, "LookupError")


@pytest.mark.parametrize("setting", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_a_propagated_exception_fails_and_passes_unchanged(app: flask.Flask, ask: Any, setting: str) -> None:
    """Where Flask raises it again, it is the very same, and nothing else is in its context."""
    app.config[setting] = True
    error = LookupError("the model is gone")
    found: list[Assignment] = []

    def view() -> Any:
        found.append(flask.g.agent_canary)
        raise error

    with pytest.raises(LookupError) as caught:
        ask(view)
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert (found[0].outcome, found[0].details and found[0].details.failure) == (Outcome.FAILED, "LookupError")


@pytest.mark.parametrize("status", [200, 404, 422])
def test_a_handled_exception_is_no_failure(app: flask.Flask, ask: Any, status: int) -> None:
    """What an error handler turns into an answer below 500 is that answer."""
    app.register_error_handler(LookupError, lambda error: ("not there", status))
    response, assignment = ask(raising(LookupError()))
    assert (response.status_code, assignment.outcome) == (status, Outcome.SUCCEEDED)


def test_an_exception_handled_as_a_server_error_fails(app: flask.Flask, ask: Any) -> None:
    """A handler's 503 is a failure that has the exception's name."""
    app.register_error_handler(LookupError, lambda error: ("busy", 503))
    _, assignment = ask(raising(LookupError()))
    assert (assignment.outcome, assignment.details.failure) == (Outcome.FAILED, "LookupError")


def test_a_page_for_unhandled_exceptions_fails(app: flask.Flask, ask: Any) -> None:
    """A handler for 500 makes a nicer page of an unhandled exception, which stays a failure."""
    app.register_error_handler(500, lambda error: ("sorry", 500))
    response, assignment = ask(raising(LookupError()))
    assert response.data == b"sorry"
    assert (assignment.outcome, assignment.details.failure) == (Outcome.FAILED, "LookupError")


@pytest.mark.parametrize(("status", "outcome"), [(404, Outcome.SUCCEEDED), (503, Outcome.FAILED)])
def test_an_abort_counts_by_its_status(ask: Any, status: int, outcome: Outcome) -> None:
    """``abort`` is an answer, not an exception."""
    _, assignment = ask(lambda: flask.abort(status))
    assert assignment.outcome is outcome


def test_an_exception_in_after_request_fails(app: flask.Flask, ask: Any) -> None:
    """What fails after the view fails the request."""

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        raise LookupError

    response, assignment = ask(lambda: "text")
    assert (response.status_code, assignment.outcome) == (500, Outcome.FAILED)


def test_an_exception_in_teardown_fails_and_passes(app: flask.Flask, ask: Any) -> None:
    """What Flask lets out of its own end leaves the client without an answer."""
    found: list[Assignment] = []

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        found.append(flask.g.agent_canary)
        raise LookupError("tearing down")

    with pytest.raises(LookupError, match="tearing down"):
        ask(lambda: "text")
    assert found[0].outcome is Outcome.FAILED


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_cancelled_request_is_neither(ask: Any, error: type[BaseException]) -> None:
    """A worker that is told to stop, as gunicorn does by SystemExit, is no failure of the version."""
    found: list[Assignment] = []

    def view() -> Any:
        found.append(flask.g.agent_canary)
        raise error

    with pytest.raises(error):
        ask(view)
    assert found[0].outcome is Outcome.CANCELLED


# Clients that leave


def test_a_client_that_leaves_its_upload_is_neither(app: flask.Flask, ask: Any) -> None:
    """A request body that ends too early is answered with a 400 that nobody receives."""
    errors: list[BadRequest] = []
    flask_app = app.wsgi_app

    def server(environ: Any, start_response: Any) -> Any:
        # Unlike the test client, servers do not say where a body ends.
        environ.pop("wsgi.input_terminated", None)
        return flask_app(environ, start_response)

    app.wsgi_app = server  # type: ignore[method-assign]

    def view() -> Any:
        try:
            return flask.request.get_data()
        except BadRequest as error:
            errors.append(error)
            raise

    environ = {"wsgi.input": io.BytesIO(b"half"), "CONTENT_LENGTH": "8"}
    response, assignment = ask(view, method="POST", environ_overrides=environ)
    assert response.status_code == 400
    assert isinstance(errors[0], ClientDisconnected)
    assert assignment.outcome is Outcome.CANCELLED


def test_a_client_that_leaves_a_stream_is_neither(ask: Any) -> None:
    """A body that the server closes before its end is neither, and its generator hears of it."""
    heard: list[str] = []

    def stream() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        except GeneratorExit:
            heard.append("left")
            raise

    response, assignment = ask(lambda: flask.Response(stream()), buffered=False)
    assert assignment.outcome is None
    response.close()
    assert assignment.outcome is Outcome.CANCELLED
    assert heard == ["left"]


# Streams


def test_the_answer_ends_in_the_body(app: flask.Flask, ask: Any, clock: ManualClock) -> None:
    """``teardown_request`` runs before a streamed body; the latency goes on to the last byte, the first has its own."""
    torn: list[Outcome | None] = []
    app.teardown_request(lambda error: torn.append(flask.g.agent_canary.outcome))

    def stream() -> Iterator[str]:
        assert torn == [None]
        clock.advance(2.0)
        yield "first"
        clock.advance(4.0)
        yield "last"

    def view() -> Any:
        clock.advance(1.0)
        return flask.Response(stream())

    response, assignment = ask(view)
    assert response.data == b"firstlast"
    assert assignment.outcome is Outcome.SUCCEEDED
    assert assignment.ended_at - assignment.started_at == pytest.approx(7.0)
    assert assignment.details.first_token_at - assignment.started_at == pytest.approx(3.0)


def test_an_exception_in_the_stream_fails_and_passes_unchanged(ask: Any) -> None:
    """What the body raises after its first byte reaches the server, and the answer is a failure."""
    error = LookupError("halfway")
    found: list[Assignment] = []

    def stream() -> Iterator[str]:
        yield "half"
        raise error

    def view() -> Any:
        found.append(flask.g.agent_canary)
        return flask.Response(stream())

    with pytest.raises(LookupError) as caught:
        ask(view)
    assert caught.value is error
    assert (found[0].outcome, found[0].details and found[0].details.failure) == (Outcome.FAILED, "LookupError")


def test_the_stream_is_closed_once(ask: Any) -> None:
    """``call_on_close`` is called once, after the end."""
    calls: list[Outcome | None] = []

    def view() -> Any:
        assignment = flask.g.agent_canary
        response = flask.Response(iter(["a", "b"]))
        response.call_on_close(lambda: calls.append(assignment.outcome))
        return response

    ask(view)
    assert calls == [Outcome.SUCCEEDED]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_succeeds(ask: Any, method: str) -> None:
    """``send_file`` works as ever, with and without a wrapper of the server's."""
    response, assignment = ask(lambda: flask.send_file(io.BytesIO(b"file"), "text/plain"), method=method)
    assert response.data == (b"file" if method == "GET" else b"")
    assert response.headers["Content-Length"] == "4"
    assert assignment.outcome is Outcome.SUCCEEDED


def test_the_length_of_a_plain_answer_is_unaffected(ask: Any) -> None:
    """Flask's own Content-Length stays."""
    response, _ = ask(lambda: "text")
    assert response.headers["Content-Length"] == "4"

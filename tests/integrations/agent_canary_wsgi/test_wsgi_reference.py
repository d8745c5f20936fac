"""The standard library's own checks and server."""

from __future__ import annotations

import http.client
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import pytest

from agent_canary import AgentCanary, Outcome
from agent_canary_wsgi import CanaryMiddleware

HEADERS = (("Content-Type", "text/plain"),)


def listed(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*HEADERS])
    return [b"one"]


def generated(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*HEADERS])
    yield b"one"
    yield b"two"


def written(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*HEADERS])(b"one")
    return []


def replaced(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*HEADERS])
    try:
        raise LookupError
    except LookupError:
        start_response("404 Not Found", [*HEADERS], sys.exc_info())
    return [b"none"]


APPS = [listed, generated, written, replaced]


@pytest.fixture
def wrap(canary: AgentCanary) -> Callable[[Any], CanaryMiddleware]:
    """Wrap an app with all that can be added to an answer."""
    return lambda app: CanaryMiddleware(app, canary, cookie="who", response_header="X-Agent-Version")


@pytest.mark.parametrize("app", APPS)
def test_the_validator_finds_nothing_above(wrap: Any, wire: Any, app: Any) -> None:
    """To the server the middleware is a good application."""
    request = wire()
    request.run(validator(wrap(app)))
    assert request.assignment.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("app", APPS)
def test_the_validator_finds_nothing_below(wrap: Any, wire: Any, app: Any) -> None:
    """To the application the middleware is a good server."""
    request = wire()
    request.run(wrap(validator(app)))
    assert request.assignment.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("app", APPS)
def test_the_validator_finds_nothing_around(canary: AgentCanary, wrap: Any, wire: Any, app: Any) -> None:
    """Nor around two of them, which count one request."""
    wire().run(validator(wrap(validator(wrap(validator(app))))))
    canary.tick()
    assert canary.metrics("v1").successes + canary.metrics("v2").successes == 1


class QuietHandler(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_: Any) -> None: ...


class Server(WSGIServer):
    """The reference server, which tells when it has finished with a request."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.finished = threading.Semaphore(0)
        super().__init__(*args, **options)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.finished.release()


@pytest.fixture
def serve() -> Callable[[Any], AbstractContextManager[Server]]:
    """Return a context manager that serves an app by wsgiref on a free port of the loopback."""

    @contextmanager
    def serving(app: Any) -> Iterator[Server]:
        with make_server("127.0.0.1", 0, app, server_class=Server, handler_class=QuietHandler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join(timeout=10)

    return serving


def ask(server: Server, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request and wait until the server has finished with it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, "/")
        answer = connection.getresponse()
        content = answer.read()
        assert server.finished.acquire(timeout=10)
        return answer, content
    finally:
        connection.close()


@pytest.mark.parametrize(("app", "length"), [(listed, "3"), (generated, None)])
def test_the_content_length_is_unaffected(canary: AgentCanary, serve: Any, app: Any, length: str | None) -> None:
    """The server makes a Content-Length of a single chunk, and of no other body, as without the middleware."""
    for served in (app, CanaryMiddleware(app, canary, key=lambda environ: "alice")):
        with serve(served) as server:
            answer, content = ask(server)
        assert answer.getheader("Content-Length") == length
        assert content == b"".join(app({}, lambda status, headers: print))
    canary.tick()
    assert canary.metrics("v2").successes == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_of_the_server_is_sent(canary: AgentCanary, serve: Any, tmp_path: Path, method: str) -> None:
    """The reference server finds its own wrapper, sends it, closes it, and the answer is a success."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    files: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [*HEADERS, ("Content-Length", "100000")])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        files.append(path.open("rb"))
        return environ["wsgi.file_wrapper"](files[-1])

    with serve(CanaryMiddleware(app, canary, key=lambda environ: "alice")) as server:
        answer, content = ask(server, method)
    assert answer.getheader("Content-Length") == "100000"
    assert len(content) == (100_000 if method == "GET" else 0)
    assert all(file.closed for file in files)
    canary.tick()
    assert (canary.metrics("v2").successes, canary.metrics("v2").failures) == (1, 0)

"""How a request's end is told."""

from __future__ import annotations

import io
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import AgentCanary, Outcome
from agent_canary.testing import ManualClock
from agent_canary_wsgi import CanaryMiddleware

HEADERS = [("X-Own", "1")]


@pytest.fixture
def wrap(canary: AgentCanary) -> Callable[..., CanaryMiddleware]:
    """Wrap an app for alice, who is on v2."""
    return lambda app, **options: CanaryMiddleware(app, canary, **{"key": lambda environ: "alice", **options})


class Closing:
    """A body that counts how often it is closed."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self.closed = 0
        self._chunks = iter(chunks)
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self.closed += 1
        if self._error is not None:
            raise self._error


def answering(body: Any, status: str = "200 OK") -> Callable[..., Any]:
    """Return an app with one answer."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, HEADERS)
        return body

    return app


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "404 Not Found", "499 Odd"])
def test_a_complete_answer_succeeds(wrap: Any, wire: Any, status: str) -> None:
    """An answer below 500 whose body has ended is a success of its version."""
    request = wire()
    request.run(wrap(answering([b"a", b"b"], status)))
    assert (request.status, request.sent) == (status, [b"a", b"b"])
    assert request.assignment.outcome is Outcome.SUCCEEDED
    assert request.assignment.version == request.environ["agent_canary.version"] == "v2"


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "599"])
def test_a_status_of_500_or_more_fails(wrap: Any, wire: Any, status: str) -> None:
    """A completed answer with a server error's status is a failure that names the status."""
    request = wire()
    request.run(wrap(answering([b"sorry"], status)))
    assert request.assignment.outcome is Outcome.FAILED
    assert request.assignment.details.failure == f"status {status[:3]}"


def test_the_answer_passes_untouched_without_cookie_and_header(wrap: Any, wire: Any) -> None:
    """The app's own list of headers and its own chunks reach the server."""
    chunks = [bytes(1000), bytes(2000)]
    request = wire()
    request.run(wrap(answering(chunks)))
    assert request.headers is HEADERS
    assert all(sent is chunk for sent, chunk in zip(request.sent, chunks, strict=True))


def failing_at_once(error: Exception) -> Callable[..., Any]:
    def app(environ: Any, start_response: Any) -> Any:
        raise error

    return app


def failing_after_start(error: Exception) -> Callable[..., Any]:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        raise error

    return app


def failing_in_iter(error: Exception) -> Callable[..., Any]:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            raise error

    return answering(Body())


def failing_before_the_first_byte(error: Exception) -> Callable[..., Any]:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        yield b""
        raise error

    return app


def failing_after_the_first_byte(error: Exception) -> Callable[..., Any]:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        yield b"half"
        raise error

    return app


FAILING = [
    failing_at_once,
    failing_after_start,
    failing_in_iter,
    failing_before_the_first_byte,
    failing_after_the_first_byte,
]


@pytest.mark.parametrize("failing", FAILING)
def test_an_exception_before_the_end_fails_and_passes_unchanged(wrap: Any, wire: Any, failing: Any) -> None:
    """The app's exception, before its first byte or after, is a failure and is raised again as it was."""
    error = LookupError("the model is gone")
    request = wire()
    with pytest.raises(LookupError) as caught:
        request.run(wrap(failing(error)))
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].filename == __file__
    assert request.assignment.outcome is Outcome.FAILED
    assert request.assignment.details.failure == "LookupError"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("failing", [failing_at_once, failing_after_the_first_byte])
def test_a_cancelled_request_is_neither(wrap: Any, wire: Any, failing: Any, error: type[BaseException]) -> None:
    """A worker that is told to stop, as gunicorn does by SystemExit, is no failure of the version."""
    request = wire()
    with pytest.raises(error):
        request.run(wrap(failing(error)))
    assert request.assignment.outcome is Outcome.CANCELLED


@pytest.mark.parametrize("body", [[], [b"text"]])
def test_an_answer_that_was_never_started_fails(wrap: Any, wire: Any, body: list[bytes]) -> None:
    """An app that ends without start_response has failed."""
    request = wire()
    iterator = iter(request.call(wrap(lambda environ, start_response: body)))
    assert list(iterator) == body
    assert request.assignment.outcome is Outcome.FAILED
    assert request.assignment.details.failure == "incomplete answer"


def test_a_body_that_is_none_fails(wrap: Any, wire: Any) -> None:
    """An app that returns no iterable has failed, where the server finds out."""
    request = wire()
    with pytest.raises(TypeError, match="not iterable"):
        request.run(wrap(answering(None)))
    assert request.assignment.outcome is Outcome.FAILED


def test_an_exception_after_the_end_changes_nothing(wrap: Any, wire: Any) -> None:
    """A close that fails after the complete answer leaves it a success, and its exception passes."""
    error = RuntimeError("cleaning up")
    request = wire()
    with pytest.raises(RuntimeError) as caught:
        request.run(wrap(answering(Closing(b"all", error=error))))
    assert caught.value is error
    assert request.assignment.outcome is Outcome.SUCCEEDED


def test_the_latency_ends_with_the_last_byte(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """What the body takes is part of the latency, closing is not; the first byte has its own."""

    def app(environ: Any, start_response: Any) -> Any:
        clock.advance(1.0)
        start_response("200 OK", HEADERS)
        try:
            yield b""
            clock.advance(2.0)
            yield b"first"
            clock.advance(4.0)
            yield b"last"
            clock.advance(8.0)
        finally:
            clock.advance(16.0)

    class Slow(Closing):
        def close(self) -> None:
            clock.advance(32.0)

    request = wire()
    request.run(wrap(app))
    assert request.assignment.ended_at - request.assignment.started_at == pytest.approx(31.0)
    assert request.assignment.details.first_token_at - request.assignment.started_at == pytest.approx(3.0)
    request = wire()
    request.run(wrap(answering(Slow(b"all"))))
    assert request.assignment.ended_at == request.assignment.started_at


@pytest.mark.parametrize("leave_after", [0, 1, 2])
def test_a_client_that_leaves_is_neither(wrap: Any, wire: Any, leave_after: int) -> None:
    """A body that the server closes before its end is neither, even before it was begun; its generator hears of it."""
    heard: list[str] = []

    def stream() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
            yield b"c"
        except GeneratorExit:
            heard.append("left")
            raise

    request = wire()
    request.run(wrap(answering(stream())), leave_after)
    assert request.assignment.outcome is Outcome.CANCELLED
    assert heard == (["left"] if leave_after else [])


def test_a_body_that_fails_while_it_is_closed_early_is_neither(wrap: Any, wire: Any) -> None:
    """The departure came first; the exception of the cleaning up passes."""
    request = wire()
    with pytest.raises(RuntimeError, match="cleaning up"):
        request.run(wrap(answering(Closing(b"a", b"b", error=RuntimeError("cleaning up")))), 1)
    assert request.assignment.outcome is Outcome.CANCELLED


@pytest.mark.parametrize("leave_after", [0, 1, None])
def test_the_body_is_closed_once(wrap: Any, wire: Any, leave_after: int | None) -> None:
    """However far the body was read, and however often the server closes, the app's close is called once."""
    body = Closing(b"a", b"b")
    request = wire()
    request.run(wrap(answering(body)), leave_after)
    assert body.closed == 1
    request.close()
    assert body.closed == 1


def test_a_body_that_failed_is_closed_once(wrap: Any, wire: Any) -> None:
    """A failure stays one when the server then closes the body, and the app's close is called."""

    class Failing(Closing):
        def __next__(self) -> bytes:
            raise LookupError

    body = Failing()
    request = wire()
    with pytest.raises(LookupError):
        request.run(wrap(answering(body)))
    assert body.closed == 1
    assert request.assignment.outcome is Outcome.FAILED


def test_a_late_start_is_heard(wrap: Any, wire: Any) -> None:
    """A generator may start its answer with its first chunk, or with its last."""

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/empty":
            yield b""
        start_response("503 Busy", HEADERS)
        yield b"sorry"

    for path in ("/", "/empty"):
        request = wire(path)
        assert request.status == ""
        for chunk in request.call(wrap(app, response_header="v")):
            assert chunk in (b"", b"sorry")
        assert request.headers == [*HEADERS, ("v", "v2")]
        assert request.assignment.details.failure == "status 503"


def test_a_second_start_replaces_the_first(wrap: Any, wire: Any) -> None:
    """An error page in place of an answer that was started but not sent is what the client gets, and what counts."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        try:
            raise LookupError
        except LookupError:
            start_response("500 Oops", [("X-Page", "error")], sys.exc_info())
        return [b"sorry"]

    request = wire()
    request.run(wrap(app, response_header="v"))
    assert (request.status, request.headers) == ("500 Oops", [("X-Page", "error"), ("v", "v2")])
    assert request.assignment.details.failure == "status 500"


def test_a_second_start_that_comes_too_late_fails(wrap: Any, wire: Any) -> None:
    """Once bytes are out the server raises the app's error, which is a failure."""
    error = LookupError("too late")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HEADERS)
        yield b"half"
        try:
            raise error
        except LookupError:
            start_response("500 Oops", HEADERS, sys.exc_info())

    request = wire()
    with pytest.raises(LookupError) as caught:
        request.run(wrap(app))
    assert caught.value is error
    assert request.assignment.details.failure == "LookupError"


def test_the_arguments_may_be_named(wrap: Any, wire: Any) -> None:
    """Apps that name them, against the letter of PEP 3333, work with most servers and so they do here."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status="200 OK", headers=HEADERS)
        try:
            raise LookupError
        except LookupError:
            start_response(status="503 Busy", headers=HEADERS, exc_info=sys.exc_info())
        return [b"busy"]

    request = wire()
    request.run(wrap(app))
    assert request.assignment.details.failure == "status 503"


def test_the_write_callable_writes(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """What the app writes in the old way reaches the server at once, and is the first byte."""

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", HEADERS)
        clock.advance(1.0)
        write(b"")
        clock.advance(1.0)
        write(b"written")
        assert request.sent == [b"", b"written"]
        clock.advance(1.0)
        return [b"returned"]

    request = wire()
    request.run(wrap(app))
    assert request.sent == [b"", b"written", b"returned"]
    assert request.assignment.outcome is Outcome.SUCCEEDED
    assert request.assignment.details.first_token_at - request.assignment.started_at == pytest.approx(2.0)


def test_a_write_that_finds_nobody_is_neither(wrap: Any, wire: Any) -> None:
    """OSError of the server's write means that the client left, and passes."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", HEADERS)(b"text")
        raise AssertionError("not reached")

    request = wire()
    request.write_error = BrokenPipeError("gone")
    with pytest.raises(BrokenPipeError) as caught:
        request.run(wrap(app))
    assert caught.value is request.write_error
    assert request.assignment.outcome is Outcome.CANCELLED


def test_an_os_error_of_the_app_fails(wrap: Any, wire: Any) -> None:
    """An OSError that does not come from write is the app's own failure."""
    request = wire()
    with pytest.raises(OSError, match="disk full"):
        request.run(wrap(failing_at_once(OSError("disk full"))))
    assert request.assignment.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("method", "status", "outcome"),
    [
        ("HEAD", "200 OK", Outcome.SUCCEEDED),
        ("HEAD", "500 Oops", Outcome.FAILED),
        ("GET", "204 No Content", Outcome.SUCCEEDED),
        ("GET", "304 Not Modified", Outcome.SUCCEEDED),
        ("GET", "200 OK", Outcome.CANCELLED),
    ],
)
@pytest.mark.parametrize("leave_after", [0, 1])
def test_an_answer_without_a_body_need_not_be_read(
    wrap: Any, wire: Any, method: str, status: str, outcome: Outcome, leave_after: int
) -> None:
    """A server that does not read a body that it would not send has not left."""
    request = wire(REQUEST_METHOD=method)
    request.run(wrap(answering([b"", b"text"], status)), leave_after)
    assert request.assignment.outcome is outcome


def test_a_file_is_passed_to_the_server_as_it_is(wrap: Any, wire: Any, clock: ManualClock) -> None:
    """The server knows its own wrapper by type and may send the file by the system: the answer ends before."""
    file = FileWrapper(io.BytesIO(b"file"))
    request = wire(**{"wsgi.file_wrapper": FileWrapper})
    assert request.call(wrap(answering(file))) is file
    assert request.assignment.outcome is Outcome.SUCCEEDED
    assert request.assignment.details.first_token_at == request.assignment.ended_at
    request = wire(**{"wsgi.file_wrapper": FileWrapper})
    assert request.call(wrap(answering(file, "500 Oops"))) is file
    assert request.assignment.outcome is Outcome.FAILED


@pytest.mark.parametrize("wrapper", [None, lambda file, size=8192: FileWrapper(file, size)])
def test_a_file_that_the_server_does_not_know_is_a_body(wrap: Any, wire: Any, wrapper: Any) -> None:
    """Where the wrapper is no class (uWSGI), or there is none, the file is read as any body."""
    request = wire(**{"wsgi.file_wrapper": wrapper})
    request.run(wrap(answering(FileWrapper(io.BytesIO(b"file")))))
    assert request.sent == [b"file"]
    assert request.assignment.outcome is Outcome.SUCCEEDED


def test_the_length_is_told_where_it_is_known(wrap: Any, wire: Any) -> None:
    """A list has its own length, from which servers make a Content-Length; a generator has none."""
    assert len(wire().call(wrap(answering([b"a", b"b", b"c"])))) == 3
    assert not hasattr(wire().call(wrap(answering(iter([b"a"])))), "__len__")


def test_one_request_counts_once(canary: AgentCanary, wrap: Any, wire: Any) -> None:
    """Two middlewares of one canary stacked report one request, of the outer one's version."""
    request = wire()
    request.run(wrap(wrap(answering([b"once"]), key=lambda environ: "bob"), key=lambda environ: "alice"))
    assert request.assignment.version == "v2"
    assert (canary.metrics("v1").total, canary.metrics("v2").total) == (0, 1)


def test_many_requests_at_once_do_not_mix(wrap: Any, wire: Any) -> None:
    """Interleaved requests of one middleware, in many threads, each have an end of their own."""
    meet = threading.Barrier(8)

    def app(environ: Any, start_response: Any) -> Any:
        start_response(environ["PATH_INFO"][1:], HEADERS)
        for _ in range(3):
            meet.wait(timeout=10)
            yield b"x"

    middleware = wrap(app)
    requests = [wire("/200" if number % 2 else "/500") for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda request: request.run(middleware), requests))
    assert [request.assignment.outcome for request in requests] == [Outcome.FAILED, Outcome.SUCCEEDED] * 4


@given(
    status=st.sampled_from(["200 OK", "404 Not Found", "503 Busy"]),
    chunks=st.lists(st.sampled_from([b"", b"a", b"bc"]), max_size=4),
    raises_at=st.one_of(st.none(), st.integers(0, 4)),
    leaves_after=st.one_of(st.none(), st.integers(0, 5)),
    closes=st.integers(1, 3),
)
def test_every_request_ends_once(
    status: str, chunks: list[bytes], raises_at: int | None, leaves_after: int | None, closes: int
) -> None:
    """Whatever the app yields or raises and wherever the client leaves, there is one end, and the right one."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(status, HEADERS)
        for number, chunk in enumerate(chunks):
            if number == raises_at:
                raise LookupError
            yield chunk

    ends: list[Outcome] = []
    with AgentCanary("v1", "v2", clock=ManualClock(), autopilot=False) as canary:
        environ: dict[str, Any] = {"REQUEST_METHOD": "GET"}
        body: Any = CanaryMiddleware(app, canary, key=lambda environ: "u")(environ, lambda status, headers: print)
        taken, expected = 0, Outcome.CANCELLED
        while leaves_after is None or taken < leaves_after:
            try:
                assert next(body) == chunks[taken]
                taken += 1
            except LookupError:
                expected = Outcome.FAILED
                break
            except StopIteration:
                expected = Outcome.FAILED if status >= "5" else Outcome.SUCCEEDED
                break
            finally:
                ends.append(environ["agent_canary.assignment"].outcome)
        for _ in range(closes):
            body.close()
            ends.append(environ["agent_canary.assignment"].outcome)
        assert ends[-1] is expected
        assert {end for end in ends if end is not None} == {expected}
        version = environ["agent_canary.version"]
        canary.tick()
        assert canary.metrics(version).total == (0 if expected is Outcome.CANCELLED else 1)

"""One request on its way through the app: what it calls and returns tells how the assignment ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from .body import Body, SizedBody
from .types import Environ, Header, StartResponse, WSGIApplication

if TYPE_CHECKING:
    from agent_canary import Assignment

# RFC 9110, section 6.4.1: these have no body, whatever the app returns.
_BODILESS = ("204", "304")


class Answer:
    """Wraps ``start_response`` and the body of one request.

    The assignment ends when the body does. It may be opened before the app is called or while it runs; an answer
    whose assignment was never opened passes untouched.

    Args:
        environ: The request's.
        start_response: The server's.

    Attributes:
        assignment: What to end; None until opened.
        cause: What to tell as the reason of a status of 500 or more, instead of the status.
        has_begun: Whether the first byte was seen.
    """

    __slots__ = (
        "_activation",
        "_environ",
        "_headers",
        "_start_response",
        "_status",
        "assignment",
        "cause",
        "has_begun",
    )

    def __init__(self, environ: Environ, start_response: StartResponse) -> None:
        self._environ = environ
        self._start_response = start_response
        self._headers: Sequence[Header] | None = None
        self._status = ""
        self._activation: AbstractContextManager[Assignment] | None = None
        self.assignment: Assignment | None = None
        self.cause: str | None = None
        self.has_begun = False

    # What the adapter does

    def open(self, assignment: Assignment, headers: Sequence[Header] | None) -> None:
        """Report to *assignment* from now on.

        Args:
            assignment: What to end.
            headers: Added to the answer; None leaves its own untouched.
        """
        self.assignment = assignment
        self._headers = headers

    def enter(self) -> None:
        """Make the assignment the current one until the app returns.

        To be called in the app's thread and not from a coroutine below it, where the context is another one.
        """
        if self.assignment is not None and self._activation is None:
            self._activation = self.assignment.active()
            self._activation.__enter__()

    def run(self, app: WSGIApplication) -> Iterable[bytes]:
        """Call the app and return its body, wrapped; whatever it raises is raised again."""
        self.enter()
        try:
            body = app(self._environ, self.start_response)
        except BaseException as error:
            self.end(error)
            raise
        finally:
            if self._activation is not None:
                self._activation.__exit__(None, None, None)
        return self._wrap(body)

    def _wrap(self, body: Iterable[bytes]) -> Iterable[bytes]:
        if self.assignment is None:
            return body
        if self._is_file(body):
            # The server knows it by its type and may send it by the system. Nothing tells us when it has.
            self.begin()
            self.complete()
            return body
        return SizedBody(self, self.assignment, body) if isinstance(body, Sized) else Body(self, self.assignment, body)

    def _is_file(self, body: object) -> bool:
        wrapper = self._environ.get("wsgi.file_wrapper")
        return isinstance(wrapper, type) and isinstance(body, wrapper)

    # What the app does

    # The arguments have their names, against PEP 3333, for apps that rely on the servers' having them.
    def start_response(self, status: str, headers: list[Header], exc_info: Any = None) -> Callable[[bytes], object]:
        """Start the answer for the app; a second call, with *exc_info*, replaces what was not sent yet."""
        if self._headers is not None:
            headers = [*headers, *self._headers]
        if exc_info is None:
            write = self._start_response(status, headers)
        else:
            write = self._start_response(status, headers, exc_info)
        self._status = str(status)[:3]
        return write if self.assignment is None else partial(self._write, write)

    def _write(self, write: Callable[[bytes], object], data: bytes) -> None:
        if data:
            self.begin()
        try:
            write(data)
        except OSError:
            # The client left; the app is not to blame.
            if self.assignment is not None:
                self.assignment.cancel()
            raise

    # What the body tells

    def begin(self) -> None:
        """The first byte is there; the first call counts."""
        if not self.has_begun and self.assignment is not None:
            self.has_begun = True
            self.assignment.first_token()

    def complete(self) -> None:
        """The body has ended."""
        if self.assignment is None:
            return
        if not self._status:
            self.assignment.fail("incomplete answer")
        elif self._status >= "5":
            self.assignment.fail(self.cause or f"status {self._status}")
        else:
            self.assignment.succeed()

    def end(self, error: BaseException) -> None:
        """The app or its body raised."""
        if self.assignment is not None:
            self.assignment.end(error)

    def abandon(self) -> None:
        """The server wants no more of the body: the client left, unless the answer has none."""
        if self._is_bodiless():
            self.complete()
        elif self.assignment is not None:
            self.assignment.cancel()

    def _is_bodiless(self) -> bool:
        if not self._status:
            return False
        return self._environ.get("REQUEST_METHOD") == "HEAD" or self._status in _BODILESS or self._status < "2"

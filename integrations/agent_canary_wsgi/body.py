"""An answer's body: the answer ends where it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from agent_canary import Assignment

    from .answer import Answer


class Body:
    """Passes the app's body on, chunk by chunk.

    The assignment is the current one while the app makes a chunk, and not in between: the server's thread serves
    others later. A class, not a generator: one that was never begun would not hear of ``close``.

    Args:
        answer: Is told how the body ends.
        assignment: The current one for each step.
        body: The app's.
    """

    __slots__ = ("_answer", "_assignment", "_body", "_is_closed", "_iterator")

    def __init__(self, answer: Answer, assignment: Assignment, body: Iterable[bytes]) -> None:
        self._answer = answer
        self._assignment = assignment
        self._body = body
        self._iterator: Iterator[bytes] | None = None
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            with self._assignment.active():
                if self._iterator is None:
                    self._iterator = iter(self._body)
                chunk = next(self._iterator)
        except StopIteration:
            self._answer.complete()
            raise
        except BaseException as error:
            self._answer.end(error)
            raise
        if chunk and not self._answer.has_begun:
            self._answer.begin()
        return chunk

    def close(self) -> None:
        """Close the app's body, once; before its end this is the client's departure."""
        if self._is_closed:
            return
        self._is_closed = True
        self._answer.abandon()
        close = getattr(self._body, "close", None)
        if close is not None:
            with self._assignment.active():
                close()


class SizedBody(Body):
    """A body of known length, as lists are: servers make a Content-Length of a single chunk's."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(cast("Sized", self._body))

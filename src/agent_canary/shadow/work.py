"""One piece of work for a shadow executor."""

from __future__ import annotations

import inspect
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

from ..context import assignment_var, shadow_var
from .outcome import ShadowOutcome


class Work:
    """A call to make aside, and what to do with its answer. A subclass says the latter.

    The call, :meth:`judge` and :meth:`report` each run in a context of their own, a copy of *context* without the
    user's assignment: what one of them sets is seen by nobody else, and a call that never returns locks nobody out.

    Args:
        function: Called with *args* and *kwargs*.
        args: Positional arguments.
        kwargs: Keyword arguments.
        context: The context variables that the call sees.
        is_async: Whether *function* must be called on an event loop. Where it need not be and returns an awaitable all
            the same, that is awaited on one.

    Attributes:
        loop: The event loop that its submitter ran on, or None.
        awaitable: What the function returned, where that is still to be awaited.
        answer: What the function returned in the end.
        error: What it raised.
        began_at: When the call began, monotonic seconds.
        ended_at: When it ended or was given up.
        has_run: Whether the call has ended.
        outcome: What came of it; None at first, set once.
    """

    __slots__ = (
        "answer",
        "args",
        "awaitable",
        "began_at",
        "context",
        "ended_at",
        "error",
        "function",
        "has_run",
        "is_async",
        "kwargs",
        "loop",
        "outcome",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: Context,
        *,
        is_async: bool = False,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.context = context
        self.is_async = is_async
        self.loop: AbstractEventLoop | None = None
        self.awaitable: Any = None
        self.answer: Any = None
        self.error: BaseException | None = None
        self.began_at = self.ended_at = 0.0
        self.has_run = False
        self.outcome: ShadowOutcome | None = None

    # What a subclass says

    def judge(self) -> ShadowOutcome:
        """Say what came of a call that ended in time; in a worker's thread, as a shadow."""
        return ShadowOutcome.IGNORED if self.error is None else ShadowOutcome.ERROR

    def report(self) -> None:
        """Do what is to be done once the outcome is counted; in a worker's thread, not as a shadow."""

    # How it is done

    def run(self, monotonic: Callable[[], float]) -> None:
        """Make the call in this thread; never raises."""
        self.began_at = monotonic()
        self.shadow_context(None).run(self._call)
        self.ended_at = monotonic()
        self.has_run = self.awaitable is None

    async def run_async(self, monotonic: Callable[[], float]) -> None:
        """Make the call in this task, or await what it returned; never raises."""
        self.began_at = monotonic()
        awaitable, self.awaitable = self.awaitable, None
        try:
            self.answer = await (self.function(*self.args, **self.kwargs) if awaitable is None else awaitable)
        # SystemExit would end the user's event loop, and so would a shadow's own KeyboardInterrupt. Whether a
        # cancellation came from outside is for the task's owner to see.
        except BaseException as error:
            self.error = error
        self.ended_at = monotonic()
        self.has_run = True

    def judge_aside(self) -> ShadowOutcome:
        """Return what :meth:`judge` says."""
        return self.shadow_context(None).run(self.judge)

    def report_aside(self) -> None:
        """Do what :meth:`report` does."""
        self._own_context(None).run(self.report)

    def discard(self) -> None:
        """Let go of what will not be awaited, without Python's warning about it."""
        awaitable, self.awaitable = self.awaitable, None
        if inspect.iscoroutine(awaitable):
            awaitable.close()

    def shadow_context(self, loop: AbstractEventLoop | None) -> Context:
        """Return the context of a shadow on *loop*, or in a thread without one."""
        context = self._own_context(loop)
        # For the whole context, not by `shadow_scope`: a task that the garbage collector ends would leave the scope in
        # another context, which is an error.
        context.run(shadow_var.set, True)
        return context

    def _own_context(self, loop: AbstractEventLoop | None) -> Context:
        context = self.context.copy()
        context.run(assignment_var.set, None)
        # anyio says by a context variable which library's loop runs, which is not true in another thread.
        sniffio = None if loop is not None and loop is self.loop else sys.modules.get("sniffio")
        if sniffio is not None:
            context.run(sniffio.current_async_library_cvar.set, None)
        return context

    def _call(self) -> None:
        try:
            answer = self.function(*self.args, **self.kwargs)
        except BaseException as error:  # a thread that SystemExit ended would be one worker less
            self.error = error
            return
        if inspect.isawaitable(answer):
            self.awaitable = answer
        else:
            self.answer = answer


def is_async_function(function: Callable[..., Any]) -> bool:
    """Return whether calling *function* surely gives a coroutine: also through a partial, and by ``__call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)

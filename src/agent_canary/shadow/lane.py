"""The shadows of one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

from .admission import Admission, Turn
from .work import Work

_busy: set[Lane] = set()
"""An event loop holds its tasks weakly, and the user may let go of everything else that leads to them."""


class Owner(Protocol):
    """What a lane tells its executor, on the lane's loop."""

    def ended(self, work: Work) -> None:
        """Go on with a work whose call has ended."""
        ...

    def look(self) -> None:
        """Give up what is over its time."""
        ...


class TaskTurn(Turn):
    """A work in the hands of a task.

    Attributes:
        is_replaced: Whether another task may have its place, since it was cancelled.
    """

    __slots__ = ("_cancels", "_lane", "_task", "is_replaced")

    def __init__(self, work: Work, lane: Lane, task: asyncio.Task[None]) -> None:
        super().__init__(work)
        self._lane = lane
        self._task = task
        self._cancels = 0
        self.is_replaced = False

    @property
    def was_cancelled(self) -> bool:
        """Whether somebody else cancelled the task, and it ended for that reason: as a rule its loop ends."""
        ended_so = self._task.cancelled() or isinstance(self.work.error, asyncio.CancelledError)
        return ended_so and self._task.cancelling() > self._cancels

    def give_up(self) -> None:
        """Cancel the task, as soon as its loop can."""
        self._lane.call_soon(self.cancel)

    def cancel(self) -> None:
        """Cancel the task; on its loop."""
        if not self._task.done():
            self._cancels += 1
            self._task.cancel("the shadow call took too long, or the shadow was shut down")
            self._lane.replace(self)


class Lane:
    """At most *limit* tasks at work on one event loop, and the works that wait for them.

    Methods are called in the loop's thread, but for those that say otherwise.

    Args:
        loop: The event loop.
        limit: Most tasks at work. Tasks that were cancelled and do not end count apart, up to the same number.
        admission: Whose lock guards what waits.
        owner: Told what ends.
        leave: Called with this lane, and with the lock held, when nothing is left to do.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        admission: Admission,
        owner: Owner,
        leave: Callable[[Lane], object],
    ) -> None:
        self.loop = loop
        self._limit = limit
        self._admission = admission
        self._owner = owner
        self._on_leave = leave
        self._waiting: deque[Work] = deque()
        self._turns: dict[asyncio.Task[None], TaskTurn] = {}
        self._replaced = 0
        self._timer: asyncio.TimerHandle | None = None
        _busy.add(self)

    @property
    def overdue(self) -> int:
        """How many tasks were given up and have not ended. In any thread."""
        return sum(turn.is_lost for turn in list(self._turns.values()))

    def put(self, work: Work) -> None:
        """Let a work wait, until :meth:`start`. In any thread, with the lock held."""
        self._waiting.append(work)

    def start(self) -> None:
        """Begin the works that may begin."""
        with self._admission.lock:  # at any moment a work waits or is in the hands of a task, so that none is forgotten
            while self._waiting and len(self._turns) - self._replaced < self._limit:
                self._begin(self._waiting.popleft())
            if not self._waiting and not self._turns:
                self._leave()
        self._watch()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call *function* in the loop's thread. In any thread."""
        try:
            self.loop.call_soon_threadsafe(function, context=Context())
        except RuntimeError:  # the loop is closed
            self.abandon()

    def replace(self, turn: TaskTurn) -> None:
        """Let another task have the place of one that was cancelled, since it may refuse to end."""
        if self._replaced < self._limit and not turn.is_replaced:
            self._replaced += 1
            turn.is_replaced = True
            self.start()

    def drop(self) -> None:
        """Drop all works and cancel all tasks. In any thread."""
        turns = list(self._turns.values())
        self._drop_works()
        for turn in turns:
            turn.give_up()

    def abandon(self) -> None:
        """Drop all works of a loop that is closed. In any thread."""
        with self._admission.lock:
            self._drop_works()
            self._turns.clear()
            self._leave()

    def _begin(self, work: Work) -> None:
        context = work.shadow_context(self.loop)
        # Not by the loop's factory of tasks: an eager one would run the shadow here, before the user's answer.
        task = asyncio.Task(work.run_async(self._admission.monotonic), loop=self.loop, context=context)
        task.add_done_callback(self._done, context=Context())
        turn = self._turns[task] = TaskTurn(work, self, task)
        self._admission.begin(turn)

    def _done(self, task: asyncio.Task[None]) -> None:
        turn = self._turns.pop(task)
        self._replaced -= turn.is_replaced
        turn.work.discard()
        is_ours = self._admission.end(turn)
        if turn.was_cancelled:
            self._drop_waiting()  # what waits here would begin on a loop that is about to close
            if is_ours:
                self._admission.drop(turn.work)
        elif is_ours:
            self._owner.ended(turn.work)
        self.start()

    def _watch(self) -> None:
        if self._turns and self._timer is None and self._admission.timeout is not None:
            self._timer = self.loop.call_later(self._admission.seconds_to_look(), self._wake, context=Context())

    def _wake(self) -> None:
        self._timer = None
        self._owner.look()
        self._watch()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _busy.discard(self)
        self._on_leave(self)

    def _drop_works(self) -> None:
        with self._admission.lock:
            self._drop_waiting()
            for turn in list(self._turns.values()):
                if self._admission.end(turn):
                    self._admission.lose(turn)
                    self._admission.drop(turn.work)

    def _drop_waiting(self) -> None:
        with self._admission.lock:
            while self._waiting:
                self._admission.drop(self._waiting.popleft())

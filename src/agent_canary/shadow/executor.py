"""Runs shadows aside: bounded, never waited for, and never in the way of an interpreter that ends or forks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from math import inf
from typing import Any

from .. import processes
from ..clock import Clock
from ..failsafe import Failsafe
from .admission import Admission
from .loops import Loops
from .outcome import ShadowOutcome
from .threads import ThreadTurn, WorkerThread, WorkerThreads
from .work import Work


class ShadowExecutor:
    """Takes works, and refuses them when too many are under way.

    A plain function runs in a daemon thread; a coroutine as a task on the event loop of who submits it, else on one
    loop in a daemon thread. Threads begin with the first work and end with :meth:`shutdown`, with the executor's last
    reference, or with the interpreter, which never waits for them. A forked child begins anew, with nothing under way.

    A work that is over its time is given up: counted, reported, and its worker's place is given to another. A coroutine
    is cancelled as well. That a plain function is over its time is noticed at the next call of :meth:`submit`,
    :meth:`status` or :meth:`shutdown`, since nobody else could use its place earlier; it runs on, as Python cannot stop
    it. At most *max_workers* such leftovers are replaced at a time, so that there are never more than
    2 x *max_workers* threads.

    Args:
        max_workers: Most works at a time in threads, and most on each event loop.
        max_queue: Most works that wait.
        timeout: Seconds for each step of a work, or None.
        clock: Measures them.
        name: Begins the threads' names.
        failsafe: Counts what goes wrong.
    """

    def __init__(
        self, max_workers: int, max_queue: int, timeout: float | None, clock: Clock, name: str, failsafe: Failsafe
    ) -> None:
        title = f"agent_canary {name}"
        self._failsafe = failsafe
        self._admission = Admission(max_workers + max_queue, timeout, clock)
        self._threads = WorkerThreads(max_workers, title, self._admission, failsafe)
        self._loops = Loops(max_workers, title, self._admission, failsafe)
        processes.register(self)

    # Taking work

    def turns_away(self) -> bool:
        """Return whether one more work would be refused now, which counts as dropped."""
        admission = self._admission
        if admission.monotonic() > admission.look_at:
            self.look()
        if admission.in_flight < admission.full_at:
            return False
        admission.refuse()
        return True

    @property
    def has_room(self) -> bool:
        """Whether one more work would be taken now."""
        admission = self._admission
        if admission.monotonic() > admission.look_at:
            self.look()
        return admission.has_room

    def submit(self, work: Work) -> bool:
        """Take a work, unless too many are under way; that counts as dropped, and False is returned."""
        admission = self._admission
        if admission.monotonic() > admission.look_at:
            self.look()
        if not admission.admit():
            return False
        work.loop = _running_loop()
        if work.is_async:
            self._loops.put(work, self, is_here=work.loop is not None)
        else:
            self._threads.put(self.perform, work)
        return True

    def refuse(self) -> None:
        """Count a call that could not even be made a work as dropped."""
        self._admission.refuse()

    def look(self) -> None:
        """Give up what is over its time."""
        admission = self._admission
        with admission.lock:
            late = admission.late()
            for turn in late:
                turn.give_up()
            given_up = [turn.work for turn in late if admission.settle(turn.work, ShadowOutcome.TIMED_OUT)]
        for work in given_up:
            self._threads.put(self.perform, work)
        for _ in late[len(given_up) :]:  # their outcomes were settled, so it was the reports that hang
            admission.release()
            self._failsafe.note("on_result", "it took longer than the timeout")
        self._threads.refill()
        self._loops.sweep()

    # Doing it

    def perform(self, work: Work, worker: WorkerThread) -> bool:
        """Do what is next with a work, in a worker's thread; return whether the worker is to go on."""
        turn = ThreadTurn(work, worker)
        self._admission.begin(turn)
        if work.outcome is not None:  # it was given up, and what is left is to say so
            self._report(work)
            return self._threads.done(turn)
        if not work.has_run:
            work.run(self._admission.monotonic)
            if work.awaitable is not None:
                return self._hand_over(turn)
            turn.began_at = self._admission.monotonic()
        if self._admission.settle(work, self._outcome_of(work)):
            self._report(work)
        work.error = None  # its traceback holds the work
        return self._threads.done(turn)

    def ended(self, work: Work) -> None:
        """Go on with a work whose coroutine has ended, in a worker's thread."""
        self._threads.put(self.perform, work)

    def _hand_over(self, turn: ThreadTurn) -> bool:
        """Let what a plain function returned be awaited where it can be."""
        goes_on = self._threads.done(turn, is_over=False)
        if turn.is_lost:
            turn.work.discard()
        else:
            self._loops.put(turn.work, self, is_here=False)
        return goes_on

    def _outcome_of(self, work: Work) -> ShadowOutcome:
        if self._admission.is_over_time(work):
            return ShadowOutcome.TIMED_OUT
        try:
            return work.judge_aside()
        except BaseException as error:
            self._failsafe.note("comparator", error)
            return ShadowOutcome.COMPARATOR_ERROR

    def _report(self, work: Work) -> None:
        try:
            work.report_aside()
        except BaseException as error:
            self._failsafe.note("on_result", error)

    # Telling

    def status(self) -> dict[str, Any]:
        """Return how many works are under way, and how many ended as what, in this process."""
        self.look()
        with self._admission.lock:
            counts = {outcome.value: count for outcome, count in self._admission.counts.items()}
            counts[ShadowOutcome.DROPPED.value] += self._admission.refused
            pending = self._admission.open
        return {
            "submitted": pending + sum(counts.values()),
            "pending": pending,
            **counts,
            "overdue": self._threads.overdue + self._loops.overdue,
        }

    # Ending

    def shutdown(self, *, wait: bool = True, timeout: float | None = None) -> None:
        """Take nothing any more, and end the threads.

        Args:
            wait: Whether to let what was taken come to its end first. On an event loop's own thread the tasks of that
                loop are cancelled all the same, since they cannot go on meanwhile. In a worker's own thread nothing is
                waited for.
            timeout: Seconds to wait; what has not begun by then is dropped, and what runs is left alone or, when it is
                a coroutine, cancelled.
        """
        self._admission.close()
        here = _running_loop()
        if here is not None:
            self._loops.drop(here)
        is_empty = wait and not self._threads.is_own(threading.current_thread()) and self._drain(timeout)
        if not is_empty:
            self._threads.drop_waiting()
            self._loops.drop()
        self._threads.close(wait=is_empty)
        self._loops.close(wait=is_empty)

    async def ashutdown(self, *, wait: bool = True, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Same as :meth:`shutdown`, without blocking an asyncio loop, whose tasks go on meanwhile."""
        loop = _running_loop()
        if loop is None or not wait:
            self.shutdown(wait=wait, timeout=timeout)
            return
        is_down = asyncio.Event()

        def shut_down() -> None:
            self.shutdown(timeout=timeout)
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits for this any more
                loop.call_soon_threadsafe(is_down.set)

        thread = threading.Thread(target=shut_down, name="agent_canary shutdown", daemon=True)
        thread.start()
        await is_down.wait()
        thread.join()

    def forked(self) -> None:
        """Begin anew, in a forked child."""
        self._failsafe.forked()
        self._admission.forked()
        self._threads.forked()
        self._loops.forked()

    def _drain(self, timeout: float | None) -> bool:
        remaining = inf if timeout is None else timeout
        while True:
            self.look()
            pause = min(remaining, self._admission.seconds_to_look())
            if self._admission.wait_until_empty(pause):
                return True
            remaining -= pause
            if remaining <= 0.0:
                return False


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

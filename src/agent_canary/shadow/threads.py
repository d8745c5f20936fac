"""The threads in which shadows run that are no coroutines, and in which all shadows are compared and reported."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue

from ..failsafe import Failsafe
from .admission import Admission, Turn
from .work import Work

Perform = Callable[[Work, "WorkerThread"], bool]
Queue = SimpleQueue[tuple[Perform, Work] | None]


class WorkerThread:
    """One thread of a pool.

    Attributes:
        is_hung: Whether its turn takes too long.
        is_replaced: Whether another thread has its place, so that it ends with its turn.
    """

    __slots__ = ("_pool", "is_hung", "is_replaced", "thread")

    def __init__(self, pool: WorkerThreads, name: str) -> None:
        self._pool = weakref.ref(pool)
        self.is_hung = self.is_replaced = False
        self.thread = threading.Thread(target=_serve, args=(pool.ending, pool.queue, self), name=name, daemon=True)

    def replace(self) -> None:
        """Let another thread have this one's place. Called with the lock held."""
        pool = self._pool()
        if pool is not None:
            pool.replace(self)


class ThreadTurn(Turn):
    """A work in the hands of a thread."""

    __slots__ = ("worker",)

    def __init__(self, work: Work, worker: WorkerThread) -> None:
        super().__init__(work)
        self.worker = worker

    def give_up(self) -> None:
        """Let another thread have this one's place."""
        self.worker.replace()


class WorkerThreads:
    """At most *limit* threads that take works from one queue.

    They are daemons, begin as works come, and end when the pool does or when nobody holds it any more. A thread whose
    work does not end in time may be replaced, so that the pool goes on; but Python cannot stop the thread, so at most
    *limit* more exist at any time. Once all of those hang too, works wait until one of them comes back.

    Args:
        limit: Most threads at work.
        name: The threads' name.
        admission: Whose lock guards the counts.
        failsafe: Told when a thread cannot be started.

    Attributes:
        queue: What waits: each work, and what a thread calls with it, which returns whether that thread is to go on.
        ending: Ends the threads when nobody holds the pool.
    """

    def __init__(self, limit: int, name: str, admission: Admission, failsafe: Failsafe) -> None:
        self._limit = limit
        self._name = name
        self._admission = admission
        self._failsafe = failsafe
        self.is_closed = False
        self.forked()

    def forked(self) -> None:
        """Begin anew, in a forked child."""
        self.queue: Queue = SimpleQueue()
        queue = self.queue
        # Not `self` in the callback, which would keep the pool alive.
        self.ending = weakref.ref(self, lambda _: queue.put(None))
        self._workers: set[WorkerThread] = set()
        self._wanted = 0
        self._hung = self._replaced = 0

    @property
    def overdue(self) -> int:
        """How many threads hang in works that were given up."""
        return self._hung

    def put(self, perform: Perform, work: Work) -> None:
        """Let a thread take the work, as soon as one is free."""
        with self._admission.lock:
            if self.is_closed:
                self._admission.drop(work)
                return
            self._wanted += 1
            self.queue.put((perform, work))
            worker = self._hire()
        if worker is not None:
            self._start(worker)

    def done(self, turn: ThreadTurn, *, is_over: bool = True) -> bool:
        """End a thread's turn, and its work if that is over; return whether the thread is to go on."""
        with self._admission.lock:
            if self._admission.end(turn):
                self._wanted -= 1
                if is_over:
                    self._admission.release()
            worker = turn.worker
            self._hung -= worker.is_hung
            self._replaced -= worker.is_replaced
            worker.is_hung = False
            return not worker.is_replaced

    def replace(self, worker: WorkerThread) -> None:
        """Give up on a thread's turn. Called with the lock held."""
        self._wanted -= 1
        self._hung += 1
        worker.is_hung = True
        if self._replaced < self._limit:
            self._replaced += 1
            worker.is_replaced = True
            self._workers.discard(worker)

    def refill(self) -> None:
        """Start the threads that are wanted after some were given up."""
        while True:
            with self._admission.lock:
                worker = None if self.is_closed else self._hire()
            if worker is None or not self._start(worker):
                return

    def drop_waiting(self) -> None:
        """Drop the works that no thread has taken yet."""
        while True:
            try:
                item = self.queue.get_nowait()
            except Empty:
                return
            if item is not None:
                with self._admission.lock:
                    self._wanted -= 1
                    self._admission.drop(item[1])

    def close(self, *, wait: bool) -> None:
        """Let each thread end after its work.

        Args:
            wait: Whether to return only when they have, but for those that hang.
        """
        with self._admission.lock:
            self.is_closed = True
            threads = [worker.thread for worker in self._workers if not worker.is_hung]
        self.queue.put(None)
        if wait:
            for thread in threads:
                if thread.ident is not None:
                    thread.join()

    def is_own(self, thread: threading.Thread) -> bool:
        """Whether a thread is one of these."""
        with self._admission.lock:
            return any(worker.thread is thread for worker in self._workers)

    def _hire(self) -> WorkerThread | None:
        if self._wanted <= len(self._workers) or len(self._workers) >= self._limit:
            return None
        worker = WorkerThread(self, self._name)
        self._workers.add(worker)
        return worker

    def _start(self, worker: WorkerThread) -> bool:
        try:
            worker.thread.start()
        except RuntimeError as error:  # no memory for one, or the interpreter ends; the next work tries again
            self._failsafe.note("starting a thread", error)
            with self._admission.lock:
                self._workers.discard(worker)
            return False
        return True


def _serve(_ending: weakref.ref[WorkerThreads], queue: Queue, worker: WorkerThread) -> None:
    # `_ending` is held here, since a weak reference that nobody holds calls nobody back.
    while (item := queue.get()) is not None:
        perform, work = item
        goes_on = perform(work, worker)
        del item, perform, work  # an idle thread would keep the last call, and its executor, alive
        if not goes_on:
            return
    queue.put(None)

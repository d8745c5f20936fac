"""The event loops on which shadows run that are coroutines."""

from __future__ import annotations

import asyncio

from ..failsafe import Failsafe
from .admission import Admission
from .lane import Lane, Owner
from .own_loop import OwnLoop
from .work import Work


class Loops:
    """Runs coroutines as tasks: on the loop of who submits them, else on one in a thread of its own.

    On the submitter's since what stable and shadow share, such as a client's pool of connections, belongs to that loop:
    used on another one, it would fail the user's next call. The loop of its own begins with the first work that needs
    it, and is one for all works, for the same reason.

    Args:
        limit: Most tasks at work on one loop.
        name: The name of the own loop's thread.
        admission: Whose lock guards the lanes.
        failsafe: Told when the own loop cannot begin.
    """

    def __init__(self, limit: int, name: str, admission: Admission, failsafe: Failsafe) -> None:
        self._limit = limit
        self._name = name
        self._admission = admission
        self._failsafe = failsafe
        self._lanes: dict[asyncio.AbstractEventLoop, Lane] = {}
        self._own: OwnLoop | None = None
        self._is_closed = False

    def forked(self) -> None:
        """Begin anew, in a forked child."""
        self._lanes = {}
        self._own = None

    @property
    def overdue(self) -> int:
        """How many tasks were cancelled and have not ended."""
        return sum(lane.overdue for lane in self._all())

    def put(self, work: Work, owner: Owner, *, is_here: bool) -> None:
        """Let a task make the call, as soon as one is free.

        Args:
            work: What to run.
            owner: Told what ends.
            is_here: Whether this thread runs the work's loop.
        """
        with self._admission.lock:
            loop = None if self._is_closed else work.loop or self._own_loop()
            if loop is None:
                self._admission.drop(work)
                return
            lane = self._lanes.get(loop)
            if lane is None:
                lane = self._lanes[loop] = Lane(loop, self._limit, self._admission, owner, self._forget)
            lane.put(work)
        if is_here:
            lane.start()
        else:
            lane.call_soon(lane.start)

    def sweep(self) -> None:
        """Drop the works of loops that were closed under them."""
        for lane in self._all():
            if lane.loop.is_closed():
                lane.abandon()

    def drop(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Drop all works, or those of one loop."""
        for lane in self._all():
            if loop is None or lane.loop is loop:
                lane.drop()

    def close(self, *, wait: bool) -> None:
        """Drop what is left and what comes, and end the own loop.

        Args:
            wait: Whether to return only when that has ended, or after a second if a task refuses to end.
        """
        with self._admission.lock:
            self._is_closed = True
            own, self._own = self._own, None
        self.drop()
        if own is not None:
            own.stop(wait=wait)

    def _all(self) -> list[Lane]:
        with self._admission.lock:
            return list(self._lanes.values())

    def _forget(self, lane: Lane) -> None:
        if self._lanes.get(lane.loop) is lane:
            del self._lanes[lane.loop]

    def _own_loop(self) -> asyncio.AbstractEventLoop | None:
        if self._own is None:
            try:
                self._own = OwnLoop(self._name)
            except (OSError, RuntimeError) as error:
                self._failsafe.note("starting an event loop", error)
                return None
            self._own.stop_with(self)
        return self._own.loop

"""How many works are under way, which of them are over their time, and what came of all of them."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod

from ..clock import Clock
from .outcome import ShadowOutcome
from .work import Work

_SOONEST_LOOK_SECONDS = 0.001


class Turn(ABC):
    """One work in the hands of one worker: a thread or a task.

    Attributes:
        work: The work.
        began_at: When the present step of it began, monotonic seconds.
        is_lost: Whether nobody waits for its end any more.
    """

    __slots__ = ("began_at", "is_lost", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.began_at = 0.0
        self.is_lost = False

    @abstractmethod
    def give_up(self) -> None:
        """Let another worker have the place of this one, whose turn was just lost. Called with the lock held."""


class Admission:
    """The one lock of an executor, and all that it guards.

    Args:
        capacity: How many works may be under way: waiting, running, or being compared and reported.
        timeout: Seconds that each step of a work may take; None for no limit.
        clock: Measures them.

    Attributes:
        counts: How many works ended as what.
        refused: How many calls were not even admitted.
        full_at: How many works may be under way; 0 when nothing is admitted any more.
        in_flight: How many works are under way.
        open: How many of them have no outcome yet; the others are being reported.
        turns: The works in the hands of workers, without lost ones.
        look_at: Monotonic seconds until which no turn can be over its time.
    """

    def __init__(self, capacity: int, timeout: float | None, clock: Clock) -> None:
        self.monotonic = clock.monotonic
        self.timeout = timeout
        self.full_at = capacity
        self.forked()

    def forked(self) -> None:
        """Begin anew, in a forked child."""
        # Reentrant, so that a signal handler may shut the executor down wherever it interrupts this thread.
        self.lock = threading.RLock()
        self._emptied = threading.Condition(self.lock)
        self.counts = dict.fromkeys(ShadowOutcome, 0)
        self.refused = 0
        self.in_flight = 0
        self.open = 0
        self.turns: set[Turn] = set()
        self.look_at = math.inf if self.timeout is None else self.monotonic() + self.timeout

    # Coming and going

    @property
    def has_room(self) -> bool:
        """Whether one more work would be admitted now."""
        return self.in_flight < self.full_at

    def close(self) -> None:
        """Admit nothing any more."""
        with self.lock:
            self.full_at = 0

    def admit(self) -> bool:
        """Count one more work as under way; False when it was one too many, which is counted as refused."""
        with self.lock:
            if self.in_flight >= self.full_at:
                self.refused += 1
                return False
            self.in_flight += 1
            self.open += 1
            return True

    def settle(self, work: Work, outcome: ShadowOutcome) -> bool:
        """Let *outcome* be what came of the work, and count it; False when that was settled before."""
        with self.lock:
            if work.outcome is not None:
                return False
            work.outcome = outcome
            self.open -= 1
            self.counts[outcome] += 1
            return True

    def release(self) -> None:
        """Count one work less as under way."""
        with self.lock:
            self.in_flight -= 1
            if not self.in_flight:
                self._emptied.notify_all()

    def drop(self, work: Work) -> None:
        """Let a work go that will not come to its end."""
        work.discard()
        self.settle(work, ShadowOutcome.DROPPED)
        self.release()

    def refuse(self) -> None:
        """Count a call that was not even offered as refused."""
        with self.lock:
            self.refused += 1

    # Turns

    def begin(self, turn: Turn) -> None:
        """Give a work into the hands of a worker."""
        turn.began_at = self.monotonic()
        with self.lock:
            self.turns.add(turn)

    def end(self, turn: Turn) -> bool:
        """Take a work from its worker; False when it was taken before, because the turn is lost."""
        with self.lock:
            if turn not in self.turns:
                return False
            self.turns.remove(turn)
            return True

    def lose(self, turn: Turn) -> None:
        """Take a work from a worker that does not come to an end with it."""
        with self.lock:
            self.turns.discard(turn)
            turn.is_lost = True

    def is_over_time(self, work: Work) -> bool:
        """Whether a call that ended took too long."""
        return self.timeout is not None and work.ended_at - work.began_at > self.timeout

    def seconds_to_look(self) -> float:
        """How long no turn can be over its time; infinite without a timeout."""
        return max(self.look_at - self.monotonic(), _SOONEST_LOOK_SECONDS)

    def late(self) -> list[Turn]:
        """Return the turns that are over their time, now lost. Called with the lock held."""
        if self.timeout is None:
            return []
        now = self.monotonic()
        late = [turn for turn in self.turns if now - turn.began_at > self.timeout]
        for turn in late:
            if not turn.work.has_run:
                turn.work.ended_at = now
            self.lose(turn)
        self.look_at = min((turn.began_at for turn in self.turns), default=now) + self.timeout
        return late

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until nothing is under way; False when that took longer than *seconds*, which may be infinite."""
        with self.lock:
            if self.in_flight:
                self._emptied.wait(min(seconds, threading.TIMEOUT_MAX))
            return not self.in_flight

"""The events of one rollout in their order, the state they fold to, and those who want to be told."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable

from .event import Event
from .fold import advance
from .state import RolloutState, seen_by

_logger = logging.getLogger("agent_canary")

Append = Callable[[Event], None]
Subscriber = Callable[[Event, RolloutState], None]


class Journal:
    """A history that only grows.

    Writers hold :attr:`lock`; readers need none, since every state is immutable and replaced in one step.

    Args:
        versions: Stable and canary version of the workers that look at it.
        append: Puts an event where all workers read it, before it counts here; what it raises is raised by
            :meth:`append`, and then nothing has changed.
        subscribers: Called after each event with it and the state after it.

    Attributes:
        lock: Serialises the moves; reentrant.
        newest: The fold of the whole history, whichever versions its newest run is for.
        state: The same as the workers of *versions* must see it.
    """

    def __init__(
        self, versions: tuple[str, str], append: Append | None = None, subscribers: Iterable[Subscriber] = ()
    ) -> None:
        self.versions = versions
        self.newest = RolloutState()
        self.state = RolloutState()
        self._append = append
        self._events: tuple[Event, ...] = ()
        self._subscribers = list(subscribers)
        self._undelivered: deque[tuple[Event, RolloutState]] = deque()
        self.renew_lock()

    @property
    def events(self) -> tuple[Event, ...]:
        """The whole history."""
        return self._events

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """Those who are told of each event."""
        return tuple(self._subscribers)

    def renew_lock(self) -> None:
        """Make the lock anew: in a forked child the thread that held it does not exist."""
        self.lock = threading.RLock()
        self._delivering = False

    def append(self, event: Event) -> None:
        """Append an event of our own: first where all workers read it, then here."""
        with self.lock:
            if self._append is not None:
                self._append(event)
            self.follow((event,))

    def follow(self, events: Iterable[Event]) -> None:
        """Fold events in their order; those of a revision that was seen are ignored.

        Raises:
            RevisionConflictError: A revision is missing in between. The events before it are folded.
            ValueError: A ``started`` event cannot be read. The events before it are folded.
        """
        with self.lock:
            for event in events:
                if event.revision > self.newest.revision:
                    self._fold(event)
                    self._deliver()

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call *callback* after each event from now on; return a function that ends it."""
        with self.lock:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self.lock:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def _fold(self, event: Event) -> None:
        newest = advance(self.newest, event)
        state = seen_by(self.versions, newest, self.state)
        self._events = (*self._events, event)
        self.newest, self.state = newest, state
        self._undelivered.append((event, state))

    def _deliver(self) -> None:
        # A callback may move the rollout; what follows from it is delivered after it, so everyone sees one order.
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._undelivered:
                event, state = self._undelivered.popleft()
                for callback in self.subscribers:
                    _call(callback, event, state)
        finally:
            self._delivering = False


def _call(callback: Subscriber, event: Event, state: RolloutState) -> None:
    try:
        callback(event, state)
    except Exception:
        # The event has happened, whatever a listener makes of it.
        _logger.exception("a subscriber of the rollout failed on revision %d (%s)", event.revision, event.kind.value)

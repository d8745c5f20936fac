"""Our failures, and those of the user's hooks, never reach the user's request: they are counted and logged."""

from __future__ import annotations

import inspect
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

T = TypeVar("T")
D = TypeVar("D")

logger = logging.getLogger("agent_canary")


class Failsafe:
    """Counts what went wrong, by place, and logs the first error of each place.

    Args:
        name: The rollout's name, said in each log line.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, int]:
        """How many errors each place has had since the process began."""
        with self._lock:
            return dict(self._counts)

    def note(self, where: str, error: BaseException | str) -> None:
        """Count what went wrong under *where*; the first one there is logged, an exception with its traceback."""
        with self._lock:
            self._counts[where] += 1
            first = self._counts[where] == 1
        if not first:
            return
        if isinstance(error, BaseException):
            logger.error(
                "agent_canary rollout %r: %s failed: %r; the request goes on. Further errors here are only counted "
                '(status()["errors"]).',
                self._name,
                where,
                error,
                exc_info=error,
            )
        else:
            logger.warning(
                'agent_canary rollout %r: %s: %s. More of these are only counted (status()["errors"]).',
                self._name,
                where,
                error,
            )

    def call(self, where: str, function: Callable[..., T], *args: object, default: D | None = None) -> T | D | None:
        """Return ``function(*args)``, or *default* when it raises an ``Exception``, which is noted under *where*."""
        try:
            return function(*args)
        except Exception as error:
            self.note(where, error)
            return default

    async def acall(
        self, where: str, function: Callable[..., T | Awaitable[T]], *args: object, default: D | None = None
    ) -> T | D | None:
        """Same as :meth:`call`; the result is awaited when it can be."""
        try:
            result = function(*args)
            if inspect.isawaitable(result):
                return await cast("Awaitable[T]", result)
            return result
        except Exception as error:
            self.note(where, error)
            return default

    def forked(self) -> None:
        """Make the lock anew, in a forked child: the thread that held it does not exist there."""
        self._lock = threading.Lock()

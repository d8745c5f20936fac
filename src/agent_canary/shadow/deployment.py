"""ShadowDeployment: stable answers, and the new version answers a copy of the call aside."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ..clock import Clock, as_clock
from ..errors import require_count, require_fraction, require_positive, seconds
from ..failsafe import Failsafe
from .copying import Copier
from .executor import ShadowExecutor
from .mirror import Mirror
from .mirrored import Comparator, Comparison, ResultHook
from .work import is_async_function

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ShadowDeployment(Generic[P, T_co]):
    """Try a new version on real calls, unseen: stable answers, the shadow answers a copy of the call aside.

    ``ShadowDeployment(stable_agent, new_agent)`` takes the place of ``stable_agent``: :meth:`call` it, or await
    :meth:`acall`. The user's answer never waits for the shadow, never fails with it and is never changed by it.

    **What the shadow gets.** A deep copy of the arguments, made before stable is called, and the context variables of
    that moment. In it, :func:`~agent_canary.is_shadow` is true and there is no
    :func:`~agent_canary.current_assignment`. When an argument refuses to be copied (a client, a lock, an open file),
    the shadow is not called, since it could change what the user gets: this counts as dropped, and the first time is
    logged. Bind such objects into the functions, or say with *copy* what may be shared. What the two functions reach by
    themselves (``self``, closures, modules) is shared. Inside of a shadow
    nothing is mirrored again, and nothing is at all with ``AGENT_CANARY_DISABLED=1``.

    **Where it runs.** A plain function runs in one of *max_workers* daemon threads. A coroutine runs as a task on the
    asyncio loop of the caller, so that connections which stable and shadow share stay on their loop; it must not block
    that loop. Callers without an asyncio loop (threads, trio) get one loop in a daemon thread for all their coroutines;
    for a shadow that needs trio, give a plain function that calls ``trio.run``. Threads begin with the first call.

    **What is compared.** Two answers by the comparator. If stable raises an ``Exception``, the shadow is called as
    well: the same type of exception is a match, an answer a mismatch. After any other ``BaseException`` (a
    cancellation) it is not called. If stable's answer is an iterator or an awaitable it is not called either, since
    comparing would take the answer from the user; that counts as dropped. An answer that cannot be copied is given to
    the comparator as it is.

    **What bounds it.** *max_workers*, *max_queue* and *timeout*. A coroutine over its time is cancelled. A plain
    function cannot be: it is counted as timed out and runs on, and another thread takes its place, for at most
    *max_workers* such functions at a time. This is noticed at the next call, or :meth:`status`.

    Args:
        stable_fn: What users have today, plain or async.
        shadow_fn: What is to replace it, plain or async, called with the same arguments.
        comparator: Called with stable's and the shadow's answer, in a worker thread, as a shadow; returns whether they
            match, or None for no verdict. None: they match when they are equal.
        max_workers: Most shadow calls at a time, at least 1: in threads, and on each event loop.
        max_queue: Most shadow calls that wait, at least 0. What is more is dropped and counted.
        timeout: Seconds (or a timedelta) that a shadow call may take, and its comparison. None for no limit: calls that
            hang then keep their places for ever.
        sample_rate: The share of calls that are mirrored, in [0, 1]. May be changed at any time.
        copy: Called with each argument and each answer instead of :func:`copy.deepcopy`; returns what the shadow gets.
        on_result: Called with the :class:`~agent_canary.ShadowResult` of each shadow call that was not dropped, outside
            of the shadow, in worker threads, so in several at once. What it raises is counted, and logged once.
        clock: Measures timeouts and latencies: a callable that returns seconds, or a :class:`~agent_canary.Clock`.
        name: Names it in logs, and its threads.

    Raises:
        ValueError: A value is out of its range, or of another type.
    """

    def __init__(
        self,
        stable_fn: Callable[P, T_co],
        shadow_fn: Callable[..., Any],
        comparator: Comparator | None = None,
        max_workers: int = 4,
        *,
        max_queue: int = 100,
        timeout: float | timedelta | None = 60.0,
        sample_rate: float = 1.0,
        copy: Callable[[Any], Any] | None = None,
        on_result: ResultHook | None = None,
        clock: Clock | Callable[[], float] | None = None,
        name: str = "shadow",
    ) -> None:
        _check_callable("stable_fn", stable_fn)
        _check_callable("shadow_fn", shadow_fn)
        _check_plain("comparator", comparator)
        _check_plain("copy", copy)
        _check_plain("on_result", on_result)
        workers = require_count("max_workers", max_workers, at_least=1)
        queue = require_count("max_queue", max_queue)
        limit = None if timeout is None else require_positive("timeout", seconds("timeout", timeout))
        share = require_fraction("sample_rate", sample_rate)
        time = as_clock(clock)
        self._stable_fn = stable_fn
        self._failsafe = Failsafe(name)
        self._executor = ShadowExecutor(workers, queue, limit, time, name, self._failsafe)
        comparison = Comparison(comparator, on_result, self._failsafe)
        self._mirror = Mirror(shadow_fn, comparison, Copier(copy), self._executor, time, self._failsafe, share)

    def __repr__(self) -> str:
        return f"<ShadowDeployment {self._mirror.function!r} beside {self._stable_fn!r}>"

    @property
    def sample_rate(self) -> float:
        """The share of calls that are mirrored, in [0, 1]; chosen by a coin for each call.

        Raises:
            ValueError: It is set to something else.
        """
        return self._mirror.sample_rate

    @sample_rate.setter
    def sample_rate(self, value: float) -> None:
        self._mirror.sample_rate = require_fraction("sample_rate", value)

    # The way of one call

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Return stable's answer to the arguments, and let the shadow answer them too, aside.

        An awaitable that stable returns is passed on and not mirrored: use :meth:`acall`.

        Raises:
            BaseException: Whatever stable raises, unchanged.
        """
        mirrored = self._mirror.copied(args, kwargs)
        if mirrored is None:
            return self._stable_fn(*args, **kwargs)
        try:
            answer = self._stable_fn(*args, **kwargs)
        except Exception as error:
            self._mirror.raised(mirrored, error)
            del mirrored  # else the error would hold this frame, which holds the call, which holds the error
            raise
        self._mirror.answered(mirrored, answer)
        return answer

    @overload
    async def acall(self: ShadowDeployment[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def acall(self, /, *args: P.args, **kwargs: P.kwargs) -> T_co: ...

    async def acall(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Same as :meth:`call`; what stable returns is awaited when it can be. On any event loop."""
        mirrored = self._mirror.copied(args, kwargs)
        try:
            answer: Any = self._stable_fn(*args, **kwargs)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as error:
            self._mirror.raised(mirrored, error)
            del mirrored
            raise
        self._mirror.answered(mirrored, answer)
        return answer

    # What came of it

    def status(self) -> dict[str, Any]:
        """Return the counts of this process, serialisable as JSON.

        Each call that was chosen by the sample rate is in exactly one of ``pending``, ``match``, ``mismatch``,
        ``ignored``, ``error``, ``comparator_error``, ``timed_out`` and ``dropped``; ``submitted`` is their sum.
        ``match_rate`` is the share of matches among matches and mismatches, None without any. ``overdue`` is how many
        calls were given up and still run. ``errors`` counts by place what went wrong; the first of each place is
        logged.
        """
        status = self._executor.status()
        matches, compared = status["match"], status["match"] + status["mismatch"]
        return {
            **status,
            "match_rate": matches / compared if compared else None,
            "sample_rate": self.sample_rate,
            "errors": self._failsafe.counts,
        }

    # Its end

    def shutdown(self, wait: bool = True, *, timeout: float | timedelta | None = None) -> None:
        """End the shadows. Later calls are answered by stable, and count as dropped.

        Args:
            wait: Whether to let the shadow calls that were taken come to their end; else those that wait are dropped
                and coroutines are cancelled. On an event loop's thread the coroutines of that loop are always
                cancelled, since they could not go on meanwhile: use :meth:`ashutdown` there.
            timeout: Seconds (or a timedelta) to wait at most, then as with ``wait=False``. None for no limit; calls
                that are over their own time are not waited for.

        Raises:
            ValueError: *timeout* is negative, infinite or NaN.
        """
        self._executor.shutdown(wait=wait, timeout=_limit(timeout))

    async def ashutdown(
        self,
        wait: bool = True,
        *,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109
    ) -> None:
        """Same as :meth:`shutdown`, without blocking an asyncio loop. On other loops it does block.

        Raises:
            ValueError: *timeout* is negative, infinite or NaN.
        """
        await self._executor.ashutdown(wait=wait, timeout=_limit(timeout))

    def __enter__(self) -> ShadowDeployment[P, T_co]:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> ShadowDeployment[P, T_co]:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.ashutdown()


def _limit(timeout: float | timedelta | None) -> float | None:
    return None if timeout is None else seconds("timeout", timeout)


def _check_callable(name: str, value: object) -> None:
    if not callable(value):
        raise ValueError(f"{name} must be a function, plain or async, got {value!r}")


def _check_plain(name: str, value: object) -> None:
    if value is not None and (not callable(value) or is_async_function(value)):
        raise ValueError(f"{name} must be a plain function or None, got {value!r}")

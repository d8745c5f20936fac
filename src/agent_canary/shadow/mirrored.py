"""A user's call, copied for the shadow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

from ..failsafe import Failsafe
from .outcome import ShadowOutcome, ShadowResult
from .work import Work

Comparator = Callable[[Any, Any], object]
ResultHook = Callable[[ShadowResult], object]


class Comparison:
    """What is to be done with two answers.

    Args:
        comparator: Called with stable's and the shadow's answer; None to ask whether they are equal.
        on_result: Called with what came of it, or None.
        failsafe: Counts the shadow's errors, and logs the first.
    """

    __slots__ = ("comparator", "failsafe", "on_result")

    def __init__(self, comparator: Comparator | None, on_result: ResultHook | None, failsafe: Failsafe) -> None:
        self.comparator = comparator
        self.on_result = on_result
        self.failsafe = failsafe


class MirroredCall(Work):
    """One call of the shadow, beside what stable did with the same arguments.

    Args:
        comparison: What is done with the answers.
        function: The shadow.
        args: The shadow's own positional arguments.
        kwargs: The shadow's own keyword arguments.
        context: The context variables as they were before stable was called.
        is_async: Whether the shadow is a coroutine function.
        started_at: When stable was called, monotonic seconds.

    Attributes:
        stable_value: What stable answered.
        stable_error: What it raised, or None.
        stable_latency_ms: How long it took, in milliseconds.
    """

    __slots__ = ("_comparison", "stable_error", "stable_latency_ms", "stable_value", "started_at")

    def __init__(
        self,
        comparison: Comparison,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        context: Context,
        *,
        is_async: bool,
        started_at: float,
    ) -> None:
        super().__init__(function, args, kwargs, context, is_async=is_async)
        self._comparison = comparison
        self.started_at = started_at
        self.stable_value: Any = None
        self.stable_error: Exception | None = None
        self.stable_latency_ms = 0.0

    def judge(self) -> ShadowOutcome:
        """Compare with stable: two exceptions by their type, two answers by the comparator."""
        if self.error is not None:
            if type(self.error) is type(self.stable_error):
                return ShadowOutcome.MATCH
            self._comparison.failsafe.note("shadow_fn", self.error)
            return ShadowOutcome.ERROR
        if self.stable_error is not None:
            return ShadowOutcome.MISMATCH
        if self._comparison.comparator is None:
            verdict: object = self.stable_value == self.answer
        else:
            verdict = self._comparison.comparator(self.stable_value, self.answer)
        if verdict is None:
            return ShadowOutcome.IGNORED
        return ShadowOutcome.MATCH if verdict else ShadowOutcome.MISMATCH

    def report(self) -> None:
        """Tell the user's hook."""
        if self._comparison.on_result is not None:
            self._comparison.on_result(self._result(self.outcome or ShadowOutcome.IGNORED))

    def _result(self, outcome: ShadowOutcome) -> ShadowResult:
        in_time = outcome is not ShadowOutcome.TIMED_OUT
        return ShadowResult(
            outcome=outcome,
            args=self.args,
            kwargs=self.kwargs,
            stable_value=self.stable_value,
            stable_error=self.stable_error,
            stable_latency_ms=self.stable_latency_ms,
            shadow_value=self.answer if in_time else None,
            shadow_error=self.error if in_time else None,
            shadow_latency_ms=max(0.0, self.ended_at - self.began_at) * 1000.0,
        )

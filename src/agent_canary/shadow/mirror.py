"""What happens beside each call of a user."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any

from .. import switches
from ..clock import Clock
from ..context import shadow_var
from ..failsafe import Failsafe
from .copying import Copier, is_stream
from .executor import ShadowExecutor
from .mirrored import Comparison, MirroredCall
from .work import is_async_function


class Mirror:
    """Makes the shadow's call before stable is called, and lets it run after. No method raises an ``Exception``.

    Args:
        function: The shadow.
        comparison: What is done with its answers.
        copier: Gives it arguments of its own.
        executor: Runs it.
        clock: Measures how long stable takes.
        failsafe: Counts what goes wrong.
        sample_rate: The share of calls that are mirrored, in [0, 1].

    Attributes:
        function: The shadow.
        sample_rate: The share of calls that are mirrored; may be set at any time.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        comparison: Comparison,
        copier: Copier,
        executor: ShadowExecutor,
        clock: Clock,
        failsafe: Failsafe,
        sample_rate: float,
    ) -> None:
        self.function = function
        self.sample_rate = sample_rate
        self._is_async = is_async_function(function)
        self._comparison = comparison
        self._copier = copier
        self._executor = executor
        self._monotonic = clock.monotonic
        self._failsafe = failsafe
        self.switched()
        switches.listen(self)

    def switched(self) -> None:
        """Mirror nothing while everything is switched off."""
        self._is_off = switches.is_disabled()

    def copied(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> MirroredCall | None:
        """Return the shadow's call, or None when there is to be none."""
        try:
            if self._is_off or shadow_var.get() or (self.sample_rate < 1.0 and random.random() >= self.sample_rate):
                return None
            if self._executor.turns_away():
                return None
            return self._call(*self._copier.arguments(args, kwargs))
        except Exception as error:
            self._failsafe.note("copying the arguments", error)
        self._executor.refuse()
        return None

    def answered(self, call: MirroredCall | None, answer: Any) -> None:
        """Let the shadow answer too."""
        if call is None:
            return
        try:
            self._stop_watch(call)
            if is_stream(answer):
                cause = f"stable answered with {type(answer).__name__}, which cannot be compared"
                self._failsafe.note("comparing", cause)
            elif self._executor.has_room:
                call.stable_value = self._own(answer)
                self._executor.submit(call)
                return
        except Exception as error:
            self._failsafe.note("mirroring", error)
        self._executor.refuse()

    def raised(self, call: MirroredCall | None, error: Exception) -> None:
        """Let the shadow answer what stable could not."""
        if call is None:
            return
        try:
            self._stop_watch(call)
            call.stable_error = error
            self._executor.submit(call)
        except Exception as failure:
            self._failsafe.note("mirroring", failure)
            self._executor.refuse()

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> MirroredCall:
        return MirroredCall(
            self._comparison,
            self.function,
            args,
            kwargs,
            copy_context(),
            is_async=self._is_async,
            started_at=self._monotonic(),
        )

    def _stop_watch(self, call: MirroredCall) -> None:
        call.stable_latency_ms = (self._monotonic() - call.started_at) * 1000.0

    def _own(self, answer: Any) -> Any:
        try:
            return self._copier.value(answer)
        except Exception as error:
            self._failsafe.note("copying the answer", error)
            return answer

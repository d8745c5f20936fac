"""How a request ended, by what left its code."""

from __future__ import annotations

import concurrent.futures
from typing import cast

from .metrics.outcome import Outcome

_cancellations: tuple[type[BaseException], ...] = (concurrent.futures.CancelledError,)


def treat_as_cancellation(*exception_types: type[BaseException]) -> None:
    """Let these exceptions end an assignment as cancelled: a framework's way to say that the client left."""
    global _cancellations
    _cancellations = tuple(dict.fromkeys((*_cancellations, *exception_types)))


def outcome_of(error: BaseException | None) -> Outcome:
    """Tell how a request ended that *error* left.

    None is a success. An ``Exception`` is a failure; any other ``BaseException`` (cancellation of asyncio or trio,
    ``GeneratorExit``, ``KeyboardInterrupt``), ``concurrent.futures.CancelledError`` and whatever
    :func:`treat_as_cancellation` names are cancellations. A group fails if any exception in it does.
    """
    if error is None:
        return Outcome.SUCCEEDED
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        outcomes = {outcome_of(inner) for inner in group.exceptions}
        return Outcome.FAILED if Outcome.FAILED in outcomes else Outcome.CANCELLED
    if isinstance(error, _cancellations) or not isinstance(error, Exception):
        return Outcome.CANCELLED
    return Outcome.FAILED

"""What an ended span tells: tokens, scores, and how its request went."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from typing import NamedTuple, cast

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from agent_canary import Outcome

from . import attributes as names

Attributes = Mapping[str, object]


class Tokens(NamedTuple):
    """Tokens of one span and of all below it."""

    input: int
    output: int


def tokens_in(attributes: Attributes) -> Tokens:
    """Return the tokens that a span reports; what is no positive number is no report."""
    return Tokens(_count(attributes, names.INPUT_TOKENS), _count(attributes, names.OUTPUT_TOKENS))


def scores_in(span: ReadableSpan, attributes: Attributes) -> Iterator[tuple[str, float]]:
    """Yield name and value of each evaluation on a span: of its events first, then its own.

    Both are as they were found; who books them refuses what is no name or no number.
    """
    evaluations = [event.attributes or {} for event in span.events if event.name == names.EVALUATION_EVENT]
    for said in (*evaluations, attributes):
        value = said.get(names.EVALUATION_SCORE)
        if value is not None:
            yield cast("str", said.get(names.EVALUATION_NAME)), cast("float", value)


def outcome_of(span: ReadableSpan) -> Outcome:
    """Tell how the request of a span that ends just now went: by its status, unless it is being cancelled.

    A span has no status for a cancellation: it looks as one that succeeded, or failed. So this looks at the exception
    that is on its way out while the span ends.
    """
    error = sys.exception()
    if isinstance(error, CancelledError):
        return Outcome.CANCELLED
    if error is not None and not isinstance(error, Exception):
        return Outcome.FAILED if _has_failure(error) else Outcome.CANCELLED
    return Outcome.FAILED if span.status.status_code is StatusCode.ERROR else Outcome.SUCCEEDED


def latency_ms(span: ReadableSpan) -> float:
    """Return the milliseconds from a span's start to its end; 0.0 when the wall clock was set back meanwhile."""
    return max(0.0, ((span.end_time or 0) - (span.start_time or 0)) / 1e6)


def _has_failure(error: BaseException) -> bool:
    """Whether *error* is a group in which not all are cancellations."""
    if not isinstance(error, BaseExceptionGroup):
        return False
    return cast("BaseExceptionGroup[BaseException]", error).subgroup(Exception) is not None


def _count(attributes: Attributes, either: tuple[str, ...]) -> int:
    for name in either:
        value = attributes.get(name)
        if isinstance(value, (int, float)) and 0 < value < float("inf"):
            return int(value)
    return 0

"""The spans of this process that have begun and not ended, as a tree."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanContext

from .reading import Tokens

if TYPE_CHECKING:
    from agent_canary import Assignment
    from agent_canary.adapting import StickyKey

    from .tags import Tags

MAX_OPEN_SPANS = 10_000
"""Most spans that are remembered. Spans that never end fill the memory up to here, and no further."""


class OpenSpan:
    """A span that has begun.

    Attributes:
        span: The span itself, as long as its app holds it: one that is dropped without an end must not stay.
        above: The span that it began in, of this process; None once it has ended, so that no chain grows.
        assignment: The request that it belongs to.
        tags: What spans that begin in it are told.
        version: The version that it named, for the spans that outlive it.
        sticky_key: Who asks, when the app has said so; it never becomes an attribute.
        is_shadow: Whether it is a shadow call's.
        is_around_assignment: Whether an assignment began below it: that one is the request.
        tokens_below: What the spans below it have reported by now.
    """

    __slots__ = (
        "above",
        "assignment",
        "is_around_assignment",
        "is_shadow",
        "span",
        "sticky_key",
        "tags",
        "tokens_below",
        "version",
    )

    def __init__(self, span: Span, above: OpenSpan | None) -> None:
        self.span = weakref.ref(span)
        self.above = above
        self.assignment: Assignment | None = None
        self.tags: Tags | None = None
        self.version: object = None
        self.sticky_key: StickyKey | None = None
        self.is_shadow = False
        self.is_around_assignment = False
        self.tokens_below = Tokens(0, 0)

    def settle_tokens(self, own: Tokens) -> Tokens:
        """Return the tokens of this span and of all below it, and tell the span above; called once, at the end.

        An agent's span often repeats the sum of its model calls, so the larger of the two counts.
        """
        below = self.tokens_below
        total = Tokens(max(own.input, below.input), max(own.output, below.output))
        if self.above is not None and any(total):
            # Two threads may get in each other's way here: then a call is counted twice where the span above repeats
            # it. A lock would have to outlive forks.
            beside = self.above.tokens_below
            self.above.tokens_below = Tokens(beside.input + total.input, beside.output + total.output)
        return total


class OpenSpans:
    """Finds open spans by their context. Takes no lock: any thread may begin and end spans, also after a fork.

    Args:
        forgotten: Called when a span is forgotten because too many are open.
        limit: Most spans that are remembered, at least 1.
    """

    def __init__(self, forgotten: Callable[[], None], limit: int = MAX_OPEN_SPANS) -> None:
        self._forgotten = forgotten
        self._limit = limit
        self._spans: OrderedDict[tuple[int, int], OpenSpan] = OrderedDict()

    def __len__(self) -> int:
        return len(self._spans)

    def begin(self, span: Span) -> OpenSpan:
        """Remember a span."""
        parent = span.parent
        # A parent in another process is none of ours; one in this process that was reached over the network is not
        # either: the request that it sent is a request.
        above = None if parent is None or parent.is_remote else self.find(parent)
        opened = OpenSpan(span, above)
        self._spans[_key(span.get_span_context())] = opened
        if len(self._spans) > self._limit:
            _, oldest = self._spans.popitem(last=False)
            oldest.above = None
            self._forgotten()
        return opened

    def find(self, context: SpanContext) -> OpenSpan | None:
        """Return the span if it is open and remembered."""
        return self._spans.get(_key(context))

    def end(self, context: SpanContext) -> OpenSpan | None:
        """Return the span if it was open and remembered, and forget it."""
        return self._spans.pop(_key(context), None)

    def clear(self) -> None:
        """Forget all."""
        self._spans.clear()


def _key(context: SpanContext) -> tuple[int, int]:
    return context.trace_id, context.span_id

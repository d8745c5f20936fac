"""The span processor: tags what begins, and reads what ends."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, get_current_span

from agent_canary import Assignment, current_assignment, is_shadow

from . import attributes as names
from . import tags
from .booking import Booking, KeyFunction
from .open_spans import MAX_OPEN_SPANS, OpenSpan, OpenSpans

if TYPE_CHECKING:
    from agent_canary import AgentCanary
    from agent_canary.adapting import StickyKey


class SpanRecorder(SpanProcessor):
    """Tags spans with the version that they belong to, and feeds what they tell to that version's metrics.

    ``provider.add_span_processor(SpanRecorder(canary))``. Every span that begins inside a live assignment of *canary*
    gets the attributes of :mod:`~agent_canary_opentelemetry.attributes`, and so does an enclosing span of kind SERVER
    that began before the assignment, as soon as a span begins below it. When such a span ends, its tokens
    (``gen_ai.usage.*``) and evaluations (``gen_ai.evaluation.*``, as span events or attributes) go to the assignment.
    The assignment keeps its one outcome: a request that an adapter and this recorder both see counts once.

    A request that has a version but no assignment counts by its outermost span, see :meth:`routed`. Spans that the
    sampler drops are never seen; ``Decision.RECORD_ONLY`` lets them be seen and not exported. No method raises.

    Args:
        canary: Whose assignments and versions; several canaries have a recorder each.
        key: Gets the ended span of a request without an assignment and returns its sticky key, or None: what
            makes its evidence keyed where :meth:`routed` does not say the key.
        tokens: Whether tokens are counted; False where something else does already, such as ``CanaryRunnable``.

    Raises:
        ValueError: *key* is no plain function.
    """

    def __init__(self, canary: AgentCanary, *, key: KeyFunction | None = None, tokens: bool = True) -> None:
        if key is not None and (not callable(key) or inspect.iscoroutinefunction(key)):
            raise ValueError(f"key must be a plain function of the request's ended span, got {key!r}")
        self._canary = canary
        self._spans = OpenSpans(self._forgotten)
        self._booking = Booking(canary, key, tokens)

    # What the SDK calls

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's
        """Tag a span that begins."""
        self._canary.failsafe.call("span", self._begin, span)

    def on_end(self, span: ReadableSpan) -> None:
        """Read a span that has ended."""
        self._canary.failsafe.call("span", self._end, span)

    def shutdown(self) -> None:
        """Forget the spans that are open."""
        self._spans.clear()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's
        """Return True: nothing waits here."""
        return True  # the base class of older SDKs returns None, which keeps the processors after it from flushing

    # What the app calls

    def tag_current_span(self) -> None:
        """Tag the current span with the current assignment, for a span that began before it.

        Needed for what is no SERVER span, and for a request in which no further span begins.
        """
        self._canary.failsafe.call("span", self._tag_current_span)

    def routed(self, version: str, *, sticky_key: StickyKey | None = None) -> None:
        """Say that the current span is a request that ``canary.route`` sent to *version*.

        It is booked when the span ends, as a success unless its status is an error; it is booked as nothing when it is
        cancelled. Inside a live assignment, or below a span that is a request already, it is part of that one.

        Args:
            version: One of the canary's two versions; another one is counted and logged.
            sticky_key: The key it was routed by, so that evidence is keyed. It stays in this process.
        """
        self._canary.failsafe.call("span", self._routed, version, sticky_key)

    # How spans begin

    def _begin(self, span: Span) -> None:
        opened = self._spans.begin(span)
        above = opened.above
        if is_shadow() or (above is not None and above.is_shadow):
            opened.is_shadow = True
            span.set_attribute(names.SHADOW, True)
            return
        if names.ASSIGNMENT_ID in (span.attributes or {}):
            return  # the span is about another request: a judge's
        assignment = current_assignment()
        if assignment is None or assignment.outcome is not None:
            self._inherit(opened, above, span)
        elif assignment.is_of(self._canary):
            self._assign(opened, assignment, span)
        else:  # its own recorder tags it; tokens are spent on behalf of both
            self._inherit(opened, above, None)

    def _inherit(self, opened: OpenSpan, above: OpenSpan | None, span: Span | None) -> None:
        """Belong to what the span above belongs to: a thread may have its span and not its assignment."""
        if above is None or above.tags is None:
            return
        opened.assignment, opened.tags = above.assignment, above.tags
        if span is not None:
            tags.write(span, above.tags)

    def _assign(self, opened: OpenSpan, assignment: Assignment, span: Span) -> None:
        above = opened.above
        said = above.tags if above is not None and above.assignment is assignment else None
        opened.assignment, opened.tags = assignment, said or tags.tags_of(self._canary, assignment)
        tags.write(span, opened.tags)
        while above is not None and above.assignment is not assignment:
            self._enclose(above, opened)
            above = above.above

    def _enclose(self, outer: OpenSpan, inner: OpenSpan) -> None:
        outer.is_around_assignment = True
        span = outer.span()
        # A server's span is one request, and so the assignment's. Any other may be a loop around many.
        if span is not None and span.kind is SpanKind.SERVER and outer.assignment is None and inner.tags is not None:
            outer.assignment, outer.tags = inner.assignment, inner.tags
            if span.is_recording():
                tags.write(span, inner.tags)

    def _tag_current_span(self) -> None:
        assignment = current_assignment()
        span = get_current_span()
        if assignment is None or not assignment.is_of(self._canary) or not isinstance(span, Span):
            return
        opened = self._spans.find(span.get_span_context())
        if opened is not None and span.is_recording():
            opened.assignment, opened.tags = assignment, tags.tags_of(self._canary, assignment)
            tags.write(span, opened.tags)

    def _routed(self, version: str, sticky_key: StickyKey | None) -> None:
        span = get_current_span()
        opened = self._spans.find(span.get_span_context())
        if opened is None or opened.assignment is not None or not isinstance(span, Span):
            return
        opened.version, opened.sticky_key = version, sticky_key
        opened.tags = tags.tags_of_routed(self._canary, version)
        tags.write(span, opened.tags)

    # How spans end

    def _end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        opened = None if context is None else self._spans.end(context)
        try:
            self._booking.book(span, opened)
        finally:
            if opened is not None:
                opened.above = None

    def _forgotten(self) -> None:
        self._canary.failsafe.note(
            "open spans", f"more than {MAX_OPEN_SPANS:,} spans are open; the oldest is forgotten, its evidence lost"
        )

"""Where the evidence of an ended span goes: to its assignment, or to the version that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan

from agent_canary import Assignment, Outcome

from .attributes import ASSIGNMENT_ID
from .open_spans import OpenSpan
from .reading import Attributes, Tokens, latency_ms, outcome_of, scores_in, tokens_in
from .tags import version_in

if TYPE_CHECKING:
    from agent_canary import AgentCanary
    from agent_canary.adapting import StickyKey

KeyFunction = Callable[[ReadableSpan], "StickyKey | None"]


class Booking:
    """Books what ended spans tell.

    Args:
        canary: Whose versions.
        key: Returns the sticky key of an ended span whose app did not say it; None without such a function.
        tokens: Whether tokens are booked.
    """

    def __init__(self, canary: AgentCanary, key: KeyFunction | None, tokens: bool) -> None:
        self._canary = canary
        self._key = key
        self._counts_tokens = tokens

    def book(self, span: ReadableSpan, opened: OpenSpan | None) -> None:
        """Book *span*; *opened* is None when its beginning is not remembered: then only an id on it helps."""
        attributes: Attributes = span.attributes or {}
        if opened is not None:
            if opened.is_shadow:
                return
            self._settle(span, attributes, opened)
        for name, value in scores_in(span, attributes):
            self._score(attributes, opened, name, value)

    def _settle(self, span: ReadableSpan, attributes: Attributes, opened: OpenSpan) -> None:
        opened.version = opened.version or version_in(attributes, self._canary.name)
        below = opened.tokens_below
        total = opened.settle_tokens(tokens_in(attributes)) if self._counts_tokens else below
        if opened.assignment is not None:
            added = Tokens(total.input - below.input, total.output - below.output)
            self._add_usage(opened.assignment, added)
        elif isinstance(opened.version, str) and ASSIGNMENT_ID not in attributes and self._is_request(opened):
            self._book_request(span, opened, opened.version, total)

    def _add_usage(self, assignment: Assignment, added: Tokens) -> None:
        if not any(added):
            return
        if assignment.outcome is None:
            assignment.usage(input_tokens=added.input, output_tokens=added.output)
        else:
            self._canary.failsafe.note("span tokens", f"{added} came after the assignment's end, and are not counted")

    # Requests without an assignment

    def _is_request(self, opened: OpenSpan) -> bool:
        """Whether no span above it is one, and none below it has an assignment."""
        above = opened.above
        while above is not None:
            if self._version_of(above) is not None:
                return False
            above = above.above
        return not opened.is_around_assignment

    def _version_of(self, opened: OpenSpan) -> object:
        span = opened.span()
        if opened.version is not None or span is None:
            return opened.version
        return version_in(span.attributes or {}, self._canary.name)

    def _book_request(self, span: ReadableSpan, opened: OpenSpan, version: str, tokens: Tokens) -> None:
        outcome = outcome_of(span)
        if outcome is not Outcome.CANCELLED:
            sticky_key = opened.sticky_key
            if sticky_key is None and self._key is not None:
                sticky_key = self._canary.failsafe.call("key", self._key, span)
            self._canary.record(version, outcome is Outcome.SUCCEEDED, latency_ms(span), sticky_key=sticky_key)
        if any(tokens):
            self._canary.metrics(version).usage(input_tokens=tokens.input, output_tokens=tokens.output)

    # Scores

    def _score(self, attributes: Attributes, opened: OpenSpan | None, name: str, value: float) -> None:
        named = attributes.get(ASSIGNMENT_ID)
        if isinstance(named, str) and not _own_id(opened).startswith(named):
            self._canary.score(named, name, value)
        elif opened is not None and opened.assignment is not None:
            opened.assignment.score(name, value)
        else:
            version = self._version_around(opened)
            if isinstance(version, str):
                self._canary.metrics(version).score(name, value)

    def _version_around(self, opened: OpenSpan | None) -> object:
        while opened is not None:
            version = self._version_of(opened)
            if version is not None:
                return version
            opened = opened.above
        return None


def _own_id(opened: OpenSpan | None) -> str:
    """Return the id that we wrote; a limit to the length of attributes may have cut what the span has of it."""
    return "" if opened is None or opened.tags is None else str(opened.tags.get(ASSIGNMENT_ID, ""))

"""What came of a shadow call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class ShadowOutcome(str, Enum):
    """What came of a shadow call; each one that was chosen ends as exactly one of these."""

    MATCH = "match"
    """The comparator found both answers equal, or both raised the same type of exception."""
    MISMATCH = "mismatch"
    """The comparator found a difference, or stable raised and the shadow answered."""
    IGNORED = "ignored"
    """Both answered, and the comparator returned None: it gave no verdict."""
    ERROR = "error"
    """The shadow raised, and stable did not, or not that type of exception."""
    COMPARATOR_ERROR = "comparator_error"
    """Both answered, and the comparator raised."""
    TIMED_OUT = "timed_out"
    """The shadow call, or its comparison, took longer than the timeout."""
    DROPPED = "dropped"
    """It was not made, or not ended: too many were under way, or the shadow was shut down, or it could not be made."""


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """One shadow call beside the call of a user that it copied.

    Its text shows no values: they may be private.

    Attributes:
        outcome: What came of it; never ``DROPPED``, which is only counted.
        args: The shadow's own positional arguments; the shadow may have changed them.
        kwargs: The shadow's own keyword arguments; the same.
        stable_value: What the user got, a copy where it can be copied; None when stable raised.
        stable_error: What stable raised, or None.
        stable_latency_ms: How long stable took, in milliseconds.
        shadow_value: What the shadow answered; None when it raised or timed out.
        shadow_error: What the shadow raised, or None.
        shadow_latency_ms: How long the shadow took, in milliseconds, without its time in the queue; after a timeout,
            how long it had taken when that was noticed.
    """

    outcome: ShadowOutcome
    args: tuple[Any, ...] = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)
    stable_value: Any = field(repr=False)
    stable_error: Exception | None = field(repr=False)
    stable_latency_ms: float
    shadow_value: Any = field(repr=False)
    shadow_error: BaseException | None = field(repr=False)
    shadow_latency_ms: float

"""Names that a score may not have, because the library calls something else by them."""

from __future__ import annotations

import re

from .reading import require_text

THRESHOLD_METRICS = (
    "cost_usd",
    "first_token_p50_ms",
    "first_token_p95_ms",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "success_rate",
    "tokens",
)
"""What a fixed threshold can watch beside scores."""

_RESERVED = re.compile(
    r"failures|success_rate|safety_margin|breaker|sample_ratio"
    r"|(latency|first_token|cost|tokens)(_p\d.*)?|cost_usd"
    r"|(first_token_)?p\d+(\.\d+)?_ms"
)


def require_score_name(name: str, value: object) -> str:
    """Return *value*, a text by which nothing but a score can be meant.

    Raises:
        ValueError: Not a string, an empty one, or the name of a guardrail or metric of the library.
    """
    text = require_text(name, value)
    if _is_reserved(text):
        raise ValueError(
            f"{name} must be a score's, other than those of the library's own guardrails and metrics (failures, "
            f"latency_p95, cost_usd and the like), got {text!r}: FailureRate(), Latency() and the like watch those, a "
            "score needs a name of its own"
        )
    return text


def require_threshold_metric(name: str, value: object) -> str:
    """Return *value*, one of :data:`THRESHOLD_METRICS` or a score's name.

    Raises:
        ValueError: Not a string, an empty one, or a name that looks like a metric of the library and is none of these.
    """
    text = require_text(name, value)
    if text not in THRESHOLD_METRICS and _is_reserved(text):
        raise ValueError(f"{name} must be a score's name or one of {list(THRESHOLD_METRICS)}, got {text!r}")
    return text


def _is_reserved(text: str) -> bool:
    return _RESERVED.fullmatch(text) is not None

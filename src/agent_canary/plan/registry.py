"""Reading guardrails back from JSON by their type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .amounts import Cost, FirstToken, Latency, Tokens
from .canonical import canonical_json
from .fixed_rules import SafetyMargin, Threshold
from .guardrail import Guardrail
from .rates import FailureRate, Rate
from .reading import require_entry, require_mapping, require_text
from .sample_ratio import SampleRatio
from .score import Score

Reader = Callable[[Mapping[str, Any]], Guardrail]


@dataclass(frozen=True)
class UnknownGuardrail:
    """A guardrail of a type that this process cannot read, as another release may write. Nobody here can judge it.

    A process that meets one can still follow the rollout; it has no data for a verdict on it.

    Attributes:
        text: The guardrail as canonical JSON.
    """

    text: str

    @property
    def name(self) -> str:
        """The name it was written with, or else its type."""
        data = self.to_json()
        return str(data.get("name", data["type"]))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object as it was read."""
        return dict(require_mapping("guardrail", json.loads(self.text)))


_readers: dict[str, Reader] = {
    "cost": Cost.from_json,
    "failure_rate": FailureRate.from_json,
    "first_token": FirstToken.from_json,
    "latency": Latency.from_json,
    "rate": Rate.from_json,
    "safety_margin": SafetyMargin.from_json,
    "sample_ratio": SampleRatio.from_json,
    "score": Score.from_json,
    "threshold": Threshold.from_json,
    "tokens": Tokens.from_json,
}


def register_guardrail(type_name: str, reader: Reader) -> None:
    """Teach :func:`guardrail_from_json` a new type.

    Args:
        type_name: What the guardrail's ``to_json`` gives as ``type``.
        reader: Makes the guardrail from that JSON object.

    Raises:
        ValueError: Another reader is registered under this type.
    """
    known = _readers.setdefault(require_text("type_name", type_name), reader)
    if known != reader:
        raise ValueError(f"type_name must be new, got {type_name!r}, which {known!r} reads: choose another type")


def guardrail_from_json(data: object) -> Guardrail:
    """Read what a guardrail's ``to_json`` wrote.

    Returns:
        The guardrail; an :class:`UnknownGuardrail` when nobody registered its type. Unknown keys are ignored.

    Raises:
        ValueError: Not a JSON object with a ``type``, or a parameter is missing or out of its range.
    """
    entries = require_mapping("guardrail", data)
    reader = _readers.get(require_text("type", require_entry("guardrail", entries, "type")))
    return UnknownGuardrail(canonical_json(entries)) if reader is None else reader(entries)

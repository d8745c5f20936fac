"""One guardrail's result at one analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from ..plan.reading import require_entry


class FindingStatus(str, Enum):
    """What the evidence says of one guardrail."""

    PASS = "pass"  # noqa: S105
    """Shown to be no worse than tolerated."""
    FAIL = "fail"
    """Evidence, at the guardrail's alpha, that the canary is worse than tolerated."""
    INCONCLUSIVE = "inconclusive"
    """Neither yet."""
    NO_DATA = "no_data"
    """Nothing to compare."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One guardrail's result at one analysis, with its numbers.

    Attributes:
        guardrail: The guardrail's name.
        role: ``rollback`` for a guardrail, ``hold`` for a signal.
        status: What the evidence says.
        sentence: The same for people, with numbers.
        stable_total: Answers of stable that were compared.
        stable_bad: How many of them were bad; 0 where answers have values instead.
        canary_total: Answers of the canary that were compared.
        canary_bad: How many of them were bad.
        stable_users: Estimated users (sticky keys) behind stable's answers; 0 when unknown.
        canary_users: Estimated users behind the canary's answers.
        stable_bad_users: Estimated users who met a bad answer on stable.
        canary_bad_users: Estimated users who met a bad answer on the canary.
        stable_value: What was measured on stable: a share of answers in [0, 1], a mean, milliseconds, US dollars or
            tokens.
        canary_value: The same on the canary.
        difference: The canary's minus stable's, stage by stage; None when undefined.
        interval: Lowest and highest difference that the evidence allows, good at 95 % however often one looks.
        ratio: How many times as often the canary was bad, stage by stage (Mantel-Haenszel), or how many times as much
            of an amount it took; None when undefined.
        tolerance: The ratio, or for a score the difference, up to which that is tolerated; None for a fixed rule.
        log_e_value: Natural logarithm of the evidence against "no worse than tolerated"; None for a fixed rule.
        log_threshold: The logarithm from which on it fails, log(1 / alpha); None for a fixed rule.
        alpha: The probability of a false alarm that this guardrail may spend in the whole run; None for a fixed rule.
        outstanding: Canary answers of this stage that have no score of this name yet; None where none is awaited.
        settled_by: What would settle it; empty when it is settled, or nobody can say.
    """

    guardrail: str
    role: str
    status: FindingStatus
    sentence: str
    stable_total: int = 0
    stable_bad: int = 0
    canary_total: int = 0
    canary_bad: int = 0
    stable_users: int = 0
    canary_users: int = 0
    stable_bad_users: int = 0
    canary_bad_users: int = 0
    stable_value: float | None = None
    canary_value: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    ratio: float | None = None
    tolerance: float | None = None
    log_e_value: float | None = None
    log_threshold: float | None = None
    alpha: float | None = None
    outstanding: int | None = None
    settled_by: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return every field under its own name; an infinite number, which JSON does not have, as the text ``inf``."""
        numbers = {name: _number_to_json(getattr(self, name)) for name in _NUMBERS}
        interval = None if self.interval is None else [_number_to_json(bound) for bound in self.interval]
        return {**asdict(self), **numbers, "interval": interval, "status": self.status.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """Read what :meth:`to_json` wrote; unknown keys are ignored.

        Raises:
            ValueError: A field without a default is missing, the status is unknown, or a number is none.
        """
        known: dict[str, Any] = {name: data[name] for name in cls.__slots__ if name in data}
        for name in ("guardrail", "role", "status", "sentence"):
            require_entry("finding", data, name)
        for name in _NUMBERS:
            if known.get(name) is not None:
                known[name] = float(known[name])
        if known.get("interval") is not None:
            low, high = known["interval"]
            known["interval"] = (float(low), float(high))
        known["status"] = FindingStatus(known["status"])
        return cls(**known)


_NUMBERS = (
    "stable_value",
    "canary_value",
    "difference",
    "ratio",
    "tolerance",
    "log_e_value",
    "log_threshold",
    "alpha",
)


def _number_to_json(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)

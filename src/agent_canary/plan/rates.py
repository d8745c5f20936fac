"""Guardrails of shares: how many requests fail, how many answers get a bad yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .names import require_score_name
from .ranges import require_horizon, require_ratio
from .reading import require_entry, require_flag

_MEANING = "1.2 tolerates a fifth more bad outcomes"


@dataclass(frozen=True)
class FailureRate:
    """Failing requests, counted by users where there is a sticky key.

    Attributes:
        tolerance: Risk ratio, canary to stable, up to which the canary counts as no worse; in [1, 1000], 1.2 by
            default.
    """

    tolerance: float = 1.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", require_ratio("tolerance", self.tolerance, _MEANING))

    @property
    def name(self) -> str:
        """``failures``."""
        return "failures"

    def to_json(self) -> dict[str, Any]:
        """Return type, name and tolerance."""
        return {"type": "failure_rate", "name": self.name, "tolerance": self.tolerance}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FailureRate:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: A parameter is missing or out of its range.
        """
        return cls(require_entry("failure_rate", data, "tolerance"))


@dataclass(frozen=True, init=False)
class Rate:
    """A 0/1 score by its name, such as a judge's yes or no.

    Attributes:
        name: The name under which the score is reported; not that of a guardrail or metric of the library, such as
            ``failures`` or ``latency_p95``.
        tolerance: Risk ratio of the bad outcome, canary to stable, up to which the canary counts as no worse; in
            [1, 1000], 1.2 by default.
        higher_is_better: True: a 0 is the bad outcome. False (default): a 1 is.
        horizon: Seconds > 0 after the assignment within which a score counts as evidence; None (default) for the
            canary's outcome horizon.
    """

    name: str
    tolerance: float
    higher_is_better: bool
    horizon: float | None

    def __init__(
        self,
        name: str,
        tolerance: float = 1.2,
        higher_is_better: bool = False,
        horizon: float | timedelta | None = None,
    ) -> None:
        """Check and keep the parameters.

        Raises:
            ValueError: A parameter is out of its range; the message names parameter, range and value.
        """
        accept = object.__setattr__
        accept(self, "name", require_score_name("name", name))
        accept(self, "tolerance", require_ratio("tolerance", tolerance, _MEANING))
        accept(self, "higher_is_better", require_flag("higher_is_better", higher_is_better))
        accept(self, "horizon", require_horizon("horizon", horizon))

    @property
    def bad_value(self) -> float:
        """The bad one of 0.0 and 1.0."""
        return 0.0 if self.higher_is_better else 1.0

    def to_json(self) -> dict[str, Any]:
        """Return type, name and parameters; the horizon in seconds."""
        return {
            "type": "rate",
            "name": self.name,
            "tolerance": self.tolerance,
            "higher_is_better": self.higher_is_better,
            "horizon": self.horizon,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rate:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: A parameter is missing or out of its range.
        """
        keys = ("name", "tolerance", "higher_is_better", "horizon")
        return cls(**{key: require_entry("rate", data, key) for key in keys})

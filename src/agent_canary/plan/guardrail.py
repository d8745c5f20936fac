"""What is watched for regression: specifications with a name, a direction and a tolerance. They judge nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from ..errors import require_count, require_fraction, require_positive, seconds
from .reading import require_entry, require_flag, require_text

_LARGEST_TOLERANCE = 1000.0
_NOT_FOR_SCORES = ("breaker", "failures", "safety_margin")


@runtime_checkable
class Guardrail(Protocol):
    """A metric that is tested all the time; under ``hold_on`` the same specification is a signal, which only holds."""

    @property
    def name(self) -> str:
        """Unique within a plan; findings and explanations carry it."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object with ``type``, as registered for reading it back, ``name`` and the parameters."""
        ...


@dataclass(frozen=True)
class FailureRate:
    """Failing requests, counted by users where there is a sticky key.

    Attributes:
        tolerance: Risk ratio, canary to stable, up to which the canary counts as no worse; in [1, 1000], 1.2 by
            default.
    """

    tolerance: float = 1.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", _require_ratio("tolerance", self.tolerance))

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
        name: The name under which the score is reported; not ``failures``, ``safety_margin`` or ``breaker``.
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
        accept(self, "name", _require_score_name(name))
        accept(self, "tolerance", _require_ratio("tolerance", tolerance))
        accept(self, "higher_is_better", require_flag("higher_is_better", higher_is_better))
        accept(self, "horizon", None if horizon is None else require_positive("horizon", seconds("horizon", horizon)))

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


@dataclass(frozen=True)
class SafetyMargin:
    """Fixed rule: the canary fails when its success rate is below stable's minus a margin.

    It has no error control. It looks at two point estimates, again and again, so a canary as good as stable is rolled
    back sooner or later when the margin is narrow or the samples are few. :class:`FailureRate` is the rule with a
    bounded probability of a false alarm.

    Attributes:
        margin: Difference of success rates that is tolerated, a fraction in [0, 1]: 0.05 is five percentage points.
        min_samples: Canary requests before the rule looks at all; >= 0.
    """

    margin: float
    min_samples: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "margin", require_fraction("margin", self.margin))
        object.__setattr__(self, "min_samples", require_count("min_samples", self.min_samples))

    @property
    def name(self) -> str:
        """``safety_margin``."""
        return "safety_margin"

    def to_json(self) -> dict[str, Any]:
        """Return type, name, margin and minimum of samples."""
        return {"type": "safety_margin", "name": self.name, "margin": self.margin, "min_samples": self.min_samples}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SafetyMargin:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: A parameter is missing or out of its range.
        """
        return cls(*(require_entry("safety_margin", data, key) for key in ("margin", "min_samples")))


def _require_score_name(value: object) -> str:
    name = require_text("name", value)
    if name in _NOT_FOR_SCORES:
        raise ValueError(
            f"name must be a score's, other than {list(_NOT_FOR_SCORES)}, got {name!r}: FailureRate() watches "
            "failures, a score needs a name of its own"
        )
    return name


def _require_ratio(name: str, value: object) -> float:
    ratio = require_positive(name, value)
    if not 1.0 <= ratio <= _LARGEST_TOLERANCE:
        raise ValueError(
            f"{name} must be a risk ratio in [1, {_LARGEST_TOLERANCE:g}] (1.2 tolerates a fifth more bad outcomes), "
            f"got {value!r}"
        )
    return ratio

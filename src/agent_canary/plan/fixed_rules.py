"""Fixed rules: they look at point estimates, again and again, and have no error control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import require_count, require_fraction, require_non_negative
from .names import THRESHOLD_METRICS, require_threshold_metric
from .ranges import require_number
from .reading import require_entry


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


@dataclass(frozen=True)
class Threshold:
    """Fixed rule: the canary fails when a number of its own, in the present stage, is beyond a bound.

    It does not look at stable, so it works at 100 % too, and an outage that hits both versions trips it. It has no
    error control: whatever lies near the bound crosses it sooner or later.

    Attributes:
        metric: ``success_rate`` (a fraction); ``p50_ms``, ``p95_ms`` or ``p99_ms`` of the latency;
            ``first_token_p50_ms`` or ``first_token_p95_ms``; ``cost_usd`` or ``tokens`` (means per answer that reported
            them); any other text is the mean of the score of that name.
        at_most: The highest value that is allowed, in the metric's unit; None when *at_least* is given.
        at_least: The lowest value that is allowed, in the metric's unit; None when *at_most* is given.
        min_samples: Canary answers that tell the metric before the rule looks at all; >= 0, 50 by default.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    min_samples: int = 50

    def __post_init__(self) -> None:
        accept = object.__setattr__
        accept(self, "metric", require_threshold_metric("metric", self.metric))
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(
                f"exactly one of at_most and at_least must be given, got at_most={self.at_most!r} and "
                f"at_least={self.at_least!r}"
            )
        for bound in ("at_most", "at_least"):
            if getattr(self, bound) is not None:
                accept(self, bound, _require_bound(self.metric, bound, getattr(self, bound)))
        accept(self, "min_samples", require_count("min_samples", self.min_samples))

    @property
    def name(self) -> str:
        """``threshold_`` and the metric."""
        return f"threshold_{self.metric}"

    def to_json(self) -> dict[str, Any]:
        """Return type, name and parameters."""
        return {
            "type": "threshold",
            "name": self.name,
            "metric": self.metric,
            "at_most": self.at_most,
            "at_least": self.at_least,
            "min_samples": self.min_samples,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Threshold:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: A parameter is missing or out of its range.
        """
        keys = ("metric", "at_most", "at_least", "min_samples")
        return cls(**{key: require_entry("threshold", data, key) for key in keys})


def _require_bound(metric: str, name: str, value: object) -> float:
    if metric == "success_rate":
        return require_fraction(name, value)
    return require_non_negative(name, value) if metric in THRESHOLD_METRICS else require_number(name, value)

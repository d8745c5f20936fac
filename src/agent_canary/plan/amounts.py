"""Guardrails of amounts that every answer has: how long it took, what it cost, how many tokens it needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, ClassVar, Self

from ..errors import seconds
from .ranges import require_quantile, require_ratio
from .reading import require_entry

_MIX = (0.50, 0.95, 0.99)
_MEANING = "1.1 tolerates a tenth more"


@dataclass(frozen=True)
class _Amount:
    """What the guardrails of amounts have in common: quantiles, a tolerance and a name made of both."""

    amount: ClassVar[str]
    """What is measured: ``latency``, ``first_token``, ``cost`` or ``tokens``."""

    quantile: float | None = None
    tolerance: float = 1.10

    def __post_init__(self) -> None:
        if self.quantile is not None:
            object.__setattr__(self, "quantile", require_quantile("quantile", self.quantile))
        object.__setattr__(self, "tolerance", require_ratio("tolerance", self.tolerance, _MEANING))

    @property
    def name(self) -> str:
        """``latency`` for the mix, ``latency_p95`` for one quantile; the other amounts alike."""
        return self.amount if self.quantile is None else self.metric_of(self.quantile)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles of stable that answers are compared with; 0.5, 0.95 and 0.99 for the mix."""
        return _MIX if self.quantile is None else (self.quantile,)

    def metric_of(self, quantile: float) -> str:
        """Return the name under which answers above *quantile* are counted, such as ``latency_p99.9``."""
        return f"{self.amount}_p{100.0 * quantile:.10g}"

    def to_json(self) -> dict[str, Any]:
        """Return type, name and parameters; durations in seconds."""
        parameters = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"type": self.amount, "name": self.name, **parameters}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: A parameter is missing or out of its range.
        """
        return cls(**{field.name: require_entry(cls.amount, data, field.name) for field in fields(cls)})


@dataclass(frozen=True, init=False)
class _Duration(_Amount):
    """An amount that a canary with cold caches may have more of at first."""

    warm_up: float = 0.0

    def __init__(
        self,
        quantile: float | None = None,
        tolerance: float = 1.10,
        warm_up: float | timedelta = 0.0,
    ) -> None:
        """Check and keep the parameters.

        Raises:
            ValueError: A parameter is out of its range; the message names parameter, range and value.
        """
        super().__init__(quantile, tolerance)
        object.__setattr__(self, "warm_up", seconds("warm_up", warm_up))


@dataclass(frozen=True, init=False)
class Latency(_Duration):
    """How long answers take, failed ones included.

    Attributes:
        quantile: The quantile to watch, above 0 and below 1, such as 0.95; None (default) for the mix of p50, p95 and
            p99.
        tolerance: Ratio by which the canary may be slower and still count as no worse; in [1, 1000], 1.10 by default.
        warm_up: Seconds >= 0 from the run's start in which nothing is compared, for a canary that begins cold; 0 by
            default.
    """

    amount = "latency"


@dataclass(frozen=True, init=False)
class FirstToken(_Duration):
    """How long answers take to their first token, where it is reported.

    Attributes:
        quantile: The quantile to watch, above 0 and below 1, such as 0.95; None (default) for the mix of p50, p95 and
            p99.
        tolerance: Ratio by which the canary may be slower and still count as no worse; in [1, 1000], 1.10 by default.
        warm_up: Seconds >= 0 from the run's start in which nothing is compared, for a canary that begins cold; 0 by
            default.
    """

    amount = "first_token"


@dataclass(frozen=True)
class Cost(_Amount):
    """What answers cost, in US dollars, where it is reported.

    Attributes:
        quantile: The quantile to watch, above 0 and below 1, such as 0.95; None (default) for the mix of p50, p95 and
            p99.
        tolerance: Ratio by which the canary may be dearer and still count as no worse; in [1, 1000], 1.10 by default.
    """

    amount = "cost"


@dataclass(frozen=True)
class Tokens(_Amount):
    """How many tokens answers need, input and output together, where they are reported.

    Attributes:
        quantile: The quantile to watch, above 0 and below 1, such as 0.95; None (default) for the mix of p50, p95 and
            p99.
        tolerance: Ratio by which the canary may need more and still count as no worse; in [1, 1000], 1.10 by default.
    """

    amount = "tokens"

"""One step of a rollout: how many users get the canary, and what must hold before the next step."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from ..errors import require_count, require_fraction, require_positive, seconds
from .reading import require_entry, require_mapping


@dataclass(frozen=True, init=False)
class Stage:
    """A traffic share and the gates that lead out of it. All gates must be met at once.

    Attributes:
        percent: Share of sticky keys that get the canary, a fraction in [0, 1]: 0.05 is five per cent.
        min_duration_seconds: Bake time: seconds to stay here at least, pauses not counted; >= 0, 300 by default.
        min_samples: Requests that the canary must have answered in this stage; >= 0, 100 by default.
        success_threshold: Lowest share of successful canary requests, a fraction in [0, 1]; 0.99 by default.
        max_p95_ms: Highest 95th percentile of the canary's latency, milliseconds > 0; None (default) for no such gate.
        min_scored: Share of the canary's answers in this stage that must have each score a guardrail watches, a
            fraction in [0, 1]; 0 (default) waits for none.
        score_patience: Seconds >= 0 after *min_duration_seconds* in which the stage waits for those scores; then it
            goes on without. 1800 by default.
    """

    percent: float
    min_duration_seconds: float
    min_samples: int
    success_threshold: float
    max_p95_ms: float | None
    min_scored: float
    score_patience: float

    def __init__(
        self,
        percent: float,
        min_duration_seconds: float | timedelta = 300.0,
        min_samples: int = 100,
        success_threshold: float = 0.99,
        max_p95_ms: float | None = None,
        min_scored: float = 0.0,
        score_patience: float | timedelta = 1800.0,
    ) -> None:
        """Check and keep the numbers.

        Raises:
            ValueError: A number is out of its range; the message names parameter, range and value.
        """
        accept = object.__setattr__
        accept(self, "percent", require_fraction("percent", percent))
        accept(self, "min_duration_seconds", seconds("min_duration_seconds", min_duration_seconds))
        accept(self, "min_samples", require_count("min_samples", min_samples))
        accept(self, "success_threshold", require_fraction("success_threshold", success_threshold))
        accept(self, "max_p95_ms", None if max_p95_ms is None else require_positive("max_p95_ms", max_p95_ms))
        accept(self, "min_scored", require_fraction("min_scored", min_scored))
        accept(self, "score_patience", seconds("score_patience", score_patience))

    def to_json(self) -> dict[str, Any]:
        """Return every number under its own name."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Stage:
        """Read what :meth:`to_json` wrote. Unknown keys, as a later release may write, are ignored.

        Raises:
            ValueError: Not a JSON object, ``percent`` is missing, or a number is out of its range.
        """
        entries = require_mapping("stage", data)
        require_entry("stage", entries, "percent")
        return cls(**{field.name: entries[field.name] for field in fields(cls) if field.name in entries})

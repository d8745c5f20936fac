"""The guardrail of a score's mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..errors import require_non_negative
from .names import require_score_name
from .ranges import require_bounds, require_horizon
from .reading import require_entry, require_flag


@dataclass(frozen=True, init=False)
class Score:
    """A score by its name, such as a judge's 0.86, by its mean over answers; a yes or no is a :class:`Rate`.

    Attributes:
        name: The name under which the score is reported; not that of a guardrail or metric of the library, such as
            ``failures`` or ``latency_p95``.
        tolerance: How far the canary's mean may lie on the bad side of stable's and still count as no worse, in the
            score's own unit; >= 0 and below the width of *bounds*, 0.02 by default.
        higher_is_better: True (default): a lower mean is worse. False: a higher one is.
        horizon: Seconds > 0 after the assignment within which a score counts as evidence; None (default) for the
            canary's outcome horizon.
        bounds: The lowest and the highest value there can be, such as ``(0, 1)``; None (default) when they are not
            known. With bounds, traffic without a sticky key is tested exactly; a value outside of them is refused
            where it is reported.
    """

    name: str
    tolerance: float
    higher_is_better: bool
    horizon: float | None
    bounds: tuple[float, float] | None

    def __init__(
        self,
        name: str,
        tolerance: float = 0.02,
        higher_is_better: bool = True,
        horizon: float | timedelta | None = None,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        """Check and keep the parameters.

        Raises:
            ValueError: A parameter is out of its range; the message names parameter, range and value.
        """
        accept = object.__setattr__
        accept(self, "name", require_score_name("name", name))
        accept(self, "tolerance", require_non_negative("tolerance", tolerance))
        accept(self, "higher_is_better", require_flag("higher_is_better", higher_is_better))
        accept(self, "horizon", require_horizon("horizon", horizon))
        accept(self, "bounds", None if bounds is None else require_bounds("bounds", bounds))
        self._refuse_what_never_fails()

    def _refuse_what_never_fails(self) -> None:
        if self.bounds is None:
            return
        low, high = self.bounds
        if self.tolerance >= high - low:
            raise ValueError(
                f"tolerance must be below the width of bounds, {high - low:g}, got {self.tolerance!r}: no canary could "
                "ever be worse than that"
            )

    def to_json(self) -> dict[str, Any]:
        """Return type, name and parameters; the horizon in seconds, the bounds as a list of two."""
        return {
            "type": "score",
            "name": self.name,
            "tolerance": self.tolerance,
            "higher_is_better": self.higher_is_better,
            "horizon": self.horizon,
            "bounds": None if self.bounds is None else list(self.bounds),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: A parameter is missing or out of its range.
        """
        keys = ("name", "tolerance", "higher_is_better", "horizon", "bounds")
        return cls(**{key: require_entry("score", data, key) for key in keys})

"""Users who get a traffic share of their own, whatever the stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import require_fraction


@dataclass(frozen=True, slots=True)
class Cohort:
    """A group that gets its own share of canary instead of the stage's.

    ``Cohort("staff", lambda context: context.get("staff"), 1.0)`` puts staff on the canary from the first stage;
    a share of 0 keeps a group on stable until the rollout is complete. Members are not randomised by the rollout,
    so they are served and measured but are no evidence for or against the canary.

    Args:
        name: Shown in reports.
        when: Called with the request's context (an empty mapping without one); truthy for members.
        traffic_share: The group's share of canary, in [0, 1].

    Raises:
        ValueError: *name* is no text or empty, *when* cannot be called, or *traffic_share* is not in [0, 1].
    """

    name: str
    when: Callable[[Mapping[str, Any]], object]
    traffic_share: float

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"name must be a non-empty str, got {self.name!r}")
        if not callable(self.when):
            raise ValueError(f"when must be a callable of the context, got {self.when!r}")
        require_fraction("traffic_share", self.traffic_share)

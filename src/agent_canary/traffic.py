"""What requests are routed by at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .metrics.slices import Slice


class Reason(str, Enum):
    """Why a request got its version, in the words of OpenFeature's resolution reasons."""

    SPLIT = "split"
    """The key's bucket against the traffic share."""
    TARGETING_MATCH = "targeting_match"
    """An override or a cohort."""
    DEFAULT = "default"
    """No sticky key: stable."""
    DISABLED = "disabled"
    """Switched off, or this pair of versions was superseded: stable."""
    STALE = "stale"
    """The rollout's state could not be read for too long: stable."""
    ERROR = "error"
    """Routing failed, or stable answers for a canary that failed: stable."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a canary routes by until the next event or tick; replaced as a whole, so that a request sees one state.

    Attributes:
        prefix: The salt's bytes, hashed before the key.
        threshold: Digests below it are the canary's (:func:`~.sticky_key.threshold_of` the share).
        share: The canary's share of keys, in [0, 1].
        slice: Where the evidence of the requests that this snapshot decides is booked.
        wall_offset: Wall time minus monotonic time, in seconds.
        stale_at: Monotonic seconds after which the share is too old to be trusted.
        heeds_targeting: Whether overrides and cohorts count; not once everybody is on stable or on the canary.
        plain_until: Monotonic seconds until which nothing but the key's hash decides; minus infinity when
            something else does (an override, a cohort, a switch).
        blanket: The version that every request gets whatever its key, and why; None usually.
    """

    stable: str
    canary: str
    prefix: bytes
    threshold: bytes
    share: float
    run: int
    stage_idx: int
    slice: Slice
    wall_offset: float
    stale_at: float
    heeds_targeting: bool
    plain_until: float
    blanket: tuple[str, Reason] | None

    @property
    def felt_share(self) -> float:
        """The share of keys that get the canary, in [0, 1], whatever decides."""
        if self.blanket is None:
            return self.share
        return 1.0 if self.blanket[0] == self.canary else 0.0

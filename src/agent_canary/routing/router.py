"""Which arm a key gets."""

from __future__ import annotations

import random
from enum import Enum

from ..errors import require_fraction
from ..sticky_key import StickyKey, bucket_of, digest_of, salt_prefix, threshold_of


class Decision(str, Enum):
    """The arm a request goes to."""

    STABLE = "stable"
    CANARY = "canary"


class CanaryRouter:
    """Send a share of keys to the canary: the same keys in every process and on every host, for ever.

    The canary's keys only grow with the share; they are never swapped.

    Args:
        canary_percent: The canary's share of keys, in [0, 1] (0.05 is five per cent).
        salt: Mixed into the hash so that it is not always the same users who try new things. Empty, the default,
            gives the buckets of unsalted MD5.

    Raises:
        ValueError: *canary_percent* is not in [0, 1], or *salt* is no text.
    """

    def __init__(self, canary_percent: float, *, salt: str = "") -> None:
        if not isinstance(salt, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"salt must be a str, got {salt!r}")
        self.salt = salt
        self._prefix = salt_prefix(salt)
        self.update_percent(canary_percent, _name="canary_percent")

    def __repr__(self) -> str:
        return f"CanaryRouter({self.canary_percent!r}, salt={self.salt!r})"

    def decide(self, sticky_key: StickyKey | None = None) -> Decision:
        """Return the arm of *sticky_key*; without a key a fresh coin is tossed at each call.

        Raises:
            TypeError: *sticky_key* is not a str, int or UUID.
        """
        if sticky_key is None:
            return Decision.CANARY if random.random() < self.canary_percent else Decision.STABLE
        return Decision.CANARY if digest_of(self._prefix, sticky_key) < self._threshold else Decision.STABLE

    def bucket(self, sticky_key: StickyKey) -> float:
        """Return the key's bucket in [0, 1); it is on the canary when that is below the share."""
        return bucket_of(digest_of(self._prefix, sticky_key))

    def update_percent(self, percent: float, *, _name: str = "percent") -> None:
        """Set the canary's share of keys.

        Raises:
            ValueError: *percent* is not in [0, 1].
        """
        self.canary_percent = require_fraction(_name, percent)
        self._threshold = threshold_of(self.canary_percent)

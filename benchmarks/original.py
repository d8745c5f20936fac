"""What the original agent-canary 0.1.0 does, written anew: its unsalted router, its record without a histogram."""

from __future__ import annotations

import threading
from collections import deque
from enum import Enum
from hashlib import md5


class Side(str, Enum):
    """The original's router answers with a member of an enumeration."""

    STABLE = "stable"
    CANARY = "canary"


class OriginalRouter:
    """MD5 of the key without a salt, eight hexadecimal digits as a float, and a comparison.

    Args:
        share: The canary's share of keys.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def decide(self, sticky_key: str) -> Side:
        """Return the side of a key."""
        return Side.CANARY if self.bucket(sticky_key) < self.share else Side.STABLE

    @staticmethod
    def bucket(key: str) -> float:
        """Return a number in [0, 1)."""
        return int(md5(key.encode("utf-8")).hexdigest()[:8], 16) / 0x100000000  # noqa: S324


class OriginalMetrics:
    """Two lifetime counters and the last thousand latencies, under a lock."""

    def __init__(self, window_size: int = 1000) -> None:
        self.successes = 0
        self.failures = 0
        self._latencies: deque[float] = deque(maxlen=window_size)
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """How much was recorded."""
        with self._lock:
            return self.successes + self.failures

    def record(self, success: bool, latency_ms: float) -> None:
        """Count one outcome."""
        with self._lock:
            if success:
                self.successes += 1
            else:
                self.failures += 1
            self._latencies.append(float(latency_ms))


class OriginalCanary:
    """Two versions' routing and metrics.

    Args:
        stable: A version.
        canary: Another one.
        share: The canary's share of keys.
    """

    def __init__(self, stable: str, canary: str, share: float) -> None:
        self.versions = (stable, canary)
        self.metrics = {stable: OriginalMetrics(), canary: OriginalMetrics()}
        self._router = OriginalRouter(share)

    def route(self, sticky_key: str) -> str:
        """Return the version of a key."""
        return self.versions[self._router.decide(sticky_key=sticky_key) is Side.CANARY]

    def record(self, version: str, success: bool, latency_ms: float) -> None:
        """Count one outcome of a version.

        Raises:
            ValueError: Another version.
        """
        if version not in self.metrics:
            raise ValueError(f"version must be one of {self.versions}, got {version!r}")
        self.metrics[version].record(success=success, latency_ms=latency_ms)

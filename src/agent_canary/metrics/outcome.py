"""How a request ended."""

from __future__ import annotations

from enum import Enum


class Outcome(str, Enum):
    """How an assignment ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Neither success nor failure: the client left, or the task was cancelled."""

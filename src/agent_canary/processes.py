"""Forked children begin anew."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What must begin anew in a forked child."""

    def forked(self) -> None:
        """Drop the parent's threads, locks and counts."""
        ...


_living: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(forkable: Forkable) -> None:
    """Call ``forkable.forked()`` in each forked child, as long as it lives."""
    _living.add(forkable)


def _after_fork_in_child() -> None:
    for forkable in list(_living):
        forkable.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

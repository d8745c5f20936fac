"""Switches over all canaries of this process: the kill switch, and what users' tests force."""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

KILL_SWITCH = "AGENT_CANARY_DISABLED"


class _Force:
    """One block that forces a version; two of them are never the same, also with one version."""

    def __init__(self, version: str) -> None:
        self.version = version


_disabled = 0
_forced: list[_Force] = []
_listeners: weakref.WeakSet[Any] = weakref.WeakSet()


def is_disabled() -> bool:
    """Return whether every request gets stable: ``AGENT_CANARY_DISABLED=1`` (or true, yes, on), or a test says so."""
    return _disabled > 0 or os.environ.get(KILL_SWITCH, "").strip().lower() in {"1", "true", "yes", "on"}


def forced_version() -> str | None:
    """Return the version that a test forces on everybody, or None."""
    return _forced[-1].version if _forced else None


def listen(listener: Any) -> None:
    """Call ``listener.switched()`` at each change, as long as the listener lives."""
    _listeners.add(listener)


def listeners() -> list[Any]:
    """The living listeners."""
    return list(_listeners)


@contextmanager
def disabled() -> Generator[None]:
    """Send every request to stable for the block, as ``AGENT_CANARY_DISABLED=1`` does, in all threads."""
    global _disabled
    _disabled += 1
    _tell()
    try:
        yield
    finally:
        _disabled -= 1
        _tell()


@contextmanager
def force_version(version: str) -> Generator[None]:
    """Give every request *version* for the block, in all threads, whatever the rollout says.

    Canaries that do not know the version are left alone. The innermost block wins; the old state comes back after it.
    """
    force = _Force(version)
    _forced.append(force)
    _tell()
    try:
        yield
    finally:
        _forced.remove(force)
        _tell()


def _tell() -> None:
    for listener in listeners():
        listener.switched()

"""Checks of what users give to a canary: types say what belongs where, and who has no type checker is told here.

Each raises :class:`ValueError` with the parameter, what is allowed and what was found.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta

from .errors import require_count, require_fraction, require_positive
from .rollout import Event, Rollout
from .stores import Store


def require_functions(
    versions: Mapping[str, object],
    where: str,
    is_refused: Callable[[object], bool] | None = None,
    why: str = "",
) -> None:
    """Refuse versions that *where* cannot call.

    Raises:
        ValueError: One is no function, gives a stream, or is refused for *why*.
    """
    for version, function in versions.items():
        if not callable(function):
            raise ValueError(f"versions must hold functions, got {function!r} for {version!r}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ValueError(
                f"versions must hold functions that return an answer, {function!r} for {version!r} gives a stream, "
                f"which {where}() would take for a success before it has begun: use assign() around it"
            )
        if is_refused is not None and is_refused(function):
            raise ValueError(f"versions must hold plain functions, {function!r} for {version!r} is {why}")


def checked_interval(value: float | timedelta) -> float:
    """Return seconds from a positive number or timedelta."""
    return require_positive("interval", value.total_seconds() if isinstance(value, timedelta) else value)


def require_text(name: str, value: object) -> None:
    """Refuse what is no text, and the empty one."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a non-empty str, got {value!r}")


def require_different(stable_version: str, canary_version: str) -> None:
    """Refuse versions that are no texts, or the same."""
    require_text("stable_version", stable_version)
    require_text("canary_version", canary_version)
    if stable_version == canary_version:
        raise ValueError(f"stable_version and canary_version must differ, both are {stable_version!r}")


def checked_success(value: object) -> bool:
    """Return a bool, also of 0, 1 and NumPy's bools."""
    if value not in (0, 1):
        raise ValueError(f"success must be True or False, got {value!r}")
    return bool(value)


def checked_rollout(value: object) -> Rollout:
    """Return a rollout."""
    if not isinstance(value, Rollout):
        raise ValueError(f"rollout must be a Rollout, such as Rollout([Stage(0.05), Stage(1.0)]), got {value!r}")
    return value


def checked_store(value: object) -> Store:
    """Return a store."""
    if isinstance(value, type) or not isinstance(value, Store):
        raise ValueError(f"store must be a Store, such as MemoryStore(), got {value!r}")
    return value


def checked_autopilot(value: object) -> bool | None:
    """Return True, False or None."""
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"autopilot must be True, False or None, got {value!r}")
    return value


def checked_hook(value: Callable[[Event], object] | None) -> Callable[[Event], object] | None:
    """Return a function or None."""
    if value is not None and not callable(value):
        raise ValueError(f"on_event must be a function of an Event, or None, got {value!r}")
    return value


def checked_margin(margin: float | None, min_samples: int) -> tuple[float, int] | None:
    """Return margin and minimum of samples of the fixed rule, or None without it."""
    count = require_count("rollback_min_samples", min_samples)
    return None if margin is None else (require_fraction("rollback_safety_margin", margin), count)

"""Checks of the shapes that JSON can have where a plan or an event is read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard


def require_mapping(name: str, value: object) -> Mapping[str, Any]:
    """Return *value*, a JSON object.

    Raises:
        ValueError: Not a mapping, or one with keys that are not strings.
    """
    if is_mapping(value) and all(isinstance(key, str) for key in value):
        return value
    raise ValueError(f"{name} must be a JSON object with string keys, got {value!r}")


def require_entry(name: str, data: Mapping[str, Any], key: str) -> Any:
    """Return ``data[key]``.

    Raises:
        ValueError: There is no such key.
    """
    if key not in data:
        raise ValueError(f"{name} must have {key!r}, got only {sorted(data)}")
    return data[key]


def require_text(name: str, value: object) -> str:
    """Return *value*, a string with at least one character.

    Raises:
        ValueError: Not a string, or an empty one.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a string that is not empty, got {value!r}")
    return value


def require_flag(name: str, value: object) -> bool:
    """Return *value*, a bool.

    Raises:
        ValueError: Anything but True and False.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def require_items(name: str, value: object) -> tuple[Any, ...]:
    """Return the items of a list, tuple or other iterable.

    Raises:
        ValueError: Not iterable, or a string or mapping, whose items would be characters or keys.
    """
    if isinstance(value, str | bytes) or is_mapping(value) or not _is_iterable(value):
        raise ValueError(f"{name} must be a list or another iterable of items, got {value!r}")
    return tuple(value)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether *value* is a JSON object, its keys not looked at."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether *value* is what Python writes as a JSON array."""
    return isinstance(value, list | tuple)


def _is_iterable(value: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(value, Iterable)

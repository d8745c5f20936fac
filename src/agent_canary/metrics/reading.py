"""Reading what was written as JSON: each part is checked, and a message says what was found instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard, cast


def part_of(data: object, name: str) -> Any:
    """Return one part of an object.

    Raises:
        ValueError: *data* is no object, or lacks the part.
    """
    if not isinstance(data, Mapping) or name not in data:
        raise ValueError(f"data must be an object with {name!r}, got {data!r}")
    return cast("Mapping[str, Any]", data)[name]


def object_of(what: str, data: object) -> Mapping[str, Any]:
    """Return an object.

    Raises:
        ValueError: *data* is none.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{what} must be an object, got {data!r}")
    return cast("Mapping[str, Any]", data)


def list_of(what: str, data: object) -> list[Any]:
    """Return a list.

    Raises:
        ValueError: *data* is none.
    """
    if not _is_list(data):
        raise ValueError(f"{what} must be a list, got {data!r}")
    return data


def row_of(what: str, columns: tuple[str, ...], data: object) -> list[Any]:
    """Return a list of one value for each column.

    Raises:
        ValueError: *data* is no list, or of another length.
    """
    if not _is_list(data) or len(data) != len(columns):
        raise ValueError(f"{what} must be [{', '.join(columns)}], got {data!r}")
    return data


def integers_of(what: str, data: object, lowest: int, highest: int | None = None) -> list[int]:
    """Return a list of integers as it is, checked by functions in C: a hundred workers' histograms are read at a time.

    Raises:
        ValueError: *data* is no list of integers from *lowest* to *highest*.
    """
    if not _is_list(data) or not set(map(type, data)) <= {int} or not _lie_between(data, lowest, highest):
        allowed = f">= {lowest}" if highest is None else f"in [{lowest}, {highest}]"
        raise ValueError(f"{what} must be a list of integers {allowed}, got {data!r}")
    return data


def _is_list(data: object) -> TypeGuard[list[Any]]:
    return isinstance(data, list)


def _lie_between(numbers: list[int], lowest: int, highest: int | None) -> bool:
    return not numbers or (min(numbers) >= lowest and (highest is None or max(numbers) <= highest))

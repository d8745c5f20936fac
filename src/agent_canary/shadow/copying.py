"""The shadow's own arguments, and the comparison's own answer."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

_IMMUTABLE = frozenset({str, int, float, bool, type(None), bytes, complex})


class Copier:
    """Copies what users' code and shadows could otherwise change under each other.

    Args:
        copy_value: Called with each value; None for :func:`copy.deepcopy`, which takes all arguments at once, so that
            what they share stays shared. Texts, numbers, bytes and None are never copied.
    """

    __slots__ = ("_copy_value",)

    def __init__(self, copy_value: Callable[[Any], Any] | None) -> None:
        self._copy_value = copy_value

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return copies of a call's arguments.

        Raises:
            Exception: Whatever refuses to be copied raises.
        """
        if _IMMUTABLE.issuperset(map(type, args)) and _IMMUTABLE.issuperset(map(type, kwargs.values())):
            return args, kwargs
        if self._copy_value is None:
            return copy.deepcopy((args, kwargs))
        return tuple(map(self.value, args)), {name: self.value(value) for name, value in kwargs.items()}

    def value(self, value: Any) -> Any:
        """Return a copy of one value.

        Raises:
            Exception: Whatever refuses to be copied raises.
        """
        if type(value) in _IMMUTABLE:
            return value
        return copy.deepcopy(value) if self._copy_value is None else self._copy_value(value)


def is_stream(value: object) -> bool:
    """Return whether looking at an answer would take it from the user: an iterator, a generator, an awaitable."""
    return type(value) not in _IMMUTABLE and isinstance(value, Iterator | AsyncIterator | Awaitable)

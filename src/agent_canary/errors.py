"""The library's exceptions, and the checks of arguments that every room shares.

Each check returns the accepted value in its plain type and raises :class:`ValueError` otherwise. The message names the
parameter, the range that is allowed and the value that was found.
"""

from __future__ import annotations

import math
import operator
from datetime import timedelta
from numbers import Real
from typing import NoReturn, SupportsIndex


class AgentCanaryError(Exception):
    """Base of the library's own exceptions; wrong arguments raise :class:`ValueError` instead."""


class IllegalMoveError(AgentCanaryError, RuntimeError):
    """A move that the rollout's present state does not allow, such as promoting one that was rolled back."""


class StoreError(AgentCanaryError):
    """A store could not be read or written."""


class RevisionConflictError(StoreError):
    """Somebody else appended an event first: read the history again, then decide again."""


class MissingExtraError(AgentCanaryError, ImportError):
    """An integration needs a package that is not installed; the message names the extra that brings it."""


def require_fraction(name: str, value: object) -> float:
    """Return *value* as a float in [0, 1].

    Raises:
        ValueError: Not a number (bools are none), or outside of [0, 1].
    """
    number = _finite(value)
    if number is None or not 0.0 <= number <= 1.0:
        hint = f": {number:g} % is {number / 100:g}" if number is not None and 1.0 < number <= 100.0 else ""
        _refuse(name, "a number in [0, 1]", value, hint)
    return number


def require_non_negative(name: str, value: object) -> float:
    """Return *value* as a finite float of at least 0.

    Raises:
        ValueError: Not a number (bools are none), NaN, infinite or negative.
    """
    number = _finite(value)
    if number is None or number < 0.0:
        _refuse(name, "a finite number >= 0", value)
    return number


def require_positive(name: str, value: object) -> float:
    """Return *value* as a finite float above 0.

    Raises:
        ValueError: Not a number (bools are none), NaN, infinite, zero or negative.
    """
    number = _finite(value)
    if number is None or number <= 0.0:
        _refuse(name, "a finite number > 0", value)
    return number


def require_count(name: str, value: object, at_least: int = 0) -> int:
    """Return *value* as an int of at least *at_least*.

    Raises:
        ValueError: Not an integer (bools and floats are none), or below *at_least*.
    """
    if type(value) is int:  # nearly always; isinstance with a Protocol takes microseconds on Python 3.11
        number = value
    elif isinstance(value, bool) or not isinstance(value, SupportsIndex):
        _refuse(name, f"an integer >= {at_least}", value)
    else:
        number = operator.index(value)
    if number < at_least:
        _refuse(name, f"an integer >= {at_least}", value)
    return number


def seconds(name: str, value: float | timedelta) -> float:
    """Return a duration as finite, non-negative seconds.

    Raises:
        ValueError: Neither a number nor a :class:`~datetime.timedelta`, NaN, infinite or negative.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else _finite(value)
    if number is None or number < 0.0:
        _refuse(name, "finite seconds >= 0 or a timedelta", value)
    return number


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _refuse(name: str, allowed: str, value: object, hint: str = "") -> NoReturn:
    raise ValueError(f"{name} must be {allowed}, got {value!r}{hint}")

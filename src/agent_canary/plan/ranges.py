"""Checks of numbers and words that only plans have. Each names parameter, allowed range and value when it refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from numbers import Real
from typing import Any, TypeVar

from ..errors import require_positive, seconds
from .reading import is_array

LARGEST_RATIO = 1000.0

Word = TypeVar("Word", bound=str)


def require_number(name: str, value: object) -> float:
    """Return *value* as a finite float.

    Raises:
        ValueError: Not a number (bools are none), NaN or infinite.
    """
    number = math.nan
    if not isinstance(value, bool) and isinstance(value, Real):
        with suppress(OverflowError):
            number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return number


def require_ratio(name: str, value: object, meaning: str) -> float:
    """Return *value* as a ratio in [1, 1000].

    Args:
        name: The parameter.
        value: What was given.
        meaning: An example that says which way the ratio goes, for the message.

    Raises:
        ValueError: Not a finite number, or out of the range.
    """
    ratio = require_positive(name, value)
    if not 1.0 <= ratio <= LARGEST_RATIO:
        raise ValueError(f"{name} must be a ratio in [1, {LARGEST_RATIO:g}] ({meaning}), got {value!r}")
    return ratio


def require_quantile(name: str, value: object) -> float:
    """Return *value* as a float above 0 and below 1.

    Raises:
        ValueError: Not a number, or out of the range.
    """
    quantile = require_number(name, value)
    if not 0.0 < quantile < 1.0:
        hint = ""
        if 1.0 < quantile < 10.0:
            hint = f": for a tolerance say tolerance={quantile:g}"
        elif 10.0 <= quantile < 100.0:
            hint = f": p{quantile:g} is {quantile / 100.0:g}"
        raise ValueError(f"{name} must be above 0 and below 1, or None for the mix, got {value!r}{hint}")
    return quantile


def require_positive_fraction(name: str, value: object) -> float:
    """Return *value* as a float in (0, 1].

    Raises:
        ValueError: Not a number, or out of the range.
    """
    fraction = require_number(name, value)
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"{name} must be a number above 0 and at most 1, got {value!r}")
    return fraction


def require_bounds(name: str, value: object) -> tuple[float, float]:
    """Return *value* as two numbers of which the first is the smaller.

    Raises:
        ValueError: Not two finite numbers in rising order.
    """
    items: Sequence[Any] = value if is_array(value) else ()
    if len(items) == 2:
        low, high = (require_number(name, item) for item in items)
        if low < high:
            return low, high
    raise ValueError(f"{name} must be (low, high) with low < high, or None where they are not known, got {value!r}")


def require_horizon(name: str, value: float | timedelta | None) -> float | None:
    """Return *value* as seconds above 0, or None.

    Raises:
        ValueError: Neither None nor a positive number or timedelta.
    """
    return None if value is None else require_positive(name, seconds(name, value))


def require_word(name: str, value: object, words: Sequence[Word]) -> Word:
    """Return *value*, one of *words*.

    Raises:
        ValueError: Anything else.
    """
    for word in words:
        if isinstance(value, str) and value == word:
            return word
    raise ValueError(f"{name} must be one of {list(words)}, got {value!r}")

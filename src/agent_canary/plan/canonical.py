"""One text for equal values: JSON in which the order of keys and the spelling of numbers make no difference."""

from __future__ import annotations

import json
import math
from typing import Any

from .reading import is_array, is_mapping


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, without spaces, in ASCII, and with whole numbers as integers.

    Equal numbers give equal text, whether they are int or float: ``300``, ``300.0`` and ``3e2`` are all ``300``.

    Raises:
        ValueError: A number is NaN or infinite, which JSON does not have.
        TypeError: A value is not one of JSON's types.
    """
    return json.dumps(normalised(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def normalised(value: object) -> Any:
    """Return a copy of a JSON value with whole floats as integers and tuples as lists.

    Raises:
        ValueError: A number is NaN or infinite, which JSON does not have.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a number in JSON must be finite, got {value!r}")
        return int(value) if value.is_integer() else value
    if is_mapping(value):
        return {str(key): normalised(entry) for key, entry in value.items()}
    if is_array(value):
        return [normalised(item) for item in value]
    return value

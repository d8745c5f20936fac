"""Numbers by the thousand as one JSON text: eight bytes each, little-endian, in base64.

A hundred workers' tables are read at each analysis. This is half as long as decimal numbers and quicker to read, and no
store or reader that knows doubles only can round a 64-bit unit.
"""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, cast

_BYTES = 8


def units_to_text(units: Sequence[int]) -> str:
    """Return unsigned 64-bit integers as text."""
    return _to_text("Q", units)


def units_from_text(name: str, text: object) -> tuple[int, ...]:
    """Return the integers that :func:`units_to_text` wrote.

    Raises:
        ValueError: *text* is not what it writes; the message names *name*.
    """
    return cast("tuple[int, ...]", _from_text("Q", name, text))


def seconds_to_text(seconds: Sequence[float]) -> str:
    """Return floats as text, to the last bit."""
    return _to_text("d", seconds)


def seconds_from_text(name: str, text: object) -> tuple[float, ...]:
    """Return the floats that :func:`seconds_to_text` wrote.

    Raises:
        ValueError: *text* is not what it writes; the message names *name*.
    """
    return cast("tuple[float, ...]", _from_text("d", name, text))


def _to_text(kind: str, numbers: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(numbers)}{kind}", *numbers)).decode("ascii")


def _from_text(kind: str, name: str, text: object) -> tuple[Any, ...]:
    try:
        data = b64decode(text, validate=True) if isinstance(text, str) else b"?"
    except (binascii.Error, ValueError):
        data = b"?"
    count, rest = divmod(len(data), _BYTES)
    if rest:
        raise ValueError(f"{name} must be base64 of numbers of {_BYTES} bytes each, got {text!r}")
    return struct.unpack(f"<{count}{kind}", data)

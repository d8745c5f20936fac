"""Numbers by the thousand as one JSON text: of one width, little-endian, in base64.

A hundred workers' tables are read at each analysis. This is half as long as decimal numbers and quicker to read, and no
store or reader that knows doubles only can round a 64-bit unit.
"""

from __future__ import annotations

import binascii
import struct
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, cast

_BYTES = 8
_KINDS = {array(kind).itemsize: kind for kind in "BHIQ"}
"""Unsigned integers by their bytes: 1, 2, 4 and 8."""


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


def counts_to_text(counts: Sequence[int]) -> str:
    """Return unsigned integers as text: as few bytes for each as the largest needs, and none where all are 0."""
    largest = max(counts, default=0)
    if not largest:
        return ""
    width = next(width for width in _KINDS if largest < 1 << 8 * width)
    return b64encode(_little_endian(array(_KINDS[width], counts)).tobytes()).decode("ascii")


def counts_from_text(name: str, text: object, length: int) -> array[int]:
    """Return the *length* integers that :func:`counts_to_text` wrote, eight bytes each.

    Raises:
        ValueError: *text* is not what it writes; the message names *name*.
    """
    data = _decoded(text)
    if data == b"":
        return array("Q", bytes(_BYTES * length))
    width, rest = (0, 1) if data is None else divmod(len(data), length)
    if data is None or rest or width not in _KINDS:
        raise ValueError(f"{name} must be base64 of {length} counts of 1, 2, 4 or 8 bytes each, got {text!r}")
    return array("Q", _little_endian(array(_KINDS[width], data)))


def _little_endian(column: array[int]) -> array[int]:
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _to_text(kind: str, numbers: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(numbers)}{kind}", *numbers)).decode("ascii")


def _from_text(kind: str, name: str, text: object) -> tuple[Any, ...]:
    data = _decoded(text)
    if data is None or len(data) % _BYTES:
        raise ValueError(f"{name} must be base64 of numbers of {_BYTES} bytes each, got {text!r}")
    return struct.unpack(f"<{len(data) // _BYTES}{kind}", data)


def _decoded(text: object) -> bytes | None:
    """The bytes of a text in base64; None when it is none."""
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        return None

r"""The one hash of a sticky key: its bucket, its cluster and its unit.

The layout is frozen for ever by published test vectors: a change would move every user of every running
rollout. One MD5 of the salt, the separator ``\x1f`` and the key (UTF-8; no separator with an empty salt) gives

* bytes 0 to 3, big-endian: the bucket, divided by 2**32, a number in [0, 1);
* byte 4, lower six bits: the cluster, 0 to 63;
* bytes 8 to 15, big-endian: the unit, the sticky key as the statistics see it.
"""

from __future__ import annotations

import math
from hashlib import md5
from uuid import UUID

SEPARATOR = b"\x1f"
CLUSTERS = 64
_ABOVE_EVERY_DIGEST = b"\xff" * 17

StickyKey = str | int | UUID


def text_bytes(text: str) -> bytes:
    """UTF-8 of any text; lone surrogates keep a distinct encoding of their own instead of raising."""
    return text.encode("utf-8", "surrogatepass")


def salt_prefix(salt: str) -> bytes:
    """The bytes that stand before the key in what is hashed."""
    return text_bytes(salt) + SEPARATOR if salt else b""


def key_bytes(key: object) -> bytes:
    """The bytes of a sticky key: text as UTF-8, integers and UUIDs by their text.

    Raises:
        TypeError: *key* is of another type.
    """
    if isinstance(key, str):
        return text_bytes(key)
    if isinstance(key, (int, UUID)) and not isinstance(key, bool):
        return str(key).encode()
    raise TypeError(f"a sticky key is a str, an int or a UUID, got {type(key).__name__}; pass str(key)")


def digest_of(prefix: bytes, key: object) -> bytes:
    """The 16 bytes that decide everything about *key*. Raises TypeError for a key of a wrong type."""
    return md5(prefix + key_bytes(key), usedforsecurity=False).digest()


def bucket_of(digest: bytes) -> float:
    """The bucket, a multiple of 2**-32 in [0, 1)."""
    return int.from_bytes(digest[:4], "big") / 4294967296.0


def cluster_of(digest: bytes) -> int:
    """The cluster, 0 to 63, from bits that routing does not use."""
    return digest[4] & (CLUSTERS - 1)


def unit_of(digest: bytes) -> int:
    """The unit, 0 to 2**64 - 1."""
    return int.from_bytes(digest[8:], "big")


def threshold_of(share: float) -> bytes:
    """The bytes that a digest is below exactly when its bucket is below *share*.

    Comparing bytes spares the request path a number. Exact: a bucket is a multiple of 2**-32, and a digest that
    begins with the threshold's own four bytes is longer, hence not below it.
    """
    lowest_excluded = math.ceil(share * 4294967296.0)
    if lowest_excluded > 0xFFFFFFFF:
        return _ABOVE_EVERY_DIGEST
    return lowest_excluded.to_bytes(4, "big") if lowest_excluded else b""

"""The fields of HTTP that adapters read and write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

# RFC 9110, section 5.6.2; the names of header fields (section 5.1) and of cookies (RFC 6265, section 4.1.1) are tokens.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_PRINTABLE_ASCII = "".join(map(chr, range(0x20, 0x7F)))


def is_token(name: object) -> bool:
    """Whether *name* can be the name of a header field or of a cookie."""
    return isinstance(name, str) and _TOKEN.fullmatch(name) is not None


def field_name(response_header: str | None) -> str | None:
    """Return the name of the header that tells clients their version.

    Raises:
        ValueError: It is no header's name.
    """
    if response_header is None or is_token(response_header):
        return response_header
    raise ValueError(f"response_header must be a header's name, such as 'X-Agent-Version', got {response_header!r}")


# Versions are few, requests are many.
@lru_cache(maxsize=64)
def field_value(version: str) -> str:
    """Return a version as a header's value: what is not printable ASCII is percent-encoded."""
    return quote(version, safe=_PRINTABLE_ASCII, errors="replace")


def added_headers(version: str, set_cookie: str | None, header_name: str | None) -> list[tuple[str, str]] | None:
    """Return the headers that an adapter adds to an answer; None, not an empty list, for none.

    Args:
        version: The version that answers.
        set_cookie: The value of the ``Set-Cookie`` header, if one is needed.
        header_name: The header that tells clients their version, if one does.
    """
    if set_cookie is None and header_name is None:
        return None
    headers = [] if set_cookie is None else [("Set-Cookie", set_cookie)]
    if header_name is not None:
        headers.append((header_name, field_value(version)))
    return headers


def read_cookie(cookie_header: str, name: str) -> Iterator[str]:
    """Yield the values that a ``Cookie`` header has for *name*: several when they were set for several paths."""
    if name in cookie_header:
        for pair in cookie_header.split(";"):
            found, _, value = pair.partition("=")
            if found.strip() == name:
                yield value.strip()

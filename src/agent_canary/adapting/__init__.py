"""What every web adapter needs and no framework gives: who asks, which paths count, what the answer's headers say.

Text in, text out. Header values are text as the server read it (latin-1); an adapter whose framework has bytes decodes
them.
"""

from __future__ import annotations

from ..sticky_key import StickyKey
from .cookie import COOKIE_MAX_AGE, FIRST_REQUESTS_WINDOW, Client, Signer, StickyCookie
from .headers import added_headers, field_name, field_value, read_cookie
from .identity import Canary, Identifier
from .paths import PathFilter, PathRule, PathRules

__all__ = [
    "COOKIE_MAX_AGE",
    "FIRST_REQUESTS_WINDOW",
    "Canary",
    "Client",
    "Identifier",
    "PathFilter",
    "PathRule",
    "PathRules",
    "Signer",
    "StickyCookie",
    "StickyKey",
    "added_headers",
    "field_name",
    "field_value",
    "read_cookie",
]

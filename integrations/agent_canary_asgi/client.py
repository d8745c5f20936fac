"""A request's scope, as the cookie needs to see it."""

from __future__ import annotations

from .types import Scope


class ScopeClient:
    """The client of one request.

    Args:
        scope: The request's.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def header(self, name: str) -> str:
        """Return the value of the header *name* (lower case), or an empty text."""
        wanted = name.encode("ascii")
        values = [value for found, value in self._scope["headers"] if found == wanted]
        # HTTP/2 may split the Cookie header, and no other (RFC 9113, section 8.2.3).
        return (b"; " if name == "cookie" else b", ").join(values).decode("latin-1")

    @property
    def address(self) -> str:
        """The client's network address, or an empty text."""
        client = self._scope.get("client")
        return client[0] if client else ""

    @property
    def is_secure(self) -> bool:
        """Whether the request came over https."""
        return self._scope.get("scheme") in ("https", "wss")

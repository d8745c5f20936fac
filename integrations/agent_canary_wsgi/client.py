"""A request's environ, as the cookie and the path filter need to see it."""

from __future__ import annotations

from .types import Environ


class EnvironClient:
    """The client of one request.

    Args:
        environ: The request's.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def header(self, name: str) -> str:
        """Return the value of the header *name* (lower case), or an empty text."""
        value: str = self._environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")
        return value

    @property
    def address(self) -> str:
        """The client's network address, or an empty text."""
        address: str = self._environ.get("REMOTE_ADDR") or ""
        return address

    @property
    def is_secure(self) -> bool:
        """Whether the request came over https."""
        return self._environ.get("wsgi.url_scheme") == "https"


def path_of(environ: Environ) -> str:
    """Return the URL's path as the client sees it: below a mount too, percent-decoded."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    # PEP 3333: the server decoded the bytes as latin-1.
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")

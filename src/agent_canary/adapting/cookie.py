"""The cookie by which anonymous clients are known again."""

from __future__ import annotations

import hashlib
import re
from hmac import compare_digest
from typing import Protocol

from ..clock import Clock
from .headers import is_token, read_cookie

COOKIE_MAX_AGE = 90 * 24 * 60 * 60
"""How long a client keeps the cookie, in seconds: longer than a rollout should take."""

FIRST_REQUESTS_WINDOW = 60.0
"""Seconds within which requests of one client without a cookie get the same key."""

_KEY_LENGTH = 32
_UNSIGNED = re.compile(r"[0-9a-f]{32}")
_SIGNED = re.compile(r"[0-9a-f]{32}\.[\w-]{1,128}", re.ASCII)


class Signer(Protocol):
    """What a cookie needs of a canary."""

    @property
    def name(self) -> str: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def has_secret(self) -> bool: ...
    def sign(self, text: str, /) -> str: ...
    def unsign(self, text: str, /) -> str | None: ...


class Client(Protocol):
    """One request, as far as a cookie is concerned."""

    def header(self, name: str) -> str:
        """Return the value of the header *name* (lower case), or an empty text."""
        ...

    @property
    def address(self) -> str:
        """The network address that the server saw, without the port; may be empty."""
        ...

    @property
    def is_secure(self) -> bool:
        """Whether the request came over https."""
        ...


class StickyCookie:
    """Reads and makes the cookie that holds an anonymous client's key: 128 bits in hexadecimal.

    A client's first requests may arrive together, at several workers, none with a cookie. Random keys would differ,
    and the client would keep whichever answer came last. So a new key is a hash of what such requests share, the
    client's address, ``User-Agent`` and ``Accept-Language``, and of the minute, keyed by the canary's secret. Every
    worker with that secret derives the same key, and nobody without it can foresee the key or get the address from it.

    The price: clients behind one address, with equal browsers, that first come within the same minute share a key,
    hence a version, and are one unit of evidence; and first requests on both sides of a minute's end get two keys, of
    which the client keeps the last. Without the minute the second could not happen, but a whole office would be one
    user, and a client that deletes its cookies would be known again, which it did not want.

    Without a secret the hash is keyed by the rollout's name only, and cookies are not signed: a client can choose its
    version, and who finds a cookie can test guesses of the address it was made for. Give one where that matters.

    Args:
        canary: Whose secret signs, whose clock tells the minute.
        name: The cookie's name; another one for each rollout, since each refuses what another signed.

    Raises:
        ValueError: *name* is no cookie name.
    """

    def __init__(self, canary: Signer, name: str) -> None:
        if not is_token(name):
            raise ValueError(f"cookie must be a cookie's name (letters, digits and !#$%&'*+.^_`|~-), got {name!r}")
        self._canary = canary
        self._name = name

    def identify(self, client: Client) -> tuple[str, str | None]:
        """Return the client's key, and the value of the ``Set-Cookie`` header that its answer needs, if any."""
        key, is_current = self._read(client.header("cookie"))
        if key is not None and is_current:
            return key, None
        key = key or self.new_key(client)
        return key, self.set_cookie(key, secure=client.is_secure)

    def new_key(self, client: Client) -> str:
        """Return the key of a client without a cookie, the same for all its requests of this minute."""
        minute = int(self._canary.clock.wall() // FIRST_REQUESTS_WINDOW)
        origin = "\x1f".join(("cookie", self._canary.name, *_shared_by_first_requests(client), str(minute)))
        keyed = self._canary.sign(origin) if self._canary.has_secret else origin
        return hashlib.sha256(keyed.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_LENGTH]

    def set_cookie(self, key: str, *, secure: bool) -> str:
        """Return the value of the ``Set-Cookie`` header that gives a client *key*; *secure* for https only."""
        value = self._canary.sign(key) if self._canary.has_secret else key
        attributes = f"; Path=/; Max-Age={COOKIE_MAX_AGE}; HttpOnly; SameSite=Lax"
        return f"{self._name}={value}{attributes}{'; Secure' if secure else ''}"

    def _read(self, cookie_header: str) -> tuple[str | None, bool]:
        """Return the key, and whether its cookie is as we would make it now (and not signed by an older secret)."""
        if not self._canary.has_secret:
            return next(filter(_UNSIGNED.fullmatch, read_cookie(cookie_header, self._name)), None), True
        key = None
        for value in filter(_SIGNED.fullmatch, read_cookie(cookie_header, self._name)):
            if compare_digest(self._canary.sign(value[:_KEY_LENGTH]), value):
                return value[:_KEY_LENGTH], True
            key = key or self._canary.unsign(value)
        return key, False


def _shared_by_first_requests(client: Client) -> tuple[str, ...]:
    """What one client's simultaneous requests have in common, whatever the resource, and other clients may not."""
    # Behind a proxy that the server was not told to trust, the client is named here. It is the client's word,
    # which can only make itself another stranger.
    forwarded = client.header("x-forwarded-for").partition(",")[0].strip()
    return client.address, forwarded, client.header("user-agent"), client.header("accept-language")

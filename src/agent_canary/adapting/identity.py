"""Who sends a request: the sticky key, from the user's function or from the cookie."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..failsafe import Failsafe
from ..sticky_key import StickyKey
from .cookie import Client, Signer, StickyCookie

Request = TypeVar("Request")
Identity = tuple[StickyKey | None, str | None]
"""The sticky key (None: stable), and the value of the ``Set-Cookie`` header that the answer needs, if any."""

_NOBODY: Identity = (None, None)


class Canary(Signer, Protocol):
    """What an adapter's identification needs of a canary."""

    @property
    def failsafe(self) -> Failsafe: ...


class Identifier(Generic[Request]):
    """Finds the sticky key of a request.

    Args:
        canary: Counts what goes wrong in *key*, and signs the cookie.
        key: Gets the adapter's request and returns the sticky key, or None for a client that it does not know.
        cookie: Name of the cookie by which clients are known that *key* does not know.
        client: Makes of the adapter's request what the cookie looks at.
        if_async: What to do instead of giving a *key* that must be awaited.

    Raises:
        ValueError: Neither *key* nor *cookie* is given, *key* is no plain function, or *cookie* is no cookie name.
    """

    def __init__(
        self,
        canary: Canary,
        key: Callable[[Request], StickyKey | None] | None,
        cookie: str | None,
        client: Callable[[Request], Client],
        *,
        if_async: str = "open the assignment inside the app, by canary.assign",
    ) -> None:
        if not hasattr(canary, "failsafe"):  # types say so; who has no type checker is told here
            raise ValueError(f"canary must be an AgentCanary, got {canary!r}")
        if key is None and cookie is None:
            raise ValueError(
                "key and cookie are both None, so no request would ever get the canary; give key=, a function of the "
                'request that returns who asks (a user, a tenant, a conversation), or cookie="agent_canary" to know '
                "anonymous clients by a cookie, or both"
            )
        if key is not None and (not callable(key) or inspect.iscoroutinefunction(key)):
            raise ValueError(
                f"key must be a plain function of the request, got {key!r}; for a key that must be awaited, {if_async}"
            )
        self._failsafe = canary.failsafe
        self._key = key
        self._cookie = None if cookie is None else StickyCookie(canary, cookie)
        self._client = client

    def identify(self, request: Request) -> Identity:
        """Return the sticky key and the cookie to set; never raises."""
        try:
            if self._key is not None:
                sticky_key = self._key(request)
                if sticky_key is not None:
                    return sticky_key, None
            return _NOBODY if self._cookie is None else self._cookie.identify(self._client(request))
        except Exception as error:
            self._failsafe.note("key", error)
            return _NOBODY

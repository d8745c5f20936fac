"""The few names that every module of this adapter speaks, as the ASGI specification (3.0) gives them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from agent_canary import adapting
from agent_canary.adapting import StickyKey

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Header = tuple[bytes, bytes]
KeyFunction = Callable[[Scope], StickyKey | None]
PathRules = adapting.PathRules[Scope]

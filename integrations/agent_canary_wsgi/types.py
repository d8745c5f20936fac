"""The few names that every module of this adapter speaks, as PEP 3333 gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from agent_canary import adapting
from agent_canary.adapting import StickyKey

__all__ = ["Environ", "Header", "KeyFunction", "PathRules", "StartResponse", "StickyKey", "WSGIApplication"]

Environ = dict[str, Any]
Header = tuple[str, str]
KeyFunction = Callable[[Environ], StickyKey | None]
PathRules = adapting.PathRules[Environ]

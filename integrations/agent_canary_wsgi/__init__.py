"""Canary releases for WSGI apps: Flask, Django, Bottle, Falcon and any other."""

from __future__ import annotations

from .middleware import CanaryMiddleware
from .versioned import VersionedApp

__all__ = ["CanaryMiddleware", "VersionedApp"]

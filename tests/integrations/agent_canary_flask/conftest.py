"""A canary on a manual clock, and Flask apps to put it in."""

from __future__ import annotations

import flask
import pytest


@pytest.fixture
def app() -> flask.Flask:
    """Return an app as it is in production: it answers what it did not handle with a 500."""
    return flask.Flask("shop")

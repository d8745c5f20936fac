"""Exceptions that may leave a request's code, and how the request has ended then."""

from __future__ import annotations

import asyncio
import concurrent.futures

from agent_canary import Outcome


class ClientLeftError(Exception):
    """What a framework raises when the client is gone."""


ERRORS = [
    (RuntimeError("app"), Outcome.FAILED),
    (TimeoutError(), Outcome.FAILED),
    (StopIteration(), Outcome.FAILED),
    (GeneratorExit(), Outcome.CANCELLED),
    (KeyboardInterrupt(), Outcome.CANCELLED),
    (SystemExit(1), Outcome.CANCELLED),
    (asyncio.CancelledError(), Outcome.CANCELLED),
    (concurrent.futures.CancelledError(), Outcome.CANCELLED),
    (ExceptionGroup("all", [ValueError(), KeyError()]), Outcome.FAILED),
    (BaseExceptionGroup("all", [asyncio.CancelledError(), KeyboardInterrupt()]), Outcome.CANCELLED),
    (BaseExceptionGroup("mixed", [asyncio.CancelledError(), ValueError()]), Outcome.FAILED),
    (ExceptionGroup("of cancelled", [concurrent.futures.CancelledError()]), Outcome.CANCELLED),
    (
        BaseExceptionGroup("deep", [BaseExceptionGroup("in", [GeneratorExit(), ExceptionGroup("x", [ValueError()])])]),
        Outcome.FAILED,
    ),
    (BaseExceptionGroup("deep", [BaseExceptionGroup("in", [GeneratorExit()])]), Outcome.CANCELLED),
]
BY_NAME = [f"{type(error).__name__}-{error}" for error, _ in ERRORS]

"""Shadow deployments that end with the test, and a gate at which shadows wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_canary.shadow import ShadowDeployment, ShadowResult
from agent_canary.testing import ManualClock

WAIT_SECONDS = 10


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock that timeouts and latencies go by."""
    return ManualClock()


class Gate:
    """A place where shadows wait until it is opened, at the end of the test at the latest."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._arrivals = threading.Semaphore(0)

    def wait(self, *_: Any) -> str:
        """Say that somebody is here, and wait."""
        self._arrivals.release()
        assert self._opened.wait(6 * WAIT_SECONDS)  # longer than anybody waits for somebody who waits here
        return "late"

    def await_arrivals(self, count: int) -> None:
        """Return when *count* more are here."""
        for _ in range(count):
            assert self._arrivals.acquire(timeout=WAIT_SECONDS)

    def open(self) -> None:
        """Let all go on."""
        self._opened.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Return a gate that opens after the test."""
    made = Gate()
    yield made
    made.open()


@pytest.fixture
def results() -> list[ShadowResult]:
    """Return what the deployments of :func:`make_shadow` told their hook."""
    return []


@pytest.fixture
def make_shadow(
    clock: ManualClock, results: list[ShadowResult], gate: Gate
) -> Iterator[Callable[..., ShadowDeployment[..., Any]]]:
    """Return a maker of deployments on the manual clock, which are shut down after the test."""
    made: list[ShadowDeployment[..., Any]] = []

    def make(*args: Any, **options: Any) -> ShadowDeployment[..., Any]:
        made.append(ShadowDeployment(*args, **{"clock": clock, "on_result": results.append, **options}))
        return made[-1]

    yield make
    for shadow in made:
        shadow.shutdown(wait=False)
    gate.open()

"""What every test must leave behind: nothing."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from agent_canary import switches
from agent_canary.context import assignment_var, shadow_var

# A slow machine is no failure, no run depends on what an earlier one found, and where changes are judged each run tries
# the same examples; new ones are tried where people work.
hypothesis.settings.register_profile("project", deadline=None, database=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("project")

_ROOT = Path(__file__).parent.parent


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run asynchronous tests on both event loops."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread, a current assignment, a switch or a file in the project behind."""
    threads, files = set(threading.enumerate()), _files()
    yield
    for thread in _new_threads(threads):
        thread.join(timeout=5)  # an event loop's thread pool ends a moment after its loop
    left = sorted(thread.name for thread in _new_threads(threads))
    assert not left, f"threads are left: {left}"
    context = contextvars.copy_context()
    assert context.get(assignment_var) is None, "an assignment is still current"
    assert not context.get(shadow_var), "the test's context is still a shadow's"
    assert switches.forced_version() is None, "a version is still forced"
    assert _files() <= files, f"files are left: {sorted(_files() - files)}"


def _new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    # Trio keeps idle threads for the next loop of the process, for ten seconds.
    return {thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("Trio thread")}


def _files() -> set[str]:
    return {path.name for path in _ROOT.iterdir() if not path.name.startswith(".")}

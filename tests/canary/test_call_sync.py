"""``call``: routes, runs and reports in a line. The twin of test_call_async."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent_canary import AgentCanary, Assignment, Reason, Stage, current_assignment
from tests.canary.kit import counted, key_on

Make = Callable[..., AgentCanary]


def old(*args: object, **kwargs: object) -> tuple[str, object, object]:
    """The stable version."""
    return "old", args, kwargs


def new(*args: object, **kwargs: object) -> tuple[str, object, object]:
    """The canary."""
    return "new", args, kwargs


def broken(*args: object, **kwargs: object) -> tuple[str, object, object]:
    """A canary that raises."""
    raise LookupError("no such tool")


def test_it_runs_the_version_of_the_key(canary: AgentCanary) -> None:
    """With the arguments as they are given, and counts a success."""
    versions = {"v1": old, "v2": new}
    assert canary.call(key_on(canary, "v1"), versions, 1, b=2) == ("old", (1,), {"b": 2})
    assert canary.call(key_on(canary, "v2"), versions, 1, b=2) == ("new", (1,), {"b": 2})
    assert counted(canary, "v1") == counted(canary, "v2") == (1, 0, 0)


def test_without_a_key_it_runs_stable(make_canary: Make) -> None:
    """Adapters never toss coins."""
    canary = make_canary(stages=[Stage(1.0)])
    assert canary.call(None, {"v1": old, "v2": new})[0] == "old"


def test_the_function_sees_its_assignment(canary: AgentCanary) -> None:
    """And the caller does not."""
    found: list[Assignment | None] = []

    def look() -> None:
        found.append(current_assignment())

    canary.call(key_on(canary, "v2"), {"v1": look, "v2": look})
    assert found[0] is not None
    assert found[0].version == "v2"
    assert current_assignment() is None


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_exception_is_the_callers(canary: AgentCanary, version: str) -> None:
    """Raised unchanged, and counted as a failure with its name."""
    with pytest.raises(LookupError, match="no such tool"):
        canary.call(key_on(canary, version), {"v1": broken, "v2": broken})
    assert counted(canary, version) == (0, 1, 0)
    assert canary.status()["failure_reasons"][version] == {"LookupError": 1}
    assert canary.status()["errors"] == {}


def test_stable_answers_for_a_canary_that_raises(canary: AgentCanary, caplog: pytest.LogCaptureFixture) -> None:
    """With fallback=True: the user gets stable's answer, the canary's failure counts, and stable's answer does not."""
    key = key_on(canary, "v2")
    for _ in range(2):
        assert canary.call(key, {"v1": old, "v2": broken}, 7, fallback=True, b=8) == ("old", (7,), {"b": 8})
    assert (counted(canary, "v1"), counted(canary, "v2")) == ((0, 0, 0), (0, 2, 0))
    assert canary.status()["errors"] == {"canary (stable answered)": 2}
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None


def test_the_stand_in_sees_that_it_is_stable(canary: AgentCanary) -> None:
    """Nested code that asks gets stable's version, and a nested call joins it."""
    found: list[tuple[str, Reason]] = []

    def look() -> None:
        assignment = current_assignment()
        assert assignment is not None
        found.append((assignment.version, assignment.reason))
        canary.call(key_on(canary, "v2"), {"v1": old, "v2": broken})

    canary.call(key_on(canary, "v2"), {"v1": look, "v2": broken}, fallback=True)
    assert found == [("v1", Reason.ERROR)]
    assert (counted(canary, "v1"), counted(canary, "v2")) == ((0, 0, 0), (0, 1, 0))
    assert current_assignment() is None


def test_stable_that_raises_has_no_stand_in(canary: AgentCanary) -> None:
    """Neither as the version of the key nor as the stand-in: it is asked once, and its exception is the caller's."""
    asked: list[object] = []

    def broken_stable(number: int) -> None:
        asked.append(number)
        raise LookupError("no such tool")

    with pytest.raises(LookupError):
        canary.call(key_on(canary, "v1"), {"v1": broken_stable, "v2": new}, 1, fallback=True)
    with pytest.raises(LookupError):
        canary.call(key_on(canary, "v2"), {"v1": broken_stable, "v2": broken}, 2, fallback=True)
    assert asked == [1, 2]
    assert (counted(canary, "v1"), counted(canary, "v2")) == ((0, 1, 0), (0, 1, 0))


def test_a_cancellation_is_not_answered_by_stable(canary: AgentCanary) -> None:
    """Nobody waits for an answer any more."""

    def cancelled() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        canary.call(key_on(canary, "v2"), {"v1": cancelled, "v2": cancelled}, fallback=True)
    assert counted(canary, "v2") == (0, 0, 1)


@pytest.mark.parametrize("versions", [{}, {"v1": old}, {"v1": old, "v3": new}, {"v1": old, "v2": new, "v3": new}])
def test_both_versions_must_be_there(canary: AgentCanary, versions: Any) -> None:
    """And no other: refused before anybody is routed."""
    with pytest.raises(ValueError, match=r"versions must have exactly the keys \['v1', 'v2'\], got "):
        canary.call("ada", versions)
    assert canary.status()["open_assignments"] == 0


def test_a_call_in_a_live_assignment_joins_it(canary: AgentCanary) -> None:
    """One request, one version, one outcome."""
    with canary.assign(key_on(canary, "v2")):
        assert canary.call(key_on(canary, "v1"), {"v1": old, "v2": new})[0] == "new"
    assert counted(canary, "v2") == (1, 0, 0)


def test_a_fallback_inside_an_assignment_fails_that_one(canary: AgentCanary) -> None:
    """The user has stable's answer, and the canary its failure, although the outer block ends well."""
    key = key_on(canary, "v2")
    with canary.assign(key):
        assert canary.call(key, {"v1": old, "v2": broken}, fallback=True)[0] == "old"
    assert counted(canary, "v2") == (0, 1, 0)


def test_a_function_that_cannot_be_called_is_refused(canary: AgentCanary) -> None:
    """Before anything is counted: what is no function, a stream, and what call() cannot wait for."""

    def stream() -> Any:
        yield 1

    async def asynchronous() -> None: ...

    for wrong in (5, stream, asynchronous):
        with pytest.raises(ValueError, match=r"^versions must hold "):
            canary.call("user", {"v1": old, "v2": wrong})  # type: ignore[dict-item]
    assert counted(canary, "v1") == counted(canary, "v2") == (0, 0, 0)

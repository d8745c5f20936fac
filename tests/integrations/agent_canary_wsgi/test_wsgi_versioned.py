"""Two whole apps behind one address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent_canary import AgentCanary, Outcome
from agent_canary.testing import disabled, force_version
from agent_canary_wsgi import VersionedApp


def app_of(name: str, status: str = "200 OK") -> Callable[..., Any]:
    """Return an app that says its name."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [])
        return [name.encode()]

    return app


@pytest.fixture
def apps() -> dict[str, Callable[..., Any]]:
    """Return two apps."""
    return {"v1": app_of("old"), "v2": app_of("new", "503 Busy")}


def test_the_key_chooses_the_app(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """Each request is served by the app of its version, and reported as that version's."""
    app = VersionedApp(canary, apps, key=lambda environ: environ["PATH_INFO"][1:], response_header="v")
    alice, bob = wire("/alice"), wire("/bob")
    alice.run(app)
    bob.run(app)
    assert (alice.sent, bob.sent) == ([b"new"], [b"old"])
    assert (alice.headers, bob.headers) == ([("v", "v2")], [("v", "v1")])
    assert (alice.assignment.outcome, bob.assignment.outcome) == (Outcome.FAILED, Outcome.SUCCEEDED)


def test_what_does_not_count_gets_stable(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """A path outside is served by stable's app and not assigned, even to who is on the canary."""
    request = wire("/health")
    request.run(VersionedApp(canary, apps, key=lambda environ: "alice", exclude="/health"))
    assert request.sent == [b"old"]
    assert "agent_canary.version" not in request.environ


def test_a_version_of_another_canary_gets_stable(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """What a middleware of another rollout left in the environ chooses no app here."""
    request = wire("/health", **{"agent_canary.version": "prompt-7"})
    request.run(VersionedApp(canary, apps, key=lambda environ: "alice", exclude="/health"))
    assert request.sent == [b"old"]


@pytest.mark.parametrize("versions", [[], ["v1"], ["v1", "v3"], ["v1", "v2", "v3"]])
def test_other_versions_are_refused(canary: AgentCanary, versions: list[str]) -> None:
    """There must be an app for each of the two versions, and no other."""
    with pytest.raises(ValueError, match=r"apps must have exactly the keys \['v1', 'v2'\]"):
        VersionedApp(canary, {version: app_of(version) for version in versions}, cookie="who")


def test_switches_hold(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """A forced version and the kill switch choose the app."""
    app = VersionedApp(canary, apps, key=lambda environ: environ["PATH_INFO"][1:])
    forced, off = wire("/bob"), wire("/alice")
    with force_version("v2"):
        forced.run(app)
    with disabled():
        off.run(app)
    assert (forced.sent, off.sent) == ([b"new"], [b"old"])

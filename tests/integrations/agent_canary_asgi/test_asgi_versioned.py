"""Two whole apps behind one address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from agent_canary import AgentCanary, Outcome
from agent_canary.testing import disabled, force_version
from agent_canary_asgi import VersionedApp

pytestmark = pytest.mark.anyio


class NamedApp:
    """An app that answers with its name, and keeps what it was given."""

    def __init__(self, name: str, status: int = 200, startup: str = "complete", shutdown: str = "complete") -> None:
        self.name = name
        self.status = status
        self.startup, self.shutdown = startup, shutdown
        self.scopes: list[dict[str, Any]] = []
        self.heard: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await getattr(self, scope["type"])(scope, receive, send)

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.name.encode()})

    async def websocket(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": self.name})

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        if self.startup == "refused":
            raise ValueError(f"{self.name} has no lifespan")
        self.heard.append((await receive())["type"])
        scope["state"]["model"] = self.name
        await send({"type": f"lifespan.startup.{self.startup}", "message": f"{self.name} cannot start"})
        if self.startup == "complete":
            self.heard.append((await receive())["type"])
            await send({"type": f"lifespan.shutdown.{self.shutdown}", "message": f"{self.name} cannot stop"})


def key(scope: Any) -> str:
    return str(scope["path"][1:])


@pytest.fixture
def apps() -> dict[str, NamedApp]:
    """Return two apps."""
    return {"v1": NamedApp("old"), "v2": NamedApp("new", 503)}


async def test_the_key_chooses_the_app(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """Each request is served by the app of its version, and reported as that version's."""
    app = VersionedApp(canary, apps, key=key, response_header="v")
    alice, bob = wire("/alice"), wire("/bob")
    await alice.run(app)
    await bob.run(app)
    assert (alice.sent[1]["body"], bob.sent[1]["body"]) == (b"new", b"old")
    assert (alice.headers, bob.headers) == ([(b"v", b"v2")], [(b"v", b"v1")])
    assert (alice.assignment.outcome, bob.assignment.outcome) == (Outcome.FAILED, Outcome.SUCCEEDED)


async def test_what_does_not_count_gets_stable(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """A path outside is served by stable's app and not assigned, even to who is on the canary."""
    request = wire("/health")
    await request.run(VersionedApp(canary, apps, key=lambda scope: "alice", exclude="/health"))
    assert request.sent[1]["body"] == b"old"
    assert "agent_canary" not in request.scope["state"]


async def test_a_version_of_another_canary_gets_stable(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """What a middleware of another rollout left in the state chooses no app here."""
    request = wire("/health", state={"agent_canary_version": "prompt-7"})
    await request.run(VersionedApp(canary, apps, key=key, exclude="/health"))
    assert request.sent[1]["body"] == b"old"


@pytest.mark.parametrize("versions", [[], ["v1"], ["v1", "v3"], ["v1", "v2", "v3"]])
def test_other_versions_are_refused(canary: AgentCanary, versions: list[str]) -> None:
    """There must be an app for each of the two versions, and no other."""
    with pytest.raises(ValueError, match=r"apps must have exactly the keys \['v1', 'v2'\]"):
        VersionedApp(canary, {version: NamedApp(version) for version in versions}, cookie="who")


async def test_switches_hold(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """A forced version and the kill switch choose the app."""
    app = VersionedApp(canary, apps, key=key)
    forced, off = wire("/bob"), wire("/alice")
    with force_version("v2"):
        await forced.run(app)
    with disabled():
        await off.run(app)
    assert (forced.sent[1]["body"], off.sent[1]["body"]) == (b"new", b"old")


# WebSockets


@pytest.mark.parametrize(("user", "name"), [("alice", "new"), ("bob", "old")])
async def test_a_websocket_gets_the_app_of_its_key(
    canary: AgentCanary, wire: Any, apps: Any, user: str, name: str
) -> None:
    """A conversation is served by its version's app, is told the version, and is not counted."""
    request = wire(f"/{user}", type="websocket", scheme="ws")
    await request.run(VersionedApp(canary, apps, key=key, response_header="V"))
    accept, message = request.sent
    assert accept["headers"] == [(b"v", b"v2" if name == "new" else b"v1")]
    assert message["text"] == name
    canary.tick()
    assert canary.metrics("v1").total + canary.metrics("v2").total == 0


async def test_a_websocket_sets_the_cookie(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """A client that first comes by a WebSocket is known afterwards."""
    request = wire(type="websocket", scheme="wss")
    await request.run(VersionedApp(canary, apps, cookie="who"))
    ((name, value),) = request.sent[0]["headers"]
    assert name == b"set-cookie"
    assert value.startswith(b"who=")
    assert value.endswith(b"; Secure")


async def test_a_websocket_without_a_key_gets_stable(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """Nobody tosses a coin for it, and its messages pass untouched."""
    app = VersionedApp(canary, apps, key=lambda scope: None)
    for _ in range(20):
        request = wire(type="websocket")
        await request.run(app)
        assert request.sent == [{"type": "websocket.accept"}, {"type": "websocket.send", "text": "old"}]


# Lifespans


class Server:
    """A server's end of one lifespan."""

    def __init__(self, **state: Any) -> None:
        self.scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
        self.sent: list[Any] = []
        self._answered = anyio.Event()
        self._received = 0

    async def receive(self) -> Any:
        self._received += 1
        if self._received == 1:
            return {"type": "lifespan.startup"}
        await self._answered.wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self._answered.set()

    async def run(self, app: Any) -> None:
        with anyio.fail_after(10):
            await app(self.scope, self.receive, self.send)


async def test_both_apps_start_and_stop(canary: AgentCanary, wire: Any, apps: Any) -> None:
    """Each has its own lifespan and its own state, which its requests see; the server's state is seen by both."""
    app = VersionedApp(canary, apps, key=key)
    server = Server(pool="shared")
    await server.run(app)
    assert [message["type"] for message in server.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert apps["v1"].heard == apps["v2"].heard == ["lifespan.startup", "lifespan.shutdown"]
    for user, model in (("alice", "new"), ("bob", "old")):
        request = wire(f"/{user}")
        await request.run(app)
        assert (request.scope["state"]["pool"], request.scope["state"]["model"]) == ("shared", model)


async def test_an_app_that_cannot_start_stops_the_other(canary: AgentCanary) -> None:
    """The server is told why, and the app that had started is shut down."""
    apps = {"v1": NamedApp("old"), "v2": NamedApp("new", startup="failed")}
    server = Server()
    await server.run(VersionedApp(canary, apps, key=key))
    assert server.sent == [{"type": "lifespan.startup.failed", "message": "new cannot start"}]
    assert apps["v1"].heard == ["lifespan.startup", "lifespan.shutdown"]


async def test_an_app_that_cannot_stop_is_told(canary: AgentCanary) -> None:
    """A failed shutdown is the server's to know, and the other app has stopped all the same."""
    apps = {"v1": NamedApp("old", shutdown="failed"), "v2": NamedApp("new")}
    server = Server()
    await server.run(VersionedApp(canary, apps, key=key))
    assert server.sent[-1] == {"type": "lifespan.shutdown.failed", "message": "old cannot stop"}
    assert apps["v2"].heard == ["lifespan.startup", "lifespan.shutdown"]


async def test_an_app_without_lifespan_is_left_alone(canary: AgentCanary) -> None:
    """One may refuse; when both do, the refusal reaches the server as from one app."""
    apps = {"v1": NamedApp("old", startup="refused"), "v2": NamedApp("new")}
    server = Server()
    await server.run(VersionedApp(canary, apps, key=key))
    assert [message["type"] for message in server.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    apps = {"v1": NamedApp("old", startup="refused"), "v2": NamedApp("new", startup="refused")}
    server = Server()
    with pytest.raises(ValueError, match="old has no lifespan"):
        await server.run(VersionedApp(canary, apps, key=key))
    assert server.sent == []


async def test_one_app_that_is_both_versions_starts_once(canary: AgentCanary) -> None:
    """An app that tells versions apart by itself has one lifespan."""
    both = NamedApp("both")
    app: Callable[..., Any] = VersionedApp(canary, {"v1": both, "v2": both}, key=key)
    await Server().run(app)
    assert both.heard == ["lifespan.startup", "lifespan.shutdown"]

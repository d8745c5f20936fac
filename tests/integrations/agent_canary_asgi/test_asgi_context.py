"""Where the assignment is seen, and where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from agent_canary import AgentCanary, Assignment, current_assignment
from agent_canary_asgi import CanaryMiddleware

pytestmark = pytest.mark.anyio


async def finish(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def wrap(canary: AgentCanary) -> Callable[[Any], CanaryMiddleware]:
    """Wrap an app for alice, who is on v2."""
    return lambda app: CanaryMiddleware(app, canary, key=lambda scope: "alice")


async def test_the_app_sees_its_assignment(wrap: Any, wire: Any) -> None:
    """In the app, its tasks and its threads, current_assignment is the request's; above it is as before."""
    seen: list[Assignment | None] = []

    async def look() -> None:
        seen.append(current_assignment())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await look()
        async with anyio.create_task_group() as group:
            group.start_soon(look)
        seen.append(await anyio.to_thread.run_sync(current_assignment))
        await finish(send)
        await look()

    request = wire()
    await request.run(wrap(app))
    assert seen == [request.assignment] * 4
    assert current_assignment() is None


async def test_nothing_is_left_after_an_exception(wrap: Any, wire: Any) -> None:
    """The context is reset whatever leaves the app."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await wire().run(wrap(app))
    assert current_assignment() is None


async def test_requests_do_not_see_each_other(canary: AgentCanary, wire: Any) -> None:
    """Two requests at the same time each see their own, also in the state."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
            assert current_assignment() is scope["state"]["agent_canary"]
        await finish(send)

    middleware = CanaryMiddleware(app, canary, key=lambda scope: scope["path"][1:])
    lifespan_state: dict[str, Any] = {"model": object()}
    alice, bob = wire("/alice", state=lifespan_state), wire("/bob", state=lifespan_state)
    async with anyio.create_task_group() as group:
        group.start_soon(alice.run, middleware)
        group.start_soon(bob.run, middleware)
    assert (alice.assignment.version, bob.assignment.version) == ("v2", "v1")


async def test_the_state_is_copied(wrap: Any, wire: Any) -> None:
    """What the server's lifespan left is seen, and gets nothing of the request."""
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(dict(scope["state"]))
        await finish(send)

    lifespan_state = {"model": "m"}
    request = wire(state=lifespan_state)
    await request.run(wrap(app))
    assert found == [{"model": "m", "agent_canary": request.assignment, "agent_canary_version": "v2"}]
    assert lifespan_state == {"model": "m"}


async def test_a_server_without_state_gets_one(wrap: Any, wire: Any) -> None:
    """The state need not be there."""
    request = wire()
    assert "state" not in request.scope
    await request.run(wrap(lambda scope, receive, send: finish(send)))
    assert request.scope["state"]["agent_canary_version"] == "v2"


async def test_what_the_app_writes_to_the_scope_is_seen_above(wrap: Any, wire: Any) -> None:
    """The scope itself is passed, so that a middleware above finds the route that the router below wrote."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = "/chat/{id}"
        await finish(send)

    request = wire()
    await request.run(wrap(app))
    assert request.scope["route"] == "/chat/{id}"


async def test_the_autopilot_is_asked_for(canary: AgentCanary, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter's assignment says that it is one, once per request."""
    asked: list[Any] = []
    assign = canary.assign

    def spy(*args: Any, **options: Any) -> Assignment:
        asked.append(options)
        return assign(*args, **options)

    monkeypatch.setattr(canary, "assign", spy)
    await wire().run(CanaryMiddleware(lambda scope, receive, send: finish(send), canary, key=lambda scope: "alice"))
    assert asked == [{"adapter": True}]

"""Which requests count."""

from __future__ import annotations

from typing import Any

import pytest

from agent_canary import AgentCanary
from agent_canary_asgi import CanaryMiddleware

pytestmark = pytest.mark.anyio


async def test_a_request_that_does_not_count_is_not_touched(canary: AgentCanary, wire: Any) -> None:
    """The app gets the server's own scope, receive and send; nothing is assigned, no header is set."""
    calls: list[Any] = []

    async def app(*given: Any) -> None:
        calls.append(given)

    request = wire("/health")
    before = dict(request.scope)
    middleware = CanaryMiddleware(app, canary, cookie="who", response_header="v", exclude="/health")
    await request.run(middleware)
    scope, receive, send = calls[0]
    assert scope is request.scope
    assert receive == request.receive
    assert send == request.send
    assert request.scope == before
    assert canary.metrics("v1").total + canary.metrics("v2").total == 0


@pytest.mark.parametrize(("path", "counts"), [("/chat", True), ("/chat/7", True), ("/health", False)])
async def test_the_rules_see_path_and_scope(canary: AgentCanary, wire: Any, path: str, counts: bool) -> None:
    """Strings are compared with the scope's path, and callables get the scope."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append("agent_canary" in scope.get("state", {}))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    request = wire(path)
    rules = ["/chat", lambda scope: seen.append(scope)]
    await request.run(CanaryMiddleware(app, canary, key=lambda scope: "alice", include=rules))
    assert seen[-1] is counts
    assert seen[:-1] == ([] if counts else [request.scope])

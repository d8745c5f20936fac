"""Which requests count."""

from __future__ import annotations

from typing import Any

import pytest

from agent_canary import AgentCanary
from agent_canary_wsgi import CanaryMiddleware
from agent_canary_wsgi.client import path_of


@pytest.mark.parametrize(
    ("script", "info", "path"),
    [
        ("", "/chat", "/chat"),
        ("/mount", "/chat", "/mount/chat"),
        ("/mount", "", "/mount"),
        ("", "", ""),
        ("", "/caf\xc3\xa9", "/café"),
        ("", "/broken\xc3", "/broken\ufffd"),
        ("", "/not latin-1 \u20ac", "/not latin-1 ?"),
    ],
)
def test_the_path_is_the_clients(script: str, info: str, path: str) -> None:
    """Below a mount too, and as UTF-8, whatever the client sent."""
    assert path_of({"SCRIPT_NAME": script, "PATH_INFO": info}) == path


def test_a_server_may_leave_the_path_out() -> None:
    """Both variables are optional."""
    assert path_of({}) == ""


def test_a_request_that_does_not_count_is_not_touched(canary: AgentCanary, wire: Any) -> None:
    """The app gets the server's own start_response, and the server the app's own body; nothing is assigned."""
    calls: list[Any] = []
    body = [b"ok"]

    def app(*given: Any) -> Any:
        calls.append(given)
        return body

    request = wire("/health")
    before = dict(request.environ)
    middleware = CanaryMiddleware(app, canary, cookie="who", response_header="v", exclude="/health")
    assert request.call(middleware) is body
    environ, start_response = calls[0]
    assert environ is request.environ
    assert start_response == request.start_response
    assert request.environ == before
    assert canary.metrics("v1").total + canary.metrics("v2").total == 0


@pytest.mark.parametrize(("path", "counts"), [("/chat", True), ("/chat/7", True), ("/health", False)])
def test_the_rules_see_path_and_environ(canary: AgentCanary, wire: Any, path: str, counts: bool) -> None:
    """Strings are compared with the path, and callables get the environ."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append("agent_canary.version" in environ)
        start_response("200 OK", [])
        return []

    request = wire(path)
    rules = ["/chat", lambda environ: seen.append(environ)]
    request.run(CanaryMiddleware(app, canary, key=lambda environ: "alice", include=rules))
    assert seen[-1] is counts
    assert seen[:-1] == ([] if counts else [request.environ])

"""Where the assignment is seen, and where it is not."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_canary import AgentCanary, Assignment, current_assignment
from agent_canary_wsgi import CanaryMiddleware


@pytest.fixture
def wrap(canary: AgentCanary) -> Callable[[Any], CanaryMiddleware]:
    """Wrap an app for alice, who is on v2."""
    return lambda app: CanaryMiddleware(app, canary, key=lambda environ: "alice")


class Watching:
    """An app whose every step looks which assignment is the current one."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Assignment | None]] = []
        self._left = 2

    def __call__(self, environ: Any, start_response: Any) -> Watching:
        self._look("call")
        start_response("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        self._look("iter")
        return self

    def __next__(self) -> bytes:
        self._look("next")
        self._left -= 1
        if self._left < 0:
            raise StopIteration
        return b"chunk"

    def close(self) -> None:
        self._look("close")

    def _look(self, step: str) -> None:
        self.seen.append((step, current_assignment()))


def test_the_app_sees_its_assignment(wrap: Any, wire: Any) -> None:
    """In the call, in each step of the body and in its close, current_assignment is the request's."""
    app = Watching()
    request = wire()
    request.run(wrap(app))
    assert [step for step, _ in app.seen] == ["call", "iter", "next", "next", "next", "close"]
    assert all(assignment is request.assignment for _, assignment in app.seen)


def test_the_server_does_not_see_it(wrap: Any, wire: Any) -> None:
    """Between two steps, after the end and after an early close, the server's thread has no assignment."""
    request = wire()
    body = iter(request.call(wrap(Watching())))
    assert current_assignment() is None
    for _ in body:
        assert current_assignment() is None
    assert current_assignment() is None
    request.close()
    assert current_assignment() is None


@pytest.mark.parametrize("step", ["call", "next", "close"])
def test_nothing_is_left_after_an_exception(wrap: Any, wire: Any, step: str) -> None:
    """The context is reset whatever leaves the app."""

    class Failing(Watching):
        def _look(self, found: str) -> None:
            if found == step:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        wire().run(wrap(Failing()))
    assert current_assignment() is None


def test_one_thread_serves_one_request_after_the_other(canary: AgentCanary, wire: Any) -> None:
    """A server's thread keeps its context from request to request, and each request sees its own only."""
    seen: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(2):
            assignment = current_assignment()
            assert assignment is environ["agent_canary.assignment"]
            seen.append(assignment.version)
            yield b"x"

    middleware = CanaryMiddleware(app, canary, key=lambda environ: environ["PATH_INFO"][1:])
    alice, bob = wire("/alice"), wire("/bob")
    bodies = [iter(alice.call(middleware)), iter(bob.call(middleware))]
    for _ in range(3):
        for body in bodies:
            next(body, None)
    assert seen == ["v2", "v1", "v2", "v1"]


def test_the_steps_may_come_from_different_threads(wrap: Any, wire: Any) -> None:
    """A bridge from ASGI calls each step in another thread and context; each sees the assignment and leaves none."""
    app = Watching()
    request = wire()
    left: list[Assignment | None] = []

    def elsewhere(step: Callable[[], Any]) -> Any:
        results: list[Any] = []

        def run() -> None:
            results.append(step())
            left.append(current_assignment())

        thread = threading.Thread(target=contextvars.Context().run, args=(run,))
        thread.start()
        thread.join(timeout=10)
        return results[0]

    body = elsewhere(lambda: request.call(wrap(app)))
    for _ in range(3):
        elsewhere(lambda: next(body, None))
    elsewhere(body.close)
    assert len(app.seen) == 6
    assert all(assignment is request.assignment for _, assignment in app.seen)
    assert left == [None] * 5


def test_what_the_app_sets_in_the_context_stays(wrap: Any, wire: Any) -> None:
    """Other context variables are the app's and the server's own affair: the middleware makes no context."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        variable.set("by the app")
        start_response("200 OK", [])
        return []

    wire().run(wrap(app))
    assert variable.get() == "by the app"


def test_the_autopilot_is_asked_for(canary: AgentCanary, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter's assignment says that it is one, once per request."""
    asked: list[Any] = []
    assign = canary.assign

    def spy(*args: Any, **options: Any) -> Assignment:
        asked.append(options)
        return assign(*args, **options)

    monkeypatch.setattr(canary, "assign", spy)
    wire().run(CanaryMiddleware(Watching(), canary, key=lambda environ: "alice"))
    assert asked == [{"adapter": True}]

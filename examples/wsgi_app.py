"""Two whole WSGI apps behind one address: the new one breaks off some of its streams, so it is rolled back.

It answers 200 and begins well: only who watches the body to its end can know. Runs without a network, on the standard
library's own server code; the clock is moved by hand.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.types import StartResponse
from wsgiref.util import setup_testing_defaults

from agent_canary import AgentCanary, Rollout, RolloutStatus, Stage
from agent_canary.testing import ManualClock
from agent_canary_wsgi import VersionedApp

Environ = dict[str, Any]


def old(_: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Today's app."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for word in ("it ", "is ", "on ", "its ", "way"):
        clock.advance(0.02)
        yield word.encode()


def new(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """The app that is to replace it; it loses its model now and then."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for word in ("it ", "is ", "on ", "its ", "way"):
        clock.advance(0.01)
        if word == "on " and environ["PATH_INFO"].endswith("7"):
            raise ConnectionError("the model is gone")
        yield word.encode()


clock = ManualClock()
canary = AgentCanary(
    "app-1",
    "app-2",
    Rollout([Stage(0.20), Stage(1.0)]),
    name="answers",
    clock=clock,
    autopilot=False,  # only here, where the clock is moved by hand: else a thread ticks every second
)
app = VersionedApp(
    canary,
    {"app-1": old, "app-2": new},
    key=lambda environ: environ.get("HTTP_X_USER"),
    response_header="X-Agent-Version",
)


def ask(path: str, user: str) -> str:
    """Serve one request as a server would, and return the whole answer."""
    environ: Environ = {"PATH_INFO": path, "HTTP_X_USER": user}
    setup_testing_defaults(environ)
    answer = io.BytesIO()
    SimpleHandler(io.BytesIO(), answer, io.StringIO(), environ).run(app)
    return answer.getvalue().decode()


seen: Counter[str] = Counter()
for number in range(20_000):
    answer = ask(f"/orders/{number}", f"user {number * 7919 % 1000}")
    version = "app-2" if "X-Agent-Version: app-2" in answer else "app-1"
    seen[f"{version}, {'complete' if answer.endswith('way') else 'broken off'}"] += 1
    if number % 20 == 0:
        canary.tick()
    if canary.rollout.status is RolloutStatus.ROLLED_BACK:
        break

for what, count in sorted(seen.items()):
    print(f"{count:5} answers: {what}")
print(canary.rollout.status.value, "because", canary.rollout.history[-1].reason)
print("the next users get", {canary.route(f"user {number}") for number in range(1000)})

"""What the test's gunicorn serves: streams, a file, and what became of each request."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from agent_canary import AgentCanary, Rollout, Stage, current_assignment
from agent_canary_wsgi import CanaryMiddleware


class Noon:
    """A clock whose day does not move on, so that no minute ends between two requests."""

    monotonic = staticmethod(time.monotonic)

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return 1_000_000.0


canary = AgentCanary("v1", "v2", Rollout([Stage(0.5)]), secret="s", interval=0.05, clock=Noon())
requests: dict[str, Any] = {}
served: defaultdict[str, threading.Event] = defaultdict(threading.Event)
CHUNK = b"x" * 65536


def answers(environ: Any, start_response: Any) -> Any:
    """The app below the middleware."""
    path = environ["PATH_INFO"]
    assignment = current_assignment()
    assert assignment is environ["agent_canary.assignment"]
    requests[path] = assignment
    headers = [("Content-Type", "text/plain")]
    if path == "/raise":
        raise LookupError("the model is gone")
    if path == "/busy":
        start_response("503 Busy", headers)
        return [b"busy"]
    start_response("200 OK", headers)
    if path == "/endless":
        # More than any socket holds; the client is expected to leave.
        return (CHUNK for _ in range(4000))
    if path == "/file":
        file = tempfile.TemporaryFile()  # noqa: SIM115 - gunicorn closes it
        file.write(CHUNK)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)
    if path in ("/stream", "/head"):
        return iter([b"one ", b"two ", assignment.version.encode()])
    return [assignment.version.encode()]


def report(environ: Any, start_response: Any) -> list[bytes]:
    """What became of the last request for a path, once it is over, and of this thread's context."""
    path = environ["QUERY_STRING"]
    found: dict[str, Any] = {"leaked": repr(current_assignment())}
    if path:
        assert served[path].wait(timeout=10)
        found["outcome"] = requests[path].outcome.value
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


class Served:
    """A body that tells when the server has closed it, which is the last that it does."""

    def __init__(self, body: Any, closed: threading.Event) -> None:
        self._body = body
        self._closed = closed

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Pass it on, then tell."""
        self._body.close()
        self._closed.set()


counted = CanaryMiddleware(answers, canary, cookie="who", response_header="X-Agent-Version")


def app(environ: Any, start_response: Any) -> Any:
    """What gunicorn serves."""
    path = environ["PATH_INFO"]
    if path == "/report":
        return report(environ, start_response)
    try:
        body = counted(environ, start_response)
    except LookupError:
        served[path].set()
        raise
    if isinstance(body, environ["wsgi.file_wrapper"]):
        served[path].set()
        return body
    return Served(body, served[path])

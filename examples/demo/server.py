"""The server: uvicorn in a thread, on a free port of the loopback interface."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_PATIENCE = 20.0
"""Seconds that starting and stopping may take."""

_KEEP_ALIVE = 600
"""Seconds after which an idle connection is closed; clients do so after 5. Who closes first must not be a race: a
request that is just on its way would get no answer."""


class ServerError(Exception):
    """The server did not start, or did not stop."""


@contextmanager
def serving(app: ASGIApp) -> Generator[str, None, None]:
    """Serve *app* for the block, which gets the address; afterwards thread and port are gone.

    Raises:
        ServerError: It did not start or stop in 20 seconds.
    """
    # With the protocol named, asyncio switches Nagle's algorithm off; else every answer waits 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn", daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)
    if thread.is_alive():
        raise ServerError(f"uvicorn did not stop in {_PATIENCE:g} s")


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise ServerError(f"uvicorn did not start in {_PATIENCE:g} s")
        time.sleep(0.01)

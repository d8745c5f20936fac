"""An echo server in the process under test, and its client: ``python -m benchmarks.echo PORT``.

The client is a process of its own, so that what holds the server's interpreter cannot hold the client's watch. It
sends every millisecond, whether or not the answer before has come, until the server hangs up, and prints (sent at,
seconds until the answer) pairs as JSON. Both processes read the same monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import sys
from asyncio.subprocess import PIPE
from collections import deque
from pathlib import Path
from time import monotonic

PACE_SECONDS = 0.001
_MESSAGE = b"12345678"

Answer = tuple[float, float]
"""When a message was sent, in monotonic seconds, and how long the answer took, in seconds."""


class EchoServer(asyncio.Protocol):
    """Sends back what one client sends."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = transport  # type: ignore[assignment]
        self.connected.set()

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(data)


class Echo:
    """Serves echoes to a client process, in the event loop in which it is entered.

    Attributes:
        answers: What the client saw; known after the exit.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    async def __aenter__(self) -> Echo:
        self._protocol = EchoServer()
        self._server = await asyncio.get_running_loop().create_server(lambda: self._protocol, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        root = Path(__file__).parent.parent
        arguments = ("-m", "benchmarks.echo", str(port))
        self._client = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=root, stdout=PIPE)
        await asyncio.wait_for(self._protocol.connected.wait(), timeout=30.0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._protocol.transport.close()
        self._server.close()
        printed, _ = await self._client.communicate()
        self.answers = [(sent_at, seconds) for sent_at, seconds in json.loads(printed)]


def ask(port: int) -> list[Answer]:
    """Send a message every millisecond until the server hangs up."""
    answers: list[Answer] = []
    waiting: deque[float] = deque()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        next_at = monotonic()
        try:
            while True:
                if monotonic() >= next_at:
                    waiting.append(monotonic())
                    connection.sendall(_MESSAGE)
                    next_at += PACE_SECONDS
                if select.select([connection], [], [], max(0.0, next_at - monotonic()))[0]:
                    received = connection.recv(65536)
                    if not received:
                        return answers
                    now = monotonic()
                    sent = [waiting.popleft() for _ in range(len(received) // len(_MESSAGE))]
                    answers += [(sent_at, now - sent_at) for sent_at in sent]
        except ConnectionError:
            return answers


if __name__ == "__main__":
    print(json.dumps(ask(int(sys.argv[1]))))

"""The clients: a process of its own, in which users visit the app over HTTP and judge its answers.

A user has one request open at a time, as people do, so that the order of what a user saw is known. The pace is
bounded: on a machine that is too slow for it, users come later, and never in a burst.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import multiprocessing
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import httpx

from .traffic import REQUEST_HEADER, USER_HEADER, VERSION_HEADER, Answer, Traffic
from .users import User, Visit, visits

_CONNECTIONS = 16
_REQUEST_TIMEOUT = 20.0
_LARGEST_LAG = 0.25
_PATIENCE = 30.0


class ClientsError(Exception):
    """The clients' process did not do what it should."""


class Clients:
    """The clients' process, as the demo sees it. Use it as a context manager: the process ends with the block.

    Args:
        users: Who visits.
        pixels: Of each scan its pixels.
        digits: Of each scan the digit that its writer knows it to be.

    Attributes:
        traffic: What the users saw during the last visits that have ended.
    """

    def __init__(self, users: Sequence[User], pixels: Sequence[Sequence[int]], digits: Sequence[int]) -> None:
        self.traffic = Traffic()
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, users, pixels, digits), name="clients", daemon=True)
        with _deaf_to_ctrl_c():
            self._process.start()
        theirs.close()

    def __enter__(self) -> Clients:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
        self._process.join(_PATIENCE if error is None else 1.0)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._process.close()

    @contextmanager
    def visiting(self, url: str, seed: str) -> Generator[None, None, None]:
        """Let the users visit the app at *url* for the block; afterwards :attr:`traffic` tells what they saw.

        Args:
            url: Where the app is.
            seed: Equal seeds give equal visits.

        Raises:
            ClientsError: The process has ended, or does not answer.
        """
        self._say((url, seed))
        try:
            yield
        finally:
            self._say(None)
            self.traffic = self._hear()

    def await_ready(self) -> None:
        """Wait until the process has started."""
        self._hear()

    def _say(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise ClientsError("the clients' process has ended") from error

    def _hear(self) -> Any:
        try:
            if self._connection.poll(_PATIENCE):
                return self._connection.recv()
        except (EOFError, OSError) as error:
            raise ClientsError("the clients' process has ended") from error
        raise ClientsError(f"the clients' process has been silent for {_PATIENCE:g} s")


@contextmanager
def _deaf_to_ctrl_c() -> Generator[None, None, None]:
    """Let a process that is started in the block ignore Ctrl-C, which reaches the whole terminal: the demo ends it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(connection: Connection, users: list[User], pixels: list[list[int]], digits: list[int]) -> None:
    """Be the clients' process until the other end of the connection is closed."""
    bodies = [json.dumps(scan).encode() for scan in pixels]
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send("ready")
        while True:
            url, seed = connection.recv()
            traffic = asyncio.run(_Session(url, seed, bodies, digits).run(users, connection))
            connection.recv()
            connection.send(traffic)


class _Session:
    """The users' visits during one rollout."""

    def __init__(self, url: str, seed: str, bodies: Sequence[bytes], digits: Sequence[int]) -> None:
        self._seed, self._bodies, self._digits = seed, bodies, digits
        self._http = httpx.AsyncClient(base_url=url, timeout=_REQUEST_TIMEOUT, trust_env=False)
        self._open = asyncio.Semaphore(_CONNECTIONS)
        self._stopped = asyncio.Event()
        self._agenda: list[tuple[float, Visit, Iterator[Visit]]] = []
        self._traffic = Traffic()

    async def run(self, users: Sequence[User], connection: Connection) -> Traffic:
        """Visit until there is something to read on *connection*, or it is closed."""
        for user in users:
            self._plan(visits(user, self._seed, len(self._bodies)))
        async with self._http, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._visit_all(tasks))
            await asyncio.to_thread(connection.poll, None)
            self._stopped.set()
        return self._traffic

    def _plan(self, coming: Iterator[Visit]) -> None:
        visit = next(coming)
        heapq.heappush(self._agenda, (visit.at, visit, coming))

    async def _visit_all(self, tasks: asyncio.TaskGroup) -> None:
        began = time.monotonic()
        while not self._stopped.is_set():
            at, visit, coming = heapq.heappop(self._agenda)
            late = time.monotonic() - began - at
            began += max(0.0, late - _LARGEST_LAG)
            await asyncio.sleep(max(0.0, -late))
            await self._open.acquire()
            tasks.create_task(self._visit(visit, coming, tasks))

    async def _visit(self, visit: Visit, coming: Iterator[Visit], tasks: asyncio.TaskGroup) -> None:
        try:
            digit, assignment = await self._read(visit)
        except httpx.HTTPError:
            self._traffic.unanswered += 1
            digit = assignment = None
        finally:
            self._open.release()
        self._plan(coming)
        if assignment is not None and visit.feedback_after is not None:
            tasks.create_task(self._judge(assignment, digit != self._digits[visit.scan], visit.feedback_after))

    async def _read(self, visit: Visit) -> tuple[int | None, str | None]:
        """Return what the app read, and the assignment's id; nothing of both when it failed."""
        sent_at = time.time()
        headers = {USER_HEADER: visit.user, REQUEST_HEADER: visit.request_id, "Content-Type": "application/json"}
        response = await self._http.post("/read", content=self._bodies[visit.scan], headers=headers)
        answer: dict[str, Any] = response.json() if response.is_success else {}
        digit = answer.get("digit")
        self._traffic.answers.append(
            Answer(
                visit.request_id,
                visit.user,
                visit.scan,
                sent_at,
                time.time(),
                response.status_code,
                response.headers.get(VERSION_HEADER, ""),
                digit,
            )
        )
        return digit, answer.get("assignment")

    async def _judge(self, assignment: str, is_wrong: bool, after: float) -> None:
        """Tell the app, some seconds later, whether its answer was wrong; the writer knows what they wrote."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), after)
            return
        try:
            response = await self._http.post("/feedback", json={"assignment": assignment, "wrong": int(is_wrong)})
            self._traffic.judged += response.is_success
            self._traffic.refused += response.is_error
        except httpx.HTTPError:
            self._traffic.unanswered += 1

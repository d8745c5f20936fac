"""The demo's clients and its server: real processes, real HTTP, and nothing left of either."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.demo.clients import Clients, ClientsError
from examples.demo.server import serving
from examples.demo.traffic import REQUEST_HEADER, USER_HEADER, VERSION_HEADER, Traffic
from examples.demo.users import crowd

USERS = crowd(30, 150.0, "test")
PIXELS, DIGITS = [[1] * 64, [2] * 64], [1, 2]
PATIENCE = 30.0


class App:
    """Answers 1, which is right for the first scan and wrong for the second; user-0001 gets errors."""

    def __init__(self, judgements: int) -> None:
        self.judged: list[tuple[str, int]] = []
        self.enough = threading.Event()
        self._judgements = judgements
        routes = [Route("/read", self._read, methods=["POST"]), Route("/feedback", self._feedback, methods=["POST"])]
        self.asgi = Starlette(routes=routes)

    async def _read(self, request: Request) -> Response:
        assert len(await request.json()) == 64
        headers = {VERSION_HEADER: "v1"}
        if request.headers[USER_HEADER] == "user-0001":
            return JSONResponse({"error": "no"}, 500, headers=headers)
        return JSONResponse({"digit": 1, "assignment": request.headers[REQUEST_HEADER]}, headers=headers)

    async def _feedback(self, request: Request) -> Response:
        judgement = await request.json()
        self.judged.append((judgement["assignment"], judgement["wrong"]))
        if len(self.judged) >= self._judgements:
            self.enough.set()
        return Response(status_code=204)


@pytest.fixture(scope="module")
def visited() -> tuple[App, Traffic]:
    """The app, and what its users saw until ten of them had judged an answer."""
    app = App(judgements=10)
    with Clients(USERS, PIXELS, DIGITS) as clients:
        clients.await_ready()
        with serving(app.asgi) as url, clients.visiting(url, "seed"):
            assert app.enough.wait(PATIENCE)
    assert not multiprocessing.active_children()
    return app, clients.traffic


def test_users_see_what_the_app_answers(visited: tuple[App, Traffic]) -> None:
    """Digit, version and status of each visit."""
    answers = visited[1].answers
    assert len(answers) > 20
    assert {(one.status, one.version, one.digit) for one in answers} == {(200, "v1", 1), (500, "v1", None)}
    assert {one.user for one in answers if one.status == 500} == {"user-0001"}
    assert {one.scan for one in answers} == {0, 1}


def test_users_judge_by_what_they_wrote(visited: tuple[App, Traffic]) -> None:
    """The app answers 1 to each scan: the second scan, which shows a 2, is judged to be wrong, and no other."""
    app, traffic = visited
    scans = {one.request_id: one.scan for one in traffic.answers}
    assert {(scans[request_id], wrong) for request_id, wrong in app.judged} == {(0, 0), (1, 1)}
    assert traffic.judged == len(app.judged)


def test_nothing_is_lost(visited: tuple[App, Traffic]) -> None:
    """Every request has an answer, every judgement was taken."""
    assert (visited[1].unanswered, visited[1].refused) == (0, 0)


def test_a_user_has_one_request_open_at_a_time(visited: tuple[App, Traffic]) -> None:
    """So that the order in which a user saw versions is known."""
    for user in USERS:
        own = sorted((one for one in visited[1].answers if one.user == user.name), key=lambda one: one.sent_at)
        assert all(before.answered_at <= after.sent_at for before, after in pairwise(own))
        assert [one.request_id for one in own] == [f"seed/{user.name}/{number + 1}" for number in range(len(own))]


def test_requests_without_an_answer_are_counted() -> None:
    """A server that hangs up is no answer, and the users can go on with another one."""
    app = App(judgements=1)
    with Clients(USERS, PIXELS, DIGITS) as clients:
        clients.await_ready()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            with clients.visiting(f"http://127.0.0.1:{listener.getsockname()[1]}", "seed"):
                listener.accept()[0].close()
                listener.close()
        assert clients.traffic.unanswered >= 1
        assert clients.traffic.answers == []
        with serving(app.asgi) as url, clients.visiting(url, "seed"):
            assert app.enough.wait(PATIENCE)
    assert clients.traffic.unanswered == 0
    assert clients.traffic.answers


def test_clients_that_have_ended_say_so() -> None:
    """Whoever wants more of them gets an error and does not wait."""
    with Clients([], PIXELS, DIGITS) as clients:
        clients.await_ready()
    with pytest.raises(ClientsError, match="has ended"), clients.visiting("http://127.0.0.1:9", "seed"):
        pass


def test_the_port_is_free_after_the_block() -> None:
    """Nobody listens there any more."""
    with serving(App(judgements=1).asgi) as url:
        address = urlsplit(url).hostname, urlsplit(url).port
        socket.create_connection(address, timeout=PATIENCE).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, timeout=PATIENCE)

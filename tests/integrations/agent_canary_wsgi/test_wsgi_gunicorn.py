"""A real gunicorn: its workers, its threads, its clients that leave."""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

gunicorn_config: Any = pytest.importorskip("gunicorn.config")


@pytest.fixture(scope="module", params=["sync", "gthread"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Serve gunicorn_app by one worker on a free port of the loopback."""
    options = ["--worker-class", request.param, "--threads", "4" if request.param == "gthread" else "1"]
    if "control_socket_disable" in gunicorn_config.make_settings():
        options.append("--no-control-socket")
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", *options, "gunicorn_app:app"]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            log = ""
            # Once the worker boots the port is known, and the listener queues what comes too early.
            while "Booting worker" not in log:
                line = process.stderr.readline()
                assert line, log
                log += line
            found = re.search(r"http://127\.0\.0\.1:(\d+)", log)
            assert found, log
            yield int(found.group(1))
        finally:
            process.terminate()
            process.communicate(timeout=20)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request and read the answer whole."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def outcome(port: int, path: str) -> str:
    """How the last request for a path ended."""
    return str(json.loads(ask(port, f"/report?{path}")[1])["outcome"])


def test_a_complete_answer_succeeds(port: int) -> None:
    """A list's and a stream's answer are successes, and carry version and cookie."""
    for path in ("/", "/stream"):
        answer, content = ask(port, path)
        assert answer.status == 200
        assert content.decode().endswith(answer.headers["X-Agent-Version"])
        assert answer.headers["Set-Cookie"].startswith("who=")
        assert outcome(port, path) == "succeeded"


def test_head_succeeds(port: int) -> None:
    """An answer without a body is complete."""
    answer, content = ask(port, "/head", "HEAD")
    assert (answer.status, content) == (200, b"")
    assert outcome(port, "/head") == "succeeded"


def test_an_exception_fails(port: int) -> None:
    """The app's exception reaches gunicorn, which answers 500; it is a failure, and so is a 503."""
    assert ask(port, "/raise")[0].status == 500
    assert outcome(port, "/raise") == "failed"
    assert ask(port, "/busy")[0].status == 503
    assert outcome(port, "/busy") == "failed"


def test_a_file_is_sent(port: int) -> None:
    """Gunicorn knows its own file wrapper and sends the file whole."""
    answer, content = ask(port, "/file")
    assert (answer.status, content) == (200, b"x" * 65536)
    assert outcome(port, "/file") == "succeeded"


def test_a_client_that_leaves_is_neither(port: int) -> None:
    """A client that goes away in the middle of a stream is no failure of its version, and the stream is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert outcome(port, "/endless") == "cancelled"


def test_nothing_is_left_in_the_workers_threads(port: int) -> None:
    """After successes and failures, no thread of the worker has a current assignment."""
    for path in ("/", "/stream", "/raise"):
        ask(port, path)
    with ThreadPoolExecutor(8) as threads:
        reports = [json.loads(content) for _, content in threads.map(lambda _: ask(port, "/report"), range(16))]
    assert {found["leaked"] for found in reports} == {"None"}


def test_racing_first_requests_get_one_cookie(port: int) -> None:
    """Six first requests of one browser at once are given one cookie, and with it the same version again."""
    browser = {"User-Agent": f"browser at {port}"}
    with ThreadPoolExecutor(6) as threads:
        answers = [answer for answer, _ in threads.map(lambda number: ask(port, "/", **browser), range(6))]
    cookies = {answer.headers["Set-Cookie"] for answer in answers}
    versions = {answer.headers["X-Agent-Version"] for answer in answers}
    assert len(cookies) == len(versions) == 1
    again, _ = ask(port, "/", **browser, Cookie=cookies.pop().partition(";")[0])
    assert "Set-Cookie" not in again.headers
    assert again.headers["X-Agent-Version"] in versions

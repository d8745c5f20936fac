"""Who asks: the key, the cookie, and what becomes of neither."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agent_canary import AgentCanary, Outcome, Reason
from agent_canary_wsgi import CanaryMiddleware

MakeCanary = Callable[..., AgentCanary]


def answer(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Own", "1")])
    return [b"ok"]


def set_cookies(request: Any) -> list[str]:
    return [value for name, value in request.headers if name == "Set-Cookie"]


def cookie_value(request: Any) -> str:
    (header,) = set_cookies(request)
    return header.partition(";")[0].partition("=")[2]


# Wrong configuration


def test_neither_key_nor_cookie_is_refused(canary: AgentCanary) -> None:
    """Without any identity nobody would get the canary: an error at construction that says what to do."""
    with pytest.raises(ValueError, match=r'give key=.*or cookie="agent_canary"'):
        CanaryMiddleware(answer, canary)


def test_an_async_key_is_refused(canary: AgentCanary) -> None:
    """A coroutine function cannot be the key."""

    async def key(environ: Any) -> str:
        return "alice"

    with pytest.raises(ValueError, match="key must be a plain function"):
        CanaryMiddleware(answer, canary, key=key)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "ä", "a\r\n"])
def test_names_that_no_header_can_carry_are_refused(canary: AgentCanary, name: str) -> None:
    """Cookie and response header must be tokens of HTTP."""
    with pytest.raises(ValueError, match="cookie"):
        CanaryMiddleware(answer, canary, cookie=name)
    with pytest.raises(ValueError, match="response_header"):
        CanaryMiddleware(answer, canary, key=lambda environ: None, response_header=name)


# The key


@pytest.mark.parametrize(("key", "version"), [("alice", "v2"), ("bob", "v1")])
def test_the_key_decides(canary: AgentCanary, wire: Any, key: str, version: str) -> None:
    """The callable's key is routed, and no cookie is set for a client that it knows."""
    request = wire(headers={"X-User": key})
    request.run(CanaryMiddleware(answer, canary, key=lambda environ: environ["HTTP_X_USER"], cookie="c"))
    assert request.assignment.version == version
    assert request.headers == [("X-Own", "1")]


def test_no_key_gets_stable_and_counts(canary: AgentCanary, wire: Any) -> None:
    """Nobody knows who asks: stable, and counted, every time."""
    middleware = CanaryMiddleware(answer, canary, key=lambda environ: None)
    for _ in range(20):
        request = wire()
        request.run(middleware)
        assert (request.assignment.version, request.assignment.reason) == ("v1", Reason.DEFAULT)
    assert canary.metrics("v1").total == 20


def test_a_key_of_none_falls_back_to_the_cookie(canary: AgentCanary, wire: Any) -> None:
    """With both given, who has no key is known by the cookie."""
    request = wire()
    request.run(CanaryMiddleware(answer, canary, key=lambda environ: None, cookie="c"))
    assert request.assignment.reason is Reason.SPLIT
    assert len(set_cookies(request)) == 1


def test_a_key_that_raises_gets_stable(canary: AgentCanary, wire: Any) -> None:
    """An error in the user's key is counted, and its requests are all answered by stable, without a cookie."""
    middleware = CanaryMiddleware(answer, canary, key=lambda environ: environ["user"].id, cookie="c")
    for _ in range(20):
        request = wire()
        request.run(middleware)
        assert request.status == "200 OK"
        assert request.assignment.version == "v1"
        assert request.assignment.outcome is Outcome.SUCCEEDED
        assert set_cookies(request) == []
    assert canary.failsafe.counts == {"key": 20}


def test_a_key_of_a_wrong_type_gets_stable(canary: AgentCanary, wire: Any) -> None:
    """A key that is no text and no number does not fail the request."""
    odd: Any = object()
    request = wire()
    request.run(CanaryMiddleware(answer, canary, key=lambda environ: odd))
    assert request.assignment.version == "v1"
    assert request.assignment.outcome is Outcome.SUCCEEDED


def test_overrides_see_the_environ(make_canary: MakeCanary, wire: Any) -> None:
    """The environ is the context of overrides: a header can choose the version."""

    def override(key: object, environ: Any) -> str | None:
        return "v2" if environ.get("HTTP_X_PREVIEW") == "1" else None

    request = wire(headers={"X-Preview": "1"})
    request.run(CanaryMiddleware(answer, make_canary(overrides=override), key=lambda environ: "bob"))
    assert (request.assignment.version, request.assignment.reason) == ("v2", Reason.TARGETING_MATCH)


# The response header


def test_the_response_header_tells_the_version(canary: AgentCanary, wire: Any) -> None:
    """The version is added to the answer's own headers, and the app's list stays as it was."""
    headers = [("X-Own", "1")]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return []

    request = wire()
    request.run(CanaryMiddleware(app, canary, key=lambda environ: "alice", response_header="X-Agent-Version"))
    assert request.headers == [("X-Own", "1"), ("X-Agent-Version", "v2")]
    assert headers == [("X-Own", "1")]


def test_a_version_of_any_text_fits_the_header(wire: Any) -> None:
    """What a header cannot carry is percent-encoded: no line break gets through."""
    odd = "v2\r\nset-cookie: é"
    with AgentCanary("v1: old", odd, autopilot=False, overrides={"alice": odd}) as canary:
        request = wire()
        request.run(CanaryMiddleware(answer, canary, key=lambda environ: "alice", response_header="v"))
        assert request.headers[-1] == ("v", "v2%0D%0Aset-cookie: %C3%A9")


# The cookie


def test_the_cookie_is_set_once_and_comes_back(canary: AgentCanary, wire: Any) -> None:
    """An anonymous client gets an identity of 128 bits with its first answer and keeps it, without another header."""
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    first = wire()
    first.run(middleware)
    assert re.fullmatch(r"who=[0-9a-f]{32}; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax", set_cookies(first)[0])
    again = wire(headers={"Cookie": f"a=1; who={cookie_value(first)}"})
    again.run(middleware)
    assert again.headers == [("X-Own", "1")]
    assert again.assignment.unit == first.assignment.unit


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
def test_the_cookie_is_secure_over_https(canary: AgentCanary, wire: Any, scheme: str, is_secure: bool) -> None:
    """The Secure attribute follows the environ's scheme."""
    request = wire(**{"wsgi.url_scheme": scheme})
    request.run(CanaryMiddleware(answer, canary, cookie="who"))
    assert set_cookies(request)[0].endswith("; Secure") is is_secure


@pytest.mark.parametrize("forged", ["", "0" * 32, f"{'0' * 32}.c2lnbmF0dXJl", "alice", "é", "\xff\x00"])
def test_a_forged_cookie_is_replaced(make_canary: MakeCanary, wire: Any, forged: str) -> None:
    """A cookie that is not ours is as good as none: no choosing one's version, and a good one is set."""
    canary = make_canary(secret="s1")
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    honest, forger = wire(), wire(headers={"Cookie": f"who={forged}"})
    honest.run(middleware)
    forger.run(middleware)
    assert cookie_value(forger) == cookie_value(honest)
    assert forger.assignment.unit == honest.assignment.unit
    assert canary.failsafe.counts == {}


def test_an_old_secret_keeps_the_identity(make_canary: MakeCanary, wire: Any) -> None:
    """After a rotation the client keeps its identity, and its cookie is signed anew."""
    old = make_canary(secret="s1").sign("a" * 32)
    canary = make_canary(secret=["s2", "s1"])
    request = wire(headers={"Cookie": f"who={old}"})
    request.run(CanaryMiddleware(answer, canary, cookie="who"))
    assert cookie_value(request) == make_canary(secret="s2").sign("a" * 32)
    assert request.assignment.unit == canary.assign("a" * 32).unit


def test_racing_first_requests_get_one_cookie(make_canary: MakeCanary, wire: Any) -> None:
    """Six first requests of one client at once, in as many threads and workers, are given the same cookie."""
    browser = {"User-Agent": "b", "Accept-Language": "de"}
    workers = [CanaryMiddleware(answer, make_canary(secret="s1"), cookie="who") for _ in range(3)]
    requests = [wire(f"/{port}", headers=browser, REMOTE_PORT=str(port)) for port in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda number: requests[number].run(workers[number % 3]), range(6)))
    assert len({cookie_value(request) for request in requests}) == 1
    assert len({request.assignment.version for request in requests}) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"REMOTE_ADDR": "192.0.2.9"},
        {"REMOTE_ADDR": ""},
        {"HTTP_USER_AGENT": "other"},
        {"HTTP_ACCEPT_LANGUAGE": "fr"},
        {"HTTP_X_FORWARDED_FOR": "198.51.100.7, 192.0.2.1"},
    ],
)
def test_different_clients_get_different_identities(canary: AgentCanary, wire: Any, other: Any) -> None:
    """Another address, browser or language is another client."""
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    one, two = wire(), wire(**other)
    one.run(middleware)
    two.run(middleware)
    assert cookie_value(one) != cookie_value(two)

"""Who asks: the key, the cookie, and what becomes of neither."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import AgentCanary, Outcome, Reason
from agent_canary.adapting import StickyCookie
from agent_canary.testing import ManualClock
from agent_canary_asgi import CanaryMiddleware
from agent_canary_asgi.client import ScopeClient

pytestmark = pytest.mark.anyio

MakeCanary = Callable[..., AgentCanary]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": b"ok"})


def set_cookies(request: Any) -> list[str]:
    return [value.decode() for name, value in request.headers if name == b"set-cookie"]


def cookie_value(request: Any) -> str:
    (header,) = set_cookies(request)
    return header.partition(";")[0].partition("=")[2]


# Wrong configuration


def test_neither_key_nor_cookie_is_refused(canary: AgentCanary) -> None:
    """Without any identity nobody would get the canary: an error at construction that says what to do."""
    with pytest.raises(ValueError, match=r'give key=.*or cookie="agent_canary"'):
        CanaryMiddleware(answer, canary)


def test_an_async_key_is_refused(canary: AgentCanary) -> None:
    """A coroutine function cannot be the key; the error names what can await."""

    async def key(scope: Any) -> str:
        return "alice"

    with pytest.raises(ValueError, match="canary_assignment"):
        CanaryMiddleware(answer, canary, key=key)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "ä", "a\r\n"])
def test_names_that_no_header_can_carry_are_refused(canary: AgentCanary, name: str) -> None:
    """Cookie and response header must be tokens of HTTP."""
    with pytest.raises(ValueError, match="cookie"):
        CanaryMiddleware(answer, canary, cookie=name)
    with pytest.raises(ValueError, match="response_header"):
        CanaryMiddleware(answer, canary, key=lambda scope: None, response_header=name)


# The key


@pytest.mark.parametrize(("key", "version"), [("alice", "v2"), ("bob", "v1")])
async def test_the_key_decides(canary: AgentCanary, wire: Any, key: str, version: str) -> None:
    """The callable's key is routed, and no cookie is set for a client that it knows."""
    request = wire(headers={"x-user": key})
    by_header = CanaryMiddleware(answer, canary, key=lambda scope: scope["headers"][0][1].decode(), cookie="c")
    await request.run(by_header)
    assert request.assignment.version == version
    assert request.headers == [(b"x-own", b"1")]


async def test_no_key_gets_stable_and_counts(make_canary: MakeCanary, wire: Any) -> None:
    """Nobody knows who asks: stable, and counted, every time."""
    canary = make_canary()
    middleware = CanaryMiddleware(answer, canary, key=lambda scope: None)
    for _ in range(20):
        request = wire()
        await request.run(middleware)
        assert (request.assignment.version, request.assignment.reason) == ("v1", Reason.DEFAULT)
    assert canary.metrics("v1").total == 20


async def test_a_key_of_none_falls_back_to_the_cookie(canary: AgentCanary, wire: Any) -> None:
    """With both given, who has no key is known by the cookie."""
    request = wire()
    await request.run(CanaryMiddleware(answer, canary, key=lambda scope: None, cookie="c"))
    assert request.assignment.reason is Reason.SPLIT
    assert len(set_cookies(request)) == 1


async def test_a_key_that_raises_gets_stable(canary: AgentCanary, wire: Any) -> None:
    """An error in the user's key is counted, and its request is answered by stable without a cookie."""
    request = wire()
    await request.run(CanaryMiddleware(answer, canary, key=lambda scope: scope["user"].id, cookie="c"))
    assert request.assignment.version == "v1"
    assert request.assignment.outcome is Outcome.SUCCEEDED
    assert set_cookies(request) == []
    assert canary.failsafe.counts == {"key": 1}


async def test_a_key_of_a_wrong_type_gets_stable(canary: AgentCanary, wire: Any) -> None:
    """A key that is no text and no number does not fail the request."""
    request = wire()
    odd: Any = object()
    await request.run(CanaryMiddleware(answer, canary, key=lambda scope: odd))
    assert request.assignment.version == "v1"
    assert request.assignment.outcome is Outcome.SUCCEEDED


async def test_overrides_see_the_scope(make_canary: MakeCanary, wire: Any) -> None:
    """The scope is the context of overrides: a header can choose the version."""

    def override(key: object, scope: Any) -> str | None:
        return "v2" if (b"x-preview", b"1") in scope["headers"] else None

    canary = make_canary(overrides=override)
    request = wire(headers={"X-Preview": "1"})
    await request.run(CanaryMiddleware(answer, canary, key=lambda scope: "bob"))
    assert (request.assignment.version, request.assignment.reason) == ("v2", Reason.TARGETING_MATCH)


# The response header


async def test_the_response_header_tells_the_version(canary: AgentCanary, wire: Any) -> None:
    """The version is added to the answer's own headers, and the app's list stays as it was."""
    headers = [(b"x-own", b"1")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    request = wire()
    await request.run(CanaryMiddleware(app, canary, key=lambda scope: "alice", response_header="X-Agent-Version"))
    assert request.headers == [(b"x-own", b"1"), (b"x-agent-version", b"v2")]
    assert headers == [(b"x-own", b"1")]


async def test_an_answer_without_headers_can_carry_the_version(canary: AgentCanary, wire: Any) -> None:
    """The headers of http.response.start are optional."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    request = wire()
    await request.run(CanaryMiddleware(app, canary, key=lambda scope: "bob", response_header="v"))
    assert request.headers == [(b"v", b"v1")]


async def test_a_version_of_any_text_fits_the_header(wire: Any, clock: ManualClock) -> None:
    """What a header cannot carry is percent-encoded: no line break gets through."""
    odd = "v2\r\nset-cookie: é"
    with AgentCanary("v1: old", odd, clock=clock, autopilot=False, overrides={"alice": odd}) as canary:
        request = wire()
        await request.run(CanaryMiddleware(answer, canary, key=lambda scope: "alice", response_header="v"))
        assert request.headers[-1] == (b"v", b"v2%0D%0Aset-cookie: %C3%A9")
        request = wire()
        await request.run(CanaryMiddleware(answer, canary, key=lambda scope: None, response_header="v"))
        assert request.headers[-1] == (b"v", b"v1: old")


# The cookie


async def test_the_cookie_is_set_once_and_comes_back(canary: AgentCanary, wire: Any) -> None:
    """An anonymous client gets an identity of 128 bits with its first answer and keeps it, without another header."""
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    first = wire()
    await first.run(middleware)
    assert re.fullmatch(
        r"who=[0-9a-f]{32}; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax", set_cookies(first)[0], re.ASCII
    )
    for cookies in ("who={}", "a=1; who={}", "who={}; b=who", "xwho=1;who={}"):
        again = wire(headers={"cookie": cookies.format(cookie_value(first))})
        await again.run(middleware)
        assert again.headers == [(b"x-own", b"1")]
        assert again.assignment.unit == first.assignment.unit


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
async def test_the_cookie_is_secure_over_https(canary: AgentCanary, wire: Any, scheme: str, is_secure: bool) -> None:
    """The Secure attribute follows the scope's scheme."""
    request = wire(scheme=scheme)
    await request.run(CanaryMiddleware(answer, canary, cookie="who"))
    assert set_cookies(request)[0].endswith("; Secure") is is_secure


async def test_the_cookie_is_signed_by_a_secret(make_canary: MakeCanary, wire: Any) -> None:
    """With a secret the cookie carries a signature, and comes back accepted."""
    canary = make_canary(secret="s1")
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    first = wire()
    await first.run(middleware)
    identity = canary.unsign(cookie_value(first))
    assert identity is not None
    assert re.fullmatch("[0-9a-f]{32}", identity)
    again = wire(headers={"cookie": f"who={cookie_value(first)}"})
    await again.run(middleware)
    assert set_cookies(again) == []
    assert again.assignment.unit == first.assignment.unit


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "00000000000000000000000000000000",
        "00000000000000000000000000000000.c2lnbmF0dXJl",
        "alice",
        "é",
        "0" * 4000,
        '"',
    ],
)
async def test_a_forged_cookie_is_replaced(make_canary: MakeCanary, wire: Any, forged: str) -> None:
    """A cookie that is not ours is as good as none: no choosing one's version, and a good one is set."""
    canary = make_canary(secret="s1")
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    honest, forger = wire(), wire(headers={"cookie": f"who={forged}"})
    await honest.run(middleware)
    await forger.run(middleware)
    assert cookie_value(forger) == cookie_value(honest)
    assert forger.assignment.unit == honest.assignment.unit
    assert canary.failsafe.counts == {}


async def test_a_malformed_cookie_is_replaced_without_a_secret(canary: AgentCanary, wire: Any) -> None:
    """What cannot be an identity of ours never becomes a key."""
    request = wire(headers={"cookie": "who=alice"})
    await request.run(CanaryMiddleware(answer, canary, cookie="who"))
    assert request.assignment.reason is Reason.SPLIT
    assert re.fullmatch("[0-9a-f]{32}", cookie_value(request))


async def test_a_signature_of_something_else_is_no_cookie(make_canary: MakeCanary, wire: Any) -> None:
    """Other texts that the canary signed, such as assignment ids, are no identities."""
    canary = make_canary(secret="s1")
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    for signed in (canary.sign("alice"), canary.assign("bob").id):
        request = wire(headers={"cookie": f"who={signed}"})
        await request.run(middleware)
        assert cookie_value(request) != signed


async def test_a_good_cookie_beside_a_forged_one_counts(make_canary: MakeCanary, wire: Any) -> None:
    """Of several cookies of the name, as with different domains, the one that is ours is used."""
    canary = make_canary(secret="s1")
    good = canary.sign("a" * 32)
    request = wire(headers={"cookie": f"who=forged; who={good}"})
    await request.run(CanaryMiddleware(answer, canary, cookie="who"))
    assert set_cookies(request) == []


async def test_an_old_secret_keeps_the_identity(make_canary: MakeCanary, wire: Any) -> None:
    """After a rotation the client keeps its identity, and its cookie is signed anew."""
    old = make_canary(secret="s1").sign("a" * 32)
    canary = make_canary(secret=["s2", "s1"])
    request = wire(headers={"cookie": f"who={old}"})
    await request.run(CanaryMiddleware(answer, canary, cookie="who"))
    assert cookie_value(request) == make_canary(secret="s2").sign("a" * 32)
    assert request.assignment.unit == canary.assign("a" * 32).unit


# First requests without a cookie


async def test_first_requests_of_a_client_agree_in_every_worker(make_canary: MakeCanary, wire: Any) -> None:
    """Requests of one client before its first answer get one identity, whatever port, path or worker."""
    browser = {"user-agent": "b", "accept-language": "de"}
    identities = set()
    for port in range(6):
        middleware = CanaryMiddleware(answer, make_canary(secret="s1"), cookie="who")
        request = wire(f"/{port}", headers={**browser, "accept": str(port)}, client=("192.0.2.1", port))
        await request.run(middleware)
        identities.add(cookie_value(request))
    assert len(identities) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"client": ("192.0.2.9", 1)},
        {"headers": {"user-agent": "other"}},
        {"headers": {"accept-language": "fr"}},
        {"headers": {"x-forwarded-for": "198.51.100.7, 192.0.2.1"}},
        {"client": None},
    ],
)
async def test_different_clients_get_different_identities(canary: AgentCanary, wire: Any, other: Any) -> None:
    """Another address, browser or language is another client."""
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    one, two = wire(), wire(**other)
    await one.run(middleware)
    await two.run(middleware)
    assert cookie_value(one) != cookie_value(two)


async def test_a_client_that_deletes_its_cookie_begins_anew(canary: AgentCanary, wire: Any, clock: ManualClock) -> None:
    """The identity does not follow a client that gave it up: a minute later it is another."""
    middleware = CanaryMiddleware(answer, canary, cookie="who")
    one, two = wire(), wire()
    await one.run(middleware)
    clock.advance(60.0)
    await two.run(middleware)
    assert cookie_value(one) != cookie_value(two)


async def test_the_secret_hides_where_an_identity_comes_from(make_canary: MakeCanary, wire: Any) -> None:
    """Two canaries with different secrets give the same client unrelated identities."""
    identities = set()
    for secret in ("s1", "s2", None):
        request = wire()
        await request.run(CanaryMiddleware(answer, make_canary(secret=secret), cookie="who"))
        identities.add(cookie_value(request)[:32])
    assert len(identities) == 3


async def test_a_cookie_header_in_pieces_is_read_whole(canary: AgentCanary, wire: Any) -> None:
    """HTTP/2 may send each cookie in a header of its own."""
    request = wire(headers={})
    request.scope["headers"] = [(b"cookie", b"a=1"), (b"cookie", b"who=" + b"a" * 32), (b"cookie", b"b=2")]
    await request.run(CanaryMiddleware(answer, canary, cookie="who"))
    assert request.headers == [(b"x-own", b"1")]
    assert request.assignment.unit == canary.assign("a" * 32).unit


@given(st.lists(st.binary(max_size=40), max_size=4), st.sampled_from([None, "s1"]))
def test_no_cookie_header_can_break_a_request(values: list[bytes], secret: str | None) -> None:
    """Whatever bytes clients send as cookies, they are identified, and the key they get comes back."""
    with AgentCanary("v1", "v2", secret=secret) as canary:
        cookie = StickyCookie(canary, "who")
        scope: dict[str, Any] = {"headers": [(b"cookie", b"who=" + value) for value in values], "client": None}
        key, set_cookie = cookie.identify(ScopeClient(scope))
        assert re.fullmatch("[0-9a-f]{32}", key)
        if set_cookie is not None:
            scope["headers"].append((b"cookie", b"theme=dark; " + set_cookie.partition(";")[0].encode()))
            assert cookie.identify(ScopeClient(scope)) == (key, None)

"""The cookie by which anonymous clients are known again, for every framework alike."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import AgentCanary
from agent_canary.adapting import FIRST_REQUESTS_WINDOW, StickyCookie
from agent_canary.testing import ManualClock

MakeCanary = Callable[..., AgentCanary]


@dataclasses.dataclass(frozen=True)
class Visitor:
    """One request."""

    headers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    address: str = "192.0.2.1"
    is_secure: bool = False

    def header(self, name: str) -> str:
        """The value of a header, or an empty text."""
        return self.headers.get(name, "")

    def returning(self, set_cookie: str | None) -> Visitor:
        """The same client, with the cookie that it was given."""
        pair = (set_cookie or "").partition(";")[0]
        return dataclasses.replace(self, headers={**self.headers, "cookie": f"theme=dark; {pair}"})


@pytest.fixture
def clock() -> ManualClock:
    """Return the canaries' clock, at the beginning of a minute."""
    return ManualClock(1_000_000 * FIRST_REQUESTS_WINDOW)


@pytest.fixture
def make_canary(clock: ManualClock) -> Iterator[MakeCanary]:
    """Return a maker of canaries."""
    made: list[AgentCanary] = []

    def make(**options: Any) -> AgentCanary:
        made.append(AgentCanary("v1", "v2", **{"clock": clock, "autopilot": False, **options}))
        return made[-1]

    yield make
    for canary in made:
        canary.close()


@pytest.mark.parametrize("secret", [None, "s1"])
def test_the_cookie_comes_back(make_canary: MakeCanary, secret: str | None) -> None:
    """Whoever brings the cookie has the same key again, and needs no other cookie."""
    cookie = StickyCookie(make_canary(secret=secret), "who")
    key, set_cookie = cookie.identify(Visitor())
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert cookie.identify(Visitor().returning(set_cookie)) == (key, None)


@pytest.mark.parametrize(("is_secure", "end"), [(False, ""), (True, "; Secure")])
def test_the_attributes_protect_it(make_canary: MakeCanary, is_secure: bool, end: str) -> None:
    """Scripts cannot read it, other sites do not send it, and https keeps it off http."""
    _, set_cookie = StickyCookie(make_canary(), "who").identify(Visitor(is_secure=is_secure))
    assert set_cookie is not None
    assert re.fullmatch(f"who=[0-9a-f]{{32}}; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax{end}", set_cookie)


def test_a_secret_refuses_what_it_did_not_sign(make_canary: MakeCanary) -> None:
    """A client cannot choose its key; one that tries gets the key it would have had."""
    cookie = StickyCookie(make_canary(secret="s1"), "who")
    honest = cookie.identify(Visitor())
    for forged in ("a" * 32, f"{'a' * 32}.{'b' * 22}", make_canary(secret="other").sign("a" * 32), "alice", ""):
        assert cookie.identify(Visitor({"cookie": f"who={forged}"})) == honest


def test_another_rollout_refuses_it(make_canary: MakeCanary) -> None:
    """Two rollouts with one secret do not accept each other's cookies, nor make the same keys."""
    one = StickyCookie(make_canary(secret="s1", name="one"), "who")
    two = StickyCookie(make_canary(secret="s1", name="two"), "who")
    key, set_cookie = one.identify(Visitor())
    other, _ = two.identify(Visitor().returning(set_cookie))
    assert other != key


def test_rotation_keeps_the_key(make_canary: MakeCanary) -> None:
    """A cookie by the older secret is accepted and signed anew; once that secret is gone, it is refused."""
    key, old = StickyCookie(make_canary(secret="s1"), "who").identify(Visitor())
    rotating = StickyCookie(make_canary(secret=["s2", "s1"]), "who")
    same_key, new = rotating.identify(Visitor().returning(old))
    assert same_key == key
    assert rotating.identify(Visitor().returning(new)) == (key, None)
    rotated = StickyCookie(make_canary(secret="s2"), "who")
    assert rotated.identify(Visitor().returning(new)) == (key, None)
    assert rotated.identify(Visitor().returning(old))[1] is not None


def test_racing_first_requests_get_one_key(make_canary: MakeCanary) -> None:
    """Requests of one client at several workers at once, none with a cookie, agree on one cookie."""
    workers = [StickyCookie(make_canary(secret="s1"), "who") for _ in range(4)]
    visitor = Visitor({"user-agent": "b", "accept-language": "de"})
    with ThreadPoolExecutor(4) as threads:
        given = set(threads.map(lambda number: workers[number % 4].identify(visitor), range(64)))
    assert len(given) == 1


@pytest.mark.parametrize(
    "other",
    [
        Visitor(address="192.0.2.9"),
        Visitor({"user-agent": "other"}),
        Visitor({"accept-language": "fr"}),
        Visitor({"x-forwarded-for": "198.51.100.7, 192.0.2.1"}),
    ],
)
def test_other_clients_get_other_keys(make_canary: MakeCanary, other: Visitor) -> None:
    """Another address, browser or language is another client."""
    cookie = StickyCookie(make_canary(), "who")
    assert cookie.new_key(other) != cookie.new_key(Visitor())


def test_a_client_that_deletes_its_cookie_begins_anew(make_canary: MakeCanary, clock: ManualClock) -> None:
    """Within the minute it is known again, after it no more."""
    cookie = StickyCookie(make_canary(), "who")
    key = cookie.new_key(Visitor())
    clock.advance(FIRST_REQUESTS_WINDOW - 1)
    assert cookie.new_key(Visitor()) == key
    clock.advance(1)
    assert cookie.new_key(Visitor()) != key


def test_a_key_does_not_tell_the_address(make_canary: MakeCanary) -> None:
    """Keys of one client under different secrets have nothing in common."""
    keys = {StickyCookie(make_canary(secret=secret), "who").new_key(Visitor()) for secret in (None, "s1", "s2")}
    assert len(keys) == 3


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "ä", "a\r\n", 7])
def test_a_wrong_name_is_refused(make_canary: MakeCanary, name: Any) -> None:
    """What no cookie can be called is an error at construction."""
    with pytest.raises(ValueError, match="cookie must be a cookie's name"):
        StickyCookie(make_canary(), name)


@given(st.text(max_size=60), st.sampled_from([None, "s1"]))
def test_no_cookie_header_can_break_a_request(header: str, secret: str | None) -> None:
    """Whatever text stands in the header, the client has a key, and the cookie it gets is good from then on."""
    with AgentCanary("v1", "v2", secret=secret, clock=ManualClock(), autopilot=False) as canary:
        cookie = StickyCookie(canary, "who")
        key, set_cookie = cookie.identify(Visitor({"cookie": f"who={header}"}))
        assert re.fullmatch("[0-9a-f]{32}", key)
        if set_cookie is not None:
            assert cookie.identify(Visitor().returning(set_cookie)) == (key, None)

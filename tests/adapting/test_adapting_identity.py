"""Who sends a request: the user's function, then the cookie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agent_canary import AgentCanary
from agent_canary.adapting import Identifier
from agent_canary.testing import ManualClock


class Stranger:
    """A client without any header."""

    address = "192.0.2.1"
    is_secure = False

    def __init__(self, request: object) -> None:
        self.request = request

    def header(self, name: str) -> str:
        """Nothing."""
        return ""


@pytest.fixture
def canary() -> Iterator[AgentCanary]:
    """Return a canary."""
    with AgentCanary("v1", "v2", clock=ManualClock(), autopilot=False) as canary:
        yield canary


def test_the_key_decides(canary: AgentCanary) -> None:
    """Whom the function knows has that key, needs no cookie, and nobody looks at its headers."""

    def client(request: object) -> Stranger:
        raise AssertionError

    identifier = Identifier[dict[str, int]](canary, lambda request: request["user"], "who", client)
    assert identifier.identify({"user": 7}) == (7, None)
    assert identifier.identify({"user": 0}) == (0, None)
    assert canary.failsafe.counts == {}


def test_a_key_of_none_falls_back_to_the_cookie(canary: AgentCanary) -> None:
    """Whom the function does not know is known by the cookie."""
    key, set_cookie = Identifier[None](canary, lambda request: None, "who", Stranger).identify(None)
    assert set_cookie is not None
    assert set_cookie.startswith(f"who={key};")


def test_nobody_has_no_key(canary: AgentCanary) -> None:
    """Without a cookie, whom the function does not know stays nobody."""
    assert Identifier[None](canary, lambda request: None, None, Stranger).identify(None) == (None, None)


def test_a_key_that_raises_is_counted(canary: AgentCanary) -> None:
    """Its request has no key and gets no cookie."""
    identifier = Identifier[dict[str, str]](canary, lambda request: request["user"], "who", Stranger)
    assert identifier.identify({}) == (None, None)
    assert canary.failsafe.counts == {"key": 1}


def test_neither_key_nor_cookie_is_refused(canary: AgentCanary) -> None:
    """Nobody would ever get the canary: an error at construction that says what to do."""
    with pytest.raises(ValueError, match=r'give key=.*or cookie="agent_canary"'):
        Identifier(canary, None, None, Stranger)


def test_what_is_no_canary_is_refused() -> None:
    """A rollout's name in its place, or arguments that were swapped."""
    with pytest.raises(ValueError, match="canary must be an AgentCanary, got 'support'"):
        Identifier("support", None, "agent", Stranger)  # type: ignore[arg-type]


async def _coroutine(request: object) -> str:
    return "alice"


@pytest.mark.parametrize("key", ["alice", 7, _coroutine])
def test_a_wrong_key_is_refused(canary: AgentCanary, key: Any) -> None:
    """A value or a coroutine function cannot be the key."""
    with pytest.raises(ValueError, match=r"key must be a plain function of the request, got .* do this instead"):
        Identifier[object](canary, key, None, Stranger, if_async="do this instead")

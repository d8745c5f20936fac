"""Which requests count, by path."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.adapting import PathFilter
from agent_canary.failsafe import Failsafe

SEGMENTS = st.lists(st.text("ab.é ", min_size=1, max_size=3), max_size=4)


@pytest.fixture
def failsafe() -> Failsafe:
    """Count errors."""
    return Failsafe("test")


@pytest.fixture
def counted(failsafe: Failsafe) -> Callable[..., list[str]]:
    """Return, of some paths, those that count under some rules."""

    def matching(*paths: str, include: Any = None, exclude: Any = None) -> list[str]:
        rules = PathFilter[str](failsafe, include, exclude)
        return [path for path in paths if rules.matches(path, f"the request of {path}")]

    return matching


def test_everything_counts_by_default(counted: Any) -> None:
    """Without rules every path counts, even an empty one."""
    assert counted("", "/", "/a/b") == ["", "/", "/a/b"]


@pytest.mark.parametrize("rule", ["/chat", "/chat/"])
def test_a_path_covers_what_lies_below(counted: Any, rule: str) -> None:
    """A string covers whole segments: /chat and /chat/7, not /chats."""
    paths = ("/chat", "/chat/", "/chat/7", "/chats", "/", "/x/chat", "chat")
    assert counted(*paths, include=rule) == ["/chat", "/chat/", "/chat/7"]
    assert counted(*paths, exclude=rule) == ["/chats", "/", "/x/chat", "chat"]


def test_the_root_covers_everything(counted: Any) -> None:
    """A slash alone is every path."""
    assert counted("", "/", "/a", include="/") == ["", "/", "/a"]
    assert counted("", "/", "/a", exclude="/") == []


@given(SEGMENTS, SEGMENTS)
def test_a_path_is_compared_by_segments(rule: list[str], path: list[str]) -> None:
    """Of any paths, a string covers those that begin with its segments."""
    rules = PathFilter[None](Failsafe("test"), "/" + "/".join(rule), None)
    assert rules.matches("/" + "/".join(path), None) is (path[: len(rule)] == rule)


def test_several_rules_of_all_kinds(counted: Any) -> None:
    """Strings, patterns and callables mix; any one of them covers."""
    rules = ["/health", re.compile(r"\.(css|js)$"), lambda request: request.endswith("/feedback")]
    assert counted("/health", "/a.css", "/x/feedback", "/a.css/b", "/chat", exclude=rules) == ["/a.css/b", "/chat"]


def test_rules_may_come_from_a_generator(counted: Any) -> None:
    """Any iterable of rules will do, and it is read once."""
    assert counted("/a", "/b", "/c", "/a", include=(f"/{name}" for name in "ab")) == ["/a", "/b", "/a"]


def test_exclude_wins_over_include(counted: Any) -> None:
    """What both cover does not count."""
    assert counted("/api/chat", "/api/feedback", "/other", include="/api", exclude="/api/feedback") == ["/api/chat"]


async def _coroutine(request: object) -> bool:
    return True


@pytest.mark.parametrize(
    "rule",
    ["health", "", 7, ["/a", None], [b"/a"], b"/a", re.compile(b"/a"), _coroutine, functools.partial(_coroutine)],
)
@pytest.mark.parametrize("name", ["include", "exclude"])
def test_a_wrong_rule_is_refused(failsafe: Failsafe, name: str, rule: Any) -> None:
    """A rule that would never match, or always, is an error at construction that names it."""
    with pytest.raises(ValueError, match=rf"{name} must be a path that begins with '/', .*; got "):
        PathFilter(failsafe, **{"include": None, "exclude": None, name: rule})


def test_nothing_to_include_is_refused(failsafe: Failsafe, counted: Any) -> None:
    """An empty include is a mistake; an empty exclude is not."""
    with pytest.raises(ValueError, match="include is empty"):
        PathFilter(failsafe, [], None)
    assert counted("/a", exclude=[]) == ["/a"]


def test_a_rule_that_raises_covers_nothing(failsafe: Failsafe, counted: Any) -> None:
    """An error in a callable is counted under the argument's name and decides nothing."""
    assert counted("/a", exclude=lambda request: request.nope) == ["/a"]
    assert counted("/a", include=[lambda request: request.nope, "/a"]) == ["/a"]
    assert failsafe.counts == {"exclude": 1}
    assert counted("/b", include=lambda request: request.nope) == []
    assert failsafe.counts == {"exclude": 1, "include": 1}

"""Which requests count, by their path."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Generic, TypeGuard, TypeVar, cast

from ..failsafe import Failsafe

Request = TypeVar("Request")
PathRule = str | re.Pattern[str] | Callable[[Request], object]
PathRules = PathRule[Request] | Iterable[PathRule[Request]]


class PathFilter(Generic[Request]):
    """Tells which requests count: those that *include* covers, without those that *exclude* covers.

    Args:
        failsafe: Counts what goes wrong in callables among the rules; one that raises covers nothing.
        include: One rule or several; None covers every request. A string is a path and all that lies below it:
            ``"/chat"`` covers ``/chat`` and ``/chat/7`` but not ``/chats``; ``"/"`` covers everything. A compiled
            pattern is searched in the path. A callable gets the adapter's request.
        exclude: The same; None covers none.

    Raises:
        ValueError: A rule is of another type, a string does not begin with a slash, a callable is async, or *include*
            is empty.
    """

    def __init__(
        self, failsafe: Failsafe, include: PathRules[Request] | None, exclude: PathRules[Request] | None
    ) -> None:
        self._include = None if include is None else _Rules("include", include, failsafe)
        self._exclude = None if exclude is None else _Rules("exclude", exclude, failsafe)
        if self._include is not None and self._include.are_none:
            raise ValueError("include is empty, so no request would ever count; leave it out and every request counts")

    def matches(self, path: str, request: Request) -> bool:
        """Whether the request counts.

        Args:
            path: The URL's path, percent-decoded, as the client sees it.
            request: What callables among the rules get.
        """
        if self._include is not None and not self._include.cover(path, request):
            return False
        return self._exclude is None or not self._exclude.cover(path, request)


class _Rules(Generic[Request]):
    """The rules of one argument, sorted by what they cost."""

    def __init__(self, name: str, rules: PathRules[Request], failsafe: Failsafe) -> None:
        self._name = name
        self._failsafe = failsafe
        self._paths: set[str] = set()
        self._patterns: list[re.Pattern[str]] = []
        self._callables: list[Callable[[Request], object]] = []
        for rule in _listed(rules):
            self._add(rule)
        self._below = tuple(f"{path}/" for path in self._paths)

    @property
    def are_none(self) -> bool:
        return not (self._paths or self._patterns or self._callables)

    def cover(self, path: str, request: Request) -> bool:
        return (
            path in self._paths
            or path.startswith(self._below)
            or (bool(self._patterns) and any(pattern.search(path) for pattern in self._patterns))
            or (bool(self._callables) and any(self._call(rule, request) for rule in self._callables))
        )

    def _call(self, rule: Callable[[Request], object], request: Request) -> object:
        return self._failsafe.call(self._name, rule, request, default=False)

    def _add(self, rule: object) -> None:
        if isinstance(rule, str) and rule.startswith("/"):
            self._paths.add(rule.rstrip("/"))
        elif _is_pattern(rule):
            self._patterns.append(rule)
        elif callable(rule) and not inspect.iscoroutinefunction(rule):
            self._callables.append(rule)
        else:
            raise ValueError(
                f"{self._name} must be a path that begins with '/', a compiled re.Pattern of a str, a plain function "
                f"of the request, or several of these; got {rule!r}"
            )


def _is_pattern(rule: object) -> TypeGuard[re.Pattern[str]]:
    # One of bytes would raise at each search.
    return isinstance(rule, re.Pattern) and isinstance(cast("re.Pattern[str] | re.Pattern[bytes]", rule).pattern, str)


def _listed(rules: object) -> Iterable[object]:
    if callable(rules) or isinstance(rules, (str, bytes)) or not isinstance(rules, Iterable):
        return (rules,)
    return cast("Iterable[object]", rules)

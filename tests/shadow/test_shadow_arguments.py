"""What a deployment refuses to be made of."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import pytest

from agent_canary.shadow import ShadowDeployment


async def coroutine(*_: object) -> bool:
    return True


class AsyncCallable:
    async def __call__(self, *_: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stable_fn", "agent"),
        ("shadow_fn", None),
        ("comparator", 0.9),
        ("comparator", coroutine),
        ("copy", "deep"),
        ("copy", functools.partial(coroutine, 1)),
        ("on_result", []),
        ("on_result", AsyncCallable()),
        ("max_workers", 0),
        ("max_workers", 2.0),
        ("max_queue", -1),
        ("max_queue", True),
        ("timeout", 0),
        ("timeout", -1.0),
        ("timeout", timedelta(-1)),
        ("timeout", float("inf")),
        ("sample_rate", 1.5),
        ("sample_rate", float("nan")),
        ("sample_rate", None),
        ("clock", 7),
    ],
)
def test_a_bad_argument_is_refused(name: str, value: Any) -> None:
    """The error names the parameter and the value."""
    options: dict[str, Any] = {"stable_fn": len, "shadow_fn": len, name: value}
    with pytest.raises(ValueError, match=f"^{name} must .*got ") as caught:
        ShadowDeployment(**options)
    assert repr(value) in str(caught.value)


def test_a_bad_sample_rate_is_refused_later_too() -> None:
    """A wrong value changes nothing."""
    shadow = ShadowDeployment(len, len, sample_rate=0.5)
    with pytest.raises(ValueError, match=r"sample_rate must be a number in \[0, 1\], got 50"):
        shadow.sample_rate = 50
    assert shadow.sample_rate == 0.5


def test_a_bad_timeout_of_shutdown_is_refused() -> None:
    """A negative time to wait is an error, and nothing is shut down."""
    shadow = ShadowDeployment(len, len)
    with pytest.raises(ValueError, match="timeout must be finite seconds >= 0 or a timedelta, got -1"):
        shadow.shutdown(timeout=-1)
    shadow.call("abc")
    shadow.shutdown(timeout=timedelta(seconds=10))
    assert shadow.status()["match"] == 1


def test_the_original_positions_hold() -> None:
    """Stable, shadow, comparator and workers are given by position; shutdown takes wait by position."""
    shadow = ShadowDeployment(len, len, lambda ours, theirs: ours == theirs, 2)
    assert shadow.call("abc") == 3
    shadow.shutdown(True)
    assert shadow.status()["match"] == 1


def test_its_text_names_both() -> None:
    """Who prints it sees what it does."""
    assert (
        repr(ShadowDeployment(len, max)) == "<ShadowDeployment <built-in function max> beside <built-in function len>>"
    )

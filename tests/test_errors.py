"""The library's exceptions, and the checks of arguments that every room shares."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import (
    AgentCanaryError,
    IllegalMoveError,
    MissingExtraError,
    RevisionConflictError,
    StoreError,
)
from agent_canary.errors import require_count, require_fraction, require_non_negative, require_positive, seconds

NO_NUMBERS = [
    None,
    "0.5",
    b"1",
    True,
    False,
    1j,
    Decimal("0.5"),
    float("nan"),
    float("inf"),
    -float("inf"),
    [0.5],
    10**400,
]


def test_all_of_the_librarys_own_exceptions_have_one_base() -> None:
    """`except AgentCanaryError` catches each of them."""
    for error in (IllegalMoveError, StoreError, RevisionConflictError, MissingExtraError):
        assert issubclass(error, AgentCanaryError)


def test_exceptions_are_of_the_builtin_kind_too() -> None:
    """Code that knows nothing of the library catches them by what they are."""
    assert issubclass(IllegalMoveError, RuntimeError)
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(RevisionConflictError, StoreError)
    assert not issubclass(StoreError, ValueError)


@given(st.floats(0.0, 1.0))
def test_a_fraction_comes_back_as_it_is(value: float) -> None:
    """Every float from 0 to 1 is accepted to the last bit."""
    assert require_fraction("share", value) == value


def test_numbers_of_other_types_become_plain_floats() -> None:
    """Integers and rational numbers are understood, and what comes back serialises as JSON."""
    assert type(require_fraction("share", 1)) is float
    assert require_fraction("share", Fraction(1, 4)) == 0.25
    assert type(require_non_negative("latency_ms", 10**30)) is float
    assert type(require_positive("interval", 1)) is float


def test_numpys_numbers_become_plain_floats() -> None:
    """A latency or a share that NumPy computed is as good as any."""
    numpy = pytest.importorskip("numpy")
    assert type(require_fraction("share", numpy.float32(0.5))) is float
    assert type(require_non_negative("latency_ms", numpy.int64(3))) is float
    assert require_count("samples", numpy.int64(3)) == 3
    assert type(require_count("samples", numpy.int64(3))) is int


@pytest.mark.parametrize("value", [*NO_NUMBERS, -0.001, 1.001, 5, -5e-324], ids=repr)
def test_what_is_no_fraction_is_refused(value: Any) -> None:
    """The message names the parameter, the range and the value."""
    with pytest.raises(ValueError, match=r"^share must be a number in \[0, 1\], got ") as caught:
        require_fraction("share", value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, -5e-324], ids=repr)
def test_what_is_negative_or_no_number_is_refused(value: Any) -> None:
    """NaN, infinities, bools and texts are none, and a number too large for a float neither."""
    with pytest.raises(ValueError, match=r"^latency_ms must be a finite number >= 0, got ") as caught:
        require_non_negative("latency_ms", value)
    assert str(caught.value).endswith(repr(value))


@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, 0, 0.0, -0.0], ids=repr)
def test_what_is_not_positive_is_refused(value: Any) -> None:
    """Zero is not positive."""
    with pytest.raises(ValueError, match=r"^interval must be a finite number > 0, got ") as caught:
        require_positive("interval", value)
    assert str(caught.value).endswith(repr(value))


@pytest.mark.parametrize("value", [0, 0.0, 5e-324, 1.7976931348623157e308])
def test_the_ends_of_the_range_are_accepted(value: float) -> None:
    """Zero, the smallest and the largest float are finite numbers of at least 0."""
    assert require_non_negative("latency_ms", value) == value


@pytest.mark.parametrize("value", [0, 1, 2**70])
def test_a_count_comes_back_as_it_is(value: int) -> None:
    """Integers of any size are counts."""
    assert require_count("min_samples", value) == value


@pytest.mark.parametrize("value", [None, "3", True, 3.0, float("nan"), -1], ids=repr)
def test_what_is_no_count_is_refused(value: Any) -> None:
    """A whole number in a float is a mistake for one, and so is True."""
    with pytest.raises(ValueError, match=r"^min_samples must be an integer >= 0, got ") as caught:
        require_count("min_samples", value)
    assert str(caught.value).endswith(repr(value))


def test_a_count_may_have_another_least_value() -> None:
    """The message names it."""
    assert require_count("window_size", 1, at_least=1) == 1
    with pytest.raises(ValueError, match=r"^window_size must be an integer >= 1, got 0$"):
        require_count("window_size", 0, at_least=1)


def test_a_duration_is_seconds_or_a_timedelta() -> None:
    """Both become float seconds."""
    assert seconds("stale_after", 1.5) == 1.5
    assert type(seconds("stale_after", 2)) is float
    assert seconds("stale_after", timedelta(minutes=1, milliseconds=250)) == 60.25
    assert seconds("stale_after", timedelta(0)) == 0.0


@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, timedelta(microseconds=-1)], ids=repr)
def test_what_is_no_duration_is_refused(value: Any) -> None:
    """The message says that a timedelta is understood."""
    with pytest.raises(ValueError, match=r"^stale_after must be finite seconds >= 0 or a timedelta, got ") as caught:
        seconds("stale_after", value)
    assert str(caught.value).endswith(repr(value))

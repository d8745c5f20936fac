"""Canonical JSON: one text for equal values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.plan import canonical_json

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def respelled(value: Any) -> Any:
    """The same value with every integer as a float, lists as tuples, and keys in the other order."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: respelled(entry) for key, entry in reversed(value.items())}
    if isinstance(value, list):
        return tuple(map(respelled, value))
    return float(value)


@given(VALUES)
def test_equal_values_have_one_text(value: Any) -> None:
    """The order of keys and the spelling of numbers make no difference."""
    assert canonical_json(respelled(value)) == canonical_json(value)


@given(VALUES)
def test_the_text_is_json_of_the_same_value(value: Any) -> None:
    """Reading it gives an equal value, and writing that again the same text."""
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
    assert text.isascii()


def test_truth_is_no_number() -> None:
    """True and 1 are equal in Python, not in JSON."""
    assert canonical_json(True) != canonical_json(1)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    """Also deep inside of a value."""
    with pytest.raises(ValueError, match=f"a number in JSON must be finite, got {number!r}"):
        canonical_json({"a": [1, number]})


def test_what_json_lacks_is_refused() -> None:
    """A set has no place in JSON."""
    with pytest.raises(TypeError):
        canonical_json({1, 2})

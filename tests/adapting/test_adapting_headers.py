"""The fields of HTTP that adapters read and write."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.adapting import added_headers, field_name, field_value, read_cookie


@pytest.mark.parametrize("name", [None, "X-Agent-Version", "v", "x_1"])
def test_a_name_is_returned_as_it_is(name: str | None) -> None:
    """What a header can be called passes, and so does none."""
    assert field_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", 7, b"v", True])
def test_a_wrong_name_is_refused(name: Any) -> None:
    """What is no header's name is an error that says so."""
    with pytest.raises(ValueError, match="response_header must be a header's name, such as 'X-Agent-Version', got "):
        field_name(name)


@given(st.text())
def test_a_value_fits_a_header(version: str) -> None:
    """Of any text comes printable ASCII, so that no line can be broken and no server refuses it."""
    assert set(field_value(version)) <= set(map(chr, range(0x20, 0x7F)))


@given(st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20), max_size=20))
def test_printable_text_stays_as_it_is(version: str) -> None:
    """What a header can carry is readable in it."""
    assert field_value(version) == version


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="%"), max_size=20))
def test_other_text_is_percent_encoded(version: str) -> None:
    """A client can get the version's text back."""
    assert unquote(field_value(version)) == version


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("", []),
        ("who=1", ["1"]),
        ("a=0; who=1; b=2", ["1"]),
        ("who=1;who=2", ["1", "2"]),
        (" who = 1 ; x", ["1"]),
        ("xwho=1; who2=2; a=who", []),
        ("who", [""]),
        ("who=a=b", ["a=b"]),
        ("Who=1", []),
    ],
)
def test_a_cookie_is_found_by_its_whole_name(header: str, values: list[str]) -> None:
    """Every value of the name is found, in order, and of no other name."""
    assert list(read_cookie(header, "who")) == values


@pytest.mark.parametrize(
    ("set_cookie", "header_name", "headers"),
    [
        (None, None, None),
        ("who=1", None, [("Set-Cookie", "who=1")]),
        (None, "V", [("V", "v%0A2")]),
        ("who=1", "V", [("Set-Cookie", "who=1"), ("V", "v%0A2")]),
    ],
)
def test_only_what_was_asked_for_is_added(
    set_cookie: str | None, header_name: str | None, headers: list[tuple[str, str]] | None
) -> None:
    """A cookie where one is due, the version where it is to be told; else nothing: the answer stays as it is."""
    assert added_headers("v\n2", set_cookie, header_name) == headers

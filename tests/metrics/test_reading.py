"""Reading JSON: each check names what it wanted and what it found."""

from __future__ import annotations

from typing import Any

import pytest

from agent_canary.metrics.reading import integers_of, list_of, object_of, part_of, row_of


def test_what_is_right_comes_back_as_it_is() -> None:
    """A part, an object, a list, a row and a list of integers."""
    data: dict[str, Any] = {"level": 0, "groups": [[1, 2], []]}
    assert part_of(data, "level") == 0
    assert object_of("data", data) is data
    assert list_of("groups", data["groups"]) is data["groups"]
    assert row_of("a pair", ("one", "two"), data["groups"][0]) is data["groups"][0]
    assert integers_of("numbers", data["groups"][0], 1, 2) is data["groups"][0]
    assert integers_of("numbers", [], 1, 2) == []


@pytest.mark.parametrize("data", [None, 7, "level", ["level"], {}])
def test_a_missing_part_is_named(data: Any) -> None:
    """Also where there is no object at all."""
    with pytest.raises(ValueError, match="data must be an object with 'level', got"):
        part_of(data, "level")


@pytest.mark.parametrize("data", [None, 7, "text", [1, 2]])
def test_what_is_no_object_is_refused(data: Any) -> None:
    """The message says what it is about."""
    with pytest.raises(ValueError, match="scored must be an object, got"):
        object_of("scored", data)


@pytest.mark.parametrize("data", [None, 7, "text", {"a": 1}, (1, 2)])
def test_what_is_no_list_is_refused(data: Any) -> None:
    """A text has a length too, and is none."""
    with pytest.raises(ValueError, match="slices must be a list, got"):
        list_of("slices", data)


@pytest.mark.parametrize("data", [None, "ab", [1], [1, 2, 3], {"one": 1, "two": 2}])
def test_a_row_of_another_width_is_refused(data: Any) -> None:
    """The message shows the columns."""
    with pytest.raises(ValueError, match=r"a pair must be \[one, two\], got"):
        row_of("a pair", ("one", "two"), data)


@pytest.mark.parametrize("data", [None, "12", [0], [3], [1.0], [True], [1, "2"], [1, None]])
def test_integers_outside_their_range_are_refused(data: Any) -> None:
    """The message shows the range."""
    with pytest.raises(ValueError, match=r"numbers must be a list of integers in \[1, 2\], got"):
        integers_of("numbers", data, 1, 2)


def test_integers_may_have_no_upper_end() -> None:
    """Counts have a lower end only."""
    assert integers_of("counts", [1, 2**70], 1) == [1, 2**70]
    with pytest.raises(ValueError, match="counts must be a list of integers >= 1, got"):
        integers_of("counts", [0], 1)

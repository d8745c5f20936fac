"""The synchronous and the asynchronous methods are tested alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SYNC = sorted(Path(__file__).parent.glob("test_*_sync.py"))


@pytest.mark.parametrize("path", SYNC, ids=lambda path: path.stem)
def test_twins_have_the_same_tests(path: Path) -> None:
    """Each test of one file has its twin, in the same place of the other."""
    twin = path.with_name(path.name.replace("_sync.py", "_async.py"))
    names = re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == re.findall(r"^async def (test_\w+)", twin.read_text(encoding="utf-8"), re.MULTILINE)
    assert names

"""The example runs, and shows what its spans told."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "opentelemetry_spans.py"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints both versions' tokens and scores, and the attributes of a span."""
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert [line.split()[2:] for line in printed.splitlines()[1:3]] == [["1,020", "78%"], ["1,080", "90%"]]
    assert "agent_canary.assignment.id" in printed

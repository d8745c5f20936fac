"""Every example runs as its reader would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_every_adapter_has_an_example() -> None:
    """There is a file for each integration."""
    names = " ".join(path.name for path in EXAMPLES)
    for framework in ("starlette", "fastapi", "wsgi", "flask", "langchain", "langgraph", "opentelemetry"):
        assert framework in names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path) -> None:
    """It ends by itself without an error or a warning, and tells what happened."""
    run = subprocess.run(
        [sys.executable, "-W", "error", str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) >= 3
    assert "Traceback" not in run.stderr

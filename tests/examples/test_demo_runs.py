"""The demo as a stranger runs it. It takes a minute: ``pytest -m demo``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

for module in ("httpx", "rich", "sklearn", "starlette", "uvicorn"):
    pytest.importorskip(module)

pytestmark = pytest.mark.demo

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "examples.demo"]
ENVIRONMENT = {**os.environ, "PYTHONIOENCODING": "utf-8"}


def test_all_three_rollouts_end_as_they_should() -> None:
    """In plain lines where there is no terminal, with a report at the end and nothing on stderr."""
    began = time.monotonic()
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, encoding="utf-8", env=ENVIRONMENT, timeout=200)
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert all(line.isprintable() for line in done.stdout.splitlines())
    for headline in ("1. v1 → v2: promoted to everybody", "2. v2 → v3: rolled back", "3. v2 → v4: rolled back"):
        assert headline in done.stdout
    assert done.stdout.count("as it should") == 3
    assert done.stdout.endswith("All 3 rollouts ended as they should.\n")
    assert seconds > 3 * 20.0


def test_ctrl_c_ends_it_cleanly() -> None:
    """With a word, an exit code of its own and no traceback."""
    command = [*COMMAND, "--only", "better"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT
    ) as demo:
        assert demo.stdout is not None
        while "started" not in demo.stdout.readline():
            assert demo.poll() is None
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert errors == "Interrupted. Server and clients have ended.\n"

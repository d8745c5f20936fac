"""The groups of comparisons, each measured in a process of its own."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context

from .rounds import Effort
from .rows import Rows

GROUPS = ("routing", "assigning", "recording", "middleware", "langchain", "shadow", "analysis", "memory")


def run(name: str, effort: Effort) -> Rows:
    """Measure one group in this process."""
    rows: Rows = import_module(f"{__package__}.{name}").run(effort)
    return rows


def run_apart(name: str, effort: Effort) -> Rows:
    """Measure one group in a fresh process, so that one library's threads do not disturb another's numbers."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(run, name, effort).result()

"""The groups of cells, in the order in which they are measured and shown."""

from __future__ import annotations

from importlib import import_module

from .cell import Cell

GROUPS = {
    "goals": "What was promised",
    "failures": "Failing answers",
    "latency": "Latency",
    "scores": "Scores",
    "amounts": "Cost, tokens and the first token",
    "sample_ratio": "Sample ratio",
    "together": "All guardrails at once",
    "fast_kill": "A canary that is broken from the start",
}
"""Titles by name; each is a module in ``scenarios``."""


def cells_of(group: str) -> tuple[Cell, ...]:
    """Return a group's cells."""
    cells: tuple[Cell, ...] = import_module(f"{__package__}.scenarios.{group}").CELLS
    return cells

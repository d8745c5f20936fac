"""The document ``docs/error-rates.md``, made of the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import wording
from .cell import Cell
from .method import LIMITS, METHOD
from .result import Result
from .tables import (
    DEFAULT_ALPHA,
    Measured,
    above_alpha,
    again_table,
    goals_table,
    harmful_table,
    harmless_table,
    main_tally,
)

PLOTS = {
    "false-rollbacks.svg": "How often a harmless canary is rolled back for failures: the library and two fixed rules",
    "guardrails.svg": "How often a harmless canary is rolled back, by guardrail",
    "detection.svg": "Failed answers of a worse canary, where 99.9 % of stable's succeed: the library and fixed rules",
}


def markdown(
    results: Mapping[str, Mapping[str, Result]], cells: Mapping[str, Sequence[Cell]], titles: Mapping[str, str]
) -> str:
    """Return the whole document.

    Args:
        results: By group and cell.
        cells: Of each group, in order.
        titles: Of the groups, in order.
    """
    measured = {group: _measured(cells[group], results[group]) for group in titles if results.get(group)}
    every = [each for group in measured.values() for each in group]
    parts = [
        "# How often it is wrong, and how soon it is right\n",
        f"{_origin([result for _, result in every])}\n",
        f"## In short\n\n{summary(every)}\n",
        *(f"![{text}](plots/{name})\n" for name, text in PLOTS.items()),
    ]
    parts += [_section(group, titles[group], found) for group, found in measured.items()]
    parts += [f"## How it was measured\n\n{METHOD}", f"## What this does not show\n\n{LIMITS}"]
    return "\n".join(parts)


def summary(measured: Sequence[Measured]) -> str:
    """Return the results in a few sentences."""
    harmless = [(cell, result) for cell, result in measured if cell.harmless and not cell.again]
    promises = [(main_tally(result).meets(goal), goal) for cell, result in measured for goal in cell.goals]
    lines = []
    if harmless:
        above = [cell for cell, result in harmless if above_alpha(cell, result)]
        lines.append(
            f"- {len(harmless) - len(above)} of {len(harmless)} harmless settings are within alpha, at 5 % and at 1 %, "
            f"or above it by no more than three Monte-Carlo errors{_named(above)}."
        )
        lines.append(f"- {_pooled(harmless)}")
    if promises:
        lines.append(f"- {sum(met for met, _ in promises)} of {len(promises)} promises are met.")
    return "\n".join(lines) + "\n"


def unexplained(measured: Sequence[Measured]) -> list[str]:
    """Return the cells that are above alpha and do not say why, and those that break a promise."""
    above = [cell.name for cell, result in measured if above_alpha(cell, result) and not cell.note]
    broken = [
        f"{cell.name}: {wording.goal(goal)}"
        for cell, result in measured
        for goal in cell.goals
        if not main_tally(result).meets(goal)
    ]
    return [*(f"above alpha: {name}" for name in above), *(f"promise not kept: {each}" for each in broken)]


def _measured(cells: Sequence[Cell], results: Mapping[str, Result]) -> list[Measured]:
    return [(cell, results[cell.name]) for cell in cells if cell.name in results]


def _section(group: str, title: str, measured: Sequence[Measured]) -> str:
    promised = [each for each in measured if each[0].goals]
    again = [each for each in measured if each[0].again]
    harmless = [each for each in measured if each[0].harmless and not each[0].again]
    harmful = [each for each in measured if not each[0].harmless]
    parts = [f"## {title}\n", f"`python -m validation --full --only {group}`\n"]
    for found, table in (
        (promised, goals_table),
        (harmless, harmless_table),
        (again, again_table),
        (harmful, harmful_table),
    ):
        if found:
            parts.append(f"{table(found)}\n")
    notes = dict.fromkeys((cell.note, cell.name) for cell, _ in measured if cell.note)
    if notes:
        parts.append("\n".join(f"- *{name}*: {note}" for note, name in notes) + "\n")
    return "\n".join(parts)


def _origin(results: Sequence[Result]) -> str:
    versions, pythons, dates = (
        sorted({getattr(result, name) for result in results}) for name in ("version", "python", "date")
    )
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    runs, hours = sum(result.runs for result in results), sum(result.core_seconds for result in results) / 3600.0
    return (
        f"Written by `python -m validation --full --write` for agent_canary {', '.join(versions)} on {when} "
        f"({', '.join(pythons)}): {runs:,} rollouts in {len(results)} settings, {hours:.1f} hours of one processor. "
        "`tox run -e validate` measures a part of them anew in minutes."
    )


def _pooled(harmless: Sequence[Measured]) -> str:
    seen = [result.library[DEFAULT_ALPHA] for _, result in harmless if DEFAULT_ALPHA in result.library]
    runs, rolled_back = sum(each.runs for each in seen), sum(each.rolled_back for each in seen)
    return (
        f"At the default alpha of 1 %, {rolled_back:,} of all {runs:,} harmless rollouts were rolled back: "
        f"{wording.rate(rolled_back, runs)}."
    )


def _named(above: Sequence[Cell]) -> str:
    return "; above it are: " + "; ".join(f"*{cell.name}*" for cell in above) if above else ""

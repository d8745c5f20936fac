"""The command line: measure, print, and write ``docs/error-rates.md`` when told to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from . import report, terminal
from .cell import Cell
from .groups import GROUPS, cells_of
from .measuring import Pool, fingerprint, pool
from .result import Result, Results
from .tables import Measured

DOCS = Path(__file__).parent.parent / "docs"
HARMLESS_RUNS, HARMFUL_RUNS, QUICK_RUNS = 400, 200, 30
"""Of a cell, in the long run and in the quick one."""


@dataclass(frozen=True, slots=True)
class Task:
    """A cell to be measured.

    Attributes:
        group: Its group.
        cell: The cell.
        runs: How many runs.
    """

    group: str
    cell: Cell
    runs: int


def main(arguments: Sequence[str] | None = None, results: Results | None = None, docs: Path = DOCS) -> int:
    """Return 0 when all was measured and nothing is above alpha without an explanation, nor a promise broken."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.write and not options.full:
        parser.error("--write keeps the results of the long run: say --full too")
    console, results = Console(), results or Results()
    if options.render:
        return _render(results, docs, console)
    tasks = _tasks(options, results)
    console.print(
        f"{len(tasks)} settings, {sum(task.runs for task in tasks):,} rollouts, {options.processes} processes"
    )
    with pool(options.processes) as processes:
        measured = _measure(tasks, processes, console, results if options.write else None)
    console.print(report.summary(measured), markup=False, highlight=False, soft_wrap=True)
    found = report.unexplained(measured)
    for each in found:
        console.print(each, style="bold red", markup=False, highlight=False, soft_wrap=True)
    if options.write:
        _render(results, docs, console)
    return 1 if found else 0


def _tasks(options: argparse.Namespace, results: Results) -> list[Task]:
    tasks = []
    for group in options.only or GROUPS:
        known = results.read(group) if options.missing else {}
        for cell in cells_of(group):
            if not (options.full or cell.quick or options.cell) or (options.cell or "") not in cell.name:
                continue
            runs = _runs(cell, options)
            if not _is_known(cell, runs, known.get(cell.name)):
                tasks.append(Task(group, cell, runs))
    return tasks


def _runs(cell: Cell, options: argparse.Namespace) -> int:
    usual = QUICK_RUNS
    if options.full:
        usual = HARMLESS_RUNS if cell.harmless else HARMFUL_RUNS
    return max(1, int((options.runs or usual) * cell.effort))


def _is_known(cell: Cell, runs: int, result: Result | None) -> bool:
    return result is not None and result.fingerprint == fingerprint(cell) and result.runs >= runs


def _measure(tasks: Sequence[Task], processes: Pool, console: Console, results: Results | None) -> list[Measured]:
    measured: list[Measured] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    group = ""
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=sum(task.runs for task in tasks))
        for task in tasks:
            if task.group != group:
                group = task.group
                console.print(f"\n[bold]{GROUPS[group]}[/]")
            progress.update(bar, description=group)
            result = processes.measure(task.cell, task.runs, lambda runs: progress.advance(bar, runs))
            measured.append((task.cell, result))
            console.print(terminal.line(task.cell, result), markup=False, highlight=False, soft_wrap=True)
            if results is not None:
                results.write(task.group, [cell.name for cell in cells_of(task.group)], result)
    return measured


def _render(results: Results, docs: Path, console: Console) -> int:
    from . import plots  # needs matplotlib

    cells = {group: cells_of(group) for group in GROUPS}
    found = {group: results.read(group) for group in GROUPS}
    page = docs / "error-rates.md"
    page.write_text(report.markdown(found, cells, GROUPS), encoding="utf-8")
    plots.draw_all(docs / "plots", found, cells)
    console.print(f"written: {page.name} and {len(report.PLOTS)} plots", markup=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m validation", description="How often the library is wrong, and how soon it is right."
    )
    parser.add_argument("--full", action="store_true", help="all settings and many runs: hours; without it, minutes")
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=f"these groups: {', '.join(GROUPS)}")
    parser.add_argument("--cell", metavar="TEXT", help="the settings whose name has this text")
    parser.add_argument("--runs", type=int, metavar="N", help="runs of each setting")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="how many work at once")
    parser.add_argument(
        "--write",
        action="store_true",
        help="keep the results, each as soon as it is there, and write docs/error-rates.md",
    )
    parser.add_argument(
        "--missing",
        action="store_true",
        help="leave out what was kept with as many runs: goes on where a run was broken off",
    )
    parser.add_argument(
        "--render", action="store_true", help="measure nothing: write the document from the results that were kept"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

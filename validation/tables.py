"""The tables of the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from . import wording
from .cell import Cell
from .estimates import is_above
from .result import Result
from .tally import Tally

Measured = tuple[Cell, Result]
Column = tuple[str, Callable[[Cell, Result], str]]
DEFAULT_ALPHA = 0.01


def above_alpha(cell: Cell, result: Result) -> tuple[float, ...]:
    """Return the alphas that a harmless cell is above, by more than three Monte-Carlo errors."""
    if not cell.harmless:
        return ()
    return tuple(
        alpha for alpha, seen in result.library.items() if seen.runs and is_above(seen.rolled_back, seen.runs, alpha)
    )


def main_tally(result: Result) -> Tally:
    """Return what the library did at its own alpha, or at the only one that was asked for."""
    return result.library.get(DEFAULT_ALPHA) or next(iter(result.library.values()))


def harmless_table(measured: Sequence[Measured]) -> str:
    """Return the table of false rollbacks."""
    columns: list[Column] = [
        ("a canary like stable", lambda cell, result: _name(cell, above_alpha(cell, result))),
        ("runs", lambda _, result: f"{next(iter(result.library.values())).runs:,}"),
        ("rolled back at alpha 5 %", lambda _, result: _at(result, 0.05)),
        ("at alpha 1 %", lambda _, result: _at(result, 0.01)),
        (
            "completed",
            lambda _, result: wording.percent(main_tally(result).completed / max(1, main_tally(result).runs)),
        ),
    ]
    if any(result.original for _, result in measured):
        columns += [
            ("the original's rule", lambda _, result: _rolled_back(result.original)),
            ("fixed threshold", lambda _, result: _rolled_back(result.fixed)),
        ]
    return table(columns, measured)


def again_table(measured: Sequence[Measured]) -> str:
    """Return the table of restarted runs."""
    columns: list[Column] = [
        ("after a false alarm", lambda cell, result: _name(cell, above_alpha(cell, result))),
        ("restarted runs", lambda _, result: f"{main_tally(result).runs:,}"),
        ("alpha", lambda cell, _: wording.percent(cell.alphas[0])),
        ("rolled back again", lambda _, result: _rolled_back(main_tally(result))),
    ]
    return table(columns, measured)


def harmful_table(measured: Sequence[Measured]) -> str:
    """Return the table of what is caught, how soon, and at what cost."""
    columns: list[Column] = [
        ("a worse canary", lambda cell, _: _name(cell)),
        ("runs", lambda _, result: f"{result.runs:,}"),
        ("caught at alpha 1 %", lambda _, result: _rolled_back(main_tally(result))),
        ("canary answers until then", lambda _, result: _of_caught(result, "answers")),
        ("users on the canary", lambda _, result: _of_caught(result, "users")),
        ("minutes", lambda _, result: _of_caught(result, "seconds")),
    ]
    if any(result.original for _, result in measured):
        columns += [
            ("failed canary answers (users who met one)", lambda _, result: _harm(main_tally(result))),
            ("the original's rule: caught, to everybody, failed answers", lambda _, result: _rule(result.original)),
            ("fixed threshold: the same", lambda _, result: _rule(result.fixed)),
        ]
    return table(columns, measured)


def goals_table(measured: Sequence[Measured]) -> str:
    """Return the table of what was promised, a line for each promise."""
    lines = [line(("setting", "promised", "measured", "", "runs")), line("---" for _ in range(5))]
    for cell, result in measured:
        seen = main_tally(result)
        for goal in cell.goals:
            verdict = "**met**" if seen.meets(goal) else "**missed**"
            cells = (cell.name, wording.goal(goal), wording.reached(goal, seen), verdict, f"{seen.runs:,}")
            lines.append(line(cells))
    return "\n".join(lines)


def table(columns: Sequence[Column], measured: Sequence[Measured]) -> str:
    """Return a table with a line for each cell."""
    lines = [line(head for head, _ in columns), line("---" for _ in columns)]
    lines += [line(text(cell, result) for _, text in columns) for cell, result in measured]
    return "\n".join(lines)


def line(cells: Iterable[str]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"


def _name(cell: Cell, above: tuple[float, ...] = ()) -> str:
    return f"{cell.name}{' **(above alpha)**' if above else ''}{' [note]' if cell.note else ''}"


def _at(result: Result, alpha: float) -> str:
    seen = result.library.get(alpha)
    return "" if seen is None else _rolled_back(seen)


def _rolled_back(seen: Tally | None) -> str:
    return "" if seen is None else wording.rate(seen.rolled_back, seen.runs)


def _of_caught(result: Result, what: str) -> str:
    caught = main_tally(result).caught
    if caught is None:
        return "–"
    return wording.minutes(caught.seconds) if what == "seconds" else wording.spread(getattr(caught, what))


def _harm(seen: Tally) -> str:
    caught = seen.caught
    return "–" if caught is None else f"{caught.failed:,.1f} ({caught.harmed:,.1f})"


def _rule(seen: Tally | None) -> str:
    if seen is None:
        return ""
    shares = (wording.percent(count / seen.runs) for count in (seen.rolled_back, seen.completed))
    return f"{', '.join(shares)}, {seen.failed:,.0f}"

"""One cell's result as a line or two for the terminal."""

from __future__ import annotations

from . import wording
from .cell import Cell
from .result import Result
from .tables import above_alpha, main_tally
from .tally import Tally


def line(cell: Cell, result: Result) -> str:
    """Return what a cell's runs came to."""
    lines = [f"  {cell.name}", f"      {_harmless(cell, result) if cell.harmless else _harmful(main_tally(result))}"]
    rules = [("the original's rule", result.original), ("fixed threshold", result.fixed)]
    told = [f"{name}: {_rule(seen)}" for name, seen in rules if seen is not None]
    if told:
        lines.append(f"      {'; '.join(told)}")
    lines += [_goal_line(cell, result)] if cell.goals else []
    return "\n".join(lines)


def _harmless(cell: Cell, result: Result) -> str:
    rolled_back = ", ".join(
        f"{wording.rate(seen.rolled_back, seen.runs)} at alpha {wording.percent(alpha)}"
        for alpha, seen in result.library.items()
    )
    seen = main_tally(result)
    completed = f"; completed {wording.percent(seen.completed / seen.runs)}" if seen.runs else ""
    above = above_alpha(cell, result)
    told = f"; ABOVE ALPHA {', '.join(map(wording.percent, above))}" if above else ""
    return f"rolled back {rolled_back}{completed}{told} ({result.runs:,} runs, {_pace(result)})"


def _harmful(seen: Tally) -> str:
    if seen.caught is None:
        return f"caught {wording.rate(0, seen.runs)}"
    caught = seen.caught
    return (
        f"caught {wording.rate(seen.rolled_back, seen.runs)}, after {wording.spread(caught.answers)} canary answers, "
        f"{caught.users[1]:,.0f} users, {wording.minutes(caught.seconds)} minutes; {caught.failed:,.1f} answers failed"
    )


def _rule(seen: Tally) -> str:
    return (
        f"rolled back {wording.percent(seen.share)}, to everybody {wording.percent(seen.completed / seen.runs)}, "
        f"{seen.failed:,.1f} answers failed"
    )


def _goal_line(cell: Cell, result: Result) -> str:
    seen = main_tally(result)
    told = [
        f"{'met' if seen.meets(goal) else 'MISSED'}: {wording.goal(goal)} ({wording.reached(goal, seen)})"
        for goal in cell.goals
    ]
    return f"      {'; '.join(told)}"


def _pace(result: Result) -> str:
    return f"{result.core_seconds / result.runs:.2f} s each"

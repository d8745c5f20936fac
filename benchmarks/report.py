"""The rows of a run as a table for the terminal, and as ``RESULTS.md``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .environment import Environment
from .rows import Row, Rows, Skipped

METHOD = """\
- **Ratios, not times.** Both sides of a ratio run in the same process, in rounds: each contestant once per round, in
  an order that alternates. A row's number is the median of the rounds' ratios; the spread is their 10th and 90th
  percentile. The control "the bare function once more" shows what is noise.
- **The clock** is the processor time of the whole process, all its threads: it stands still while other processes have
  the processor. With 8 threads, which wait for each other, and for the echo it is the wall clock.
- **Nothing is left out.** A sample takes about 10 ms. What an operation does only every so often (folding) is in it;
  what still waits at a sample's end is folded before the clock stops. The loop around the calls, or the app below a
  middleware, is measured as well and taken away from both sides; with threads it is not.
- **The garbage collector** is on, at its usual thresholds. What existed before is frozen out of its sight
  (`gc.freeze`), and each sample begins just after a collection.
- **Each group** of rows has a process of its own, so that one library's threads do not disturb another's numbers.
- **Peers** do what their documentation shows for a percentage of keys, or for a metric, by their cheapest call that
  does the job: without network, analytics events, listeners, exporters and log lines. What they do with the keys is
  checked before, and what we claim to have booked is counted after.
- **Memory** is what `tracemalloc` sees from before the rollout is made, at its highest, with 1,000 requests a second,
  each of a new user, and a tick each second.
- **The echo** is asked by another process over loopback every millisecond, whether or not the last answer has come.

Every number can be had again by itself: `python -m benchmarks --only routing`, and each group is one short module.
"""


BUSY = (
    "Other processes wanted the processors before this run. Processor times bear that, though shared caches make them "
    "longer; the echo and the row with 8 threads, by the wall clock, do not: take them from a quiet machine."
)


def number(value: float, unit: str) -> str:
    """Return a number with its unit: three digits after the point below ten, so that 1.004 is not 1.0."""
    return f"{value:.3f} {unit}" if abs(value) < 10.0 else f"{value:,.1f} {unit}"


def terminal(group: str, rows: Rows) -> str:
    """Return one group's rows as plain text, at most 110 columns wide unless a name is longer."""
    lines = [f"{group:<64}{'measured':>12}{'at most':>10}{'':>8}{'10 to 90 %':>18}"]
    for row in rows:
        if isinstance(row, Skipped):
            lines += [f"  {row.path}", f"      not measured: {row.reason}"]
            continue
        at_most = "" if row.at_most is None else f"{row.at_most:g} {row.unit}"
        measured = number(row.value.median, row.unit)
        lines.append(f"  {row.path:<62}{measured:>12}{at_most:>10}{row.verdict:>8}{_spread(row):>18}")
        lines.append("      " + ": ".join(filter(None, (row.against, row.absolute))))
        if row.is_missed and row.reason:
            lines.append(f"      {row.reason}")
    return "\n".join(lines)


def summary(groups: Mapping[str, Rows]) -> str:
    """Return how many budgets are met, in a line."""
    budgets = [row for row in _rows(groups) if row.at_most is not None]
    met = sum(not row.is_missed for row in budgets)
    skipped = sum(isinstance(row, Skipped) for rows in groups.values() for row in rows)
    return f"{met} of {len(budgets)} budgets met, {len(budgets) - met} missed; {skipped} rows not measured"


def markdown(groups: Mapping[str, Rows], environment: Environment, effort: str) -> str:
    """Return the whole of ``RESULTS.md``."""
    budgets = [row for row in _rows(groups) if row.at_most is not None]
    scale = [row for row in _rows(groups) if row.at_most is None]
    packages = ", ".join(f"{name} {found}" for name, found in environment.packages.items())
    parts = [
        "# What agent_canary costs\n",
        f"Written by `python -m benchmarks --write` (a {effort} run) on {environment}.\n\n{packages}.\n",
        f"{BUSY}\n" if environment.is_busy else "",
        f"## Budgets\n\n{summary(groups)}.\n",
        _table(("path", "ratio to", "measured", "at most", "", "10th to 90th percentile", "behind it"), budgets),
        _reasons(budgets),
        "## For scale\n",
        _table(("path", "ratio to", "measured", "10th to 90th percentile", "behind it"), scale),
        _not_measured(groups),
        f"## How it was measured\n\n{METHOD}",
    ]
    return "\n".join(part for part in parts if part)


def _table(head: tuple[str, ...], rows: Iterable[Row]) -> str:
    lines = [_line(head), _line("---" for _ in head)]
    for row in rows:
        path = row.path.removeprefix("for scale: ")
        verdict = () if row.at_most is None else (f"{row.at_most:g} {row.unit}", f"**{row.verdict}**")
        measured = number(row.value.median, row.unit)
        lines.append(_line((path, row.against, measured, *verdict, _spread(row), row.absolute)))
    return "\n".join(lines) + "\n"


def _reasons(budgets: Iterable[Row]) -> str:
    reasons = [f"- {row.path}: {row.reason}" for row in budgets if row.is_missed and row.reason]
    return "\n".join(["Why budgets are missed:\n", *reasons]) + "\n" if reasons else ""


def _not_measured(groups: Mapping[str, Rows]) -> str:
    skipped = [row for rows in groups.values() for row in rows if isinstance(row, Skipped)]
    lines = [f"- {row.path}: {row.reason}" for row in skipped]
    return "\n".join(["## Not measured\n", *lines]) + "\n" if lines else ""


def _rows(groups: Mapping[str, Rows]) -> list[Row]:
    return [row for rows in groups.values() for row in rows if isinstance(row, Row)]


def _spread(row: Row) -> str:
    if row.value.rounds == 1:
        return ""
    digits = 3 if row.value.high < 10.0 else 1
    return f"{row.value.low:,.{digits}f} to {row.value.high:,.{digits}f}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

"""The plots of the document, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .cell import Cell
from .estimates import interval
from .report import PLOTS
from .result import Result
from .tables import DEFAULT_ALPHA, main_tally
from .tally import Tally

OURS, OURS_AT_FIVE, ORIGINAL, FIXED = "#0b6e4f", "#6fb98f", "#c2410c", "#6b7280"
_HEALTHY = 0.002
"""Failures of stable up to which the fixed rules do not roll back every canary."""
_SMALLEST = 0.05
"""Per cent; what was never seen is drawn here."""

Axes = Any
"""matplotlib's, whose types are no part of it."""


Shown = Sequence[tuple[str, Result]]
"""Results by their labels."""


def draw_all(folder: Path, results: Mapping[str, Mapping[str, Result]], cells: Mapping[str, Sequence[Cell]]) -> None:
    """Write the plots into a folder."""
    import matplotlib as mpl  # only whoever draws needs it

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "agent_canary", "svg.fonttype": "none", "font.size": 9.0})
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {"false-rollbacks.svg": _false_rollbacks, "guardrails.svg": _guardrails, "detection.svg": _detection}
    shown: dict[str, list[tuple[str, Result]]] = {name: [] for name in drawings}
    for group, members in cells.items():
        for cell in members:
            result = results.get(group, {}).get(cell.name)
            name = None if result is None else _plot_of(cell, result)
            if result is not None and name is not None:
                title = "" if result.original else f"{group.replace('_', ' ')}: "
                shown[name].append((f"{title}{cell.name}", result))
    for name, draw in drawings.items():
        _save(folder / name, PLOTS[name], draw, shown[name])


def _plot_of(cell: Cell, result: Result) -> str | None:
    if cell.harmless:
        return None if cell.again else "false-rollbacks.svg" if result.original else "guardrails.svg"
    return "detection.svg" if result.original and cell.stable.failing.rate <= _HEALTHY else None


def _save(path: Path, title: str, draw: Callable[[Axes, Shown], None], shown: Shown) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10.0, 1.4 + 0.24 * max(1, len(shown))), layout="constrained")
    axes.set_yticks(range(len(shown)), [label for label, _ in shown], fontsize=8.0)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    draw(axes, shown)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.0)
    if shown:
        figure.legend(loc="outside lower left", ncols=4, frameon=False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def _false_rollbacks(axes: Axes, shown: Shown) -> None:
    _percent_axis(axes, 100.0)
    _points(axes, shown, lambda result: result.original, ORIGINAL, "D", "the original's rule")
    _points(axes, shown, lambda result: result.fixed, FIXED, "s", "fixed threshold (Argo, Flagger)")
    _ours(axes, shown)


def _guardrails(axes: Axes, shown: Shown) -> None:
    _percent_axis(axes, 20.0)
    _ours(axes, shown)


def _detection(axes: Axes, shown: Shown) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(
        "failed canary answers until the rollback or the end, on average over all runs; beside: the share caught"
    )
    for name, marker, colour, label in (
        ("original", "D", ORIGINAL, "the original's rule"),
        ("fixed", "s", FIXED, "fixed threshold (Argo, Flagger)"),
        ("library", "o", OURS, "the library, alpha 1 %"),
    ):
        seen: list[Tally | None] = [
            main_tally(result) if name == "library" else getattr(result, name) for _, result in shown
        ]
        places = [(place, each) for place, each in enumerate(seen) if each is not None]
        axes.plot(
            [max(0.5, each.failed) for _, each in places],
            [place for place, _ in places],
            marker,
            color=colour,
            label=label,
        )
        for place, each in places:
            axes.annotate(
                f" {100.0 * each.share:.0f} %", (max(0.5, each.failed), place), color=colour, fontsize=7.0, va="bottom"
            )


def _percent_axis(axes: Axes, most: float) -> None:
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.7)
    ticks = [tick for tick in (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if tick <= most]
    axes.set_xticks(ticks, [f"{tick:g} %" for tick in ticks])
    axes.set_xlim(-_SMALLEST, 1.15 * most)
    axes.set_xlabel("harmless rollouts that were rolled back; whiskers: 95 % interval")
    for alpha, colour in ((1.0, OURS), (5.0, OURS_AT_FIVE)):
        axes.axvline(alpha, color=colour, linewidth=1.0, linestyle=":")


def _ours(axes: Axes, shown: Shown) -> None:
    _points(axes, shown, lambda result: result.library.get(0.05), OURS_AT_FIVE, "o", "the library, alpha 5 %", 0.17)
    _points(axes, shown, lambda result: result.library.get(DEFAULT_ALPHA), OURS, "o", "the library, alpha 1 %", -0.17)


def _points(
    axes: Axes,
    shown: Shown,
    tally_of: Callable[[Result], Tally | None],
    colour: str,
    marker: str,
    label: str,
    offset: float = 0.0,
) -> None:
    for place, (_, result) in enumerate(shown):
        seen = tally_of(result)
        if seen is None or not seen.runs:
            continue
        low, high = (100.0 * end for end in interval(seen.rolled_back, seen.runs))
        value = 100.0 * seen.share
        axes.errorbar(
            value,
            place + offset,
            xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
            fmt=marker,
            color=colour,
            markersize=4.0,
            elinewidth=0.8,
            label=label,
        )
        label = "_" + label  # one entry in the legend

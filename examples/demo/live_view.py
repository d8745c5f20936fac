"""The view for a terminal: a table of each rollout that changes as the rollout does."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent_canary import EventKind, Finding, FindingStatus

from . import wording
from .recording import Moment
from .scenes import TRAFFIC_SECONDS, Scene

WIDEST = 100
"""Columns; a wider terminal makes nothing easier to read."""

_ROOMY = 30
"""Lines of a terminal that has room for empty ones."""

_COLOURS = {EventKind.ROLLED_BACK: "bold red", EventKind.COMPLETED: "bold green", EventKind.PROMOTED: "green"}
_STATUS_COLOURS = {"running": "cyan", "completed": "green", "rolled_back": "red"}
_NOUNS = {"failures": "failed", "wrong": "wrong, users say"}


class LiveView:
    """Shows rollouts on a terminal.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def scene(self, number: int, scene: Scene) -> Generator[Callable[[Moment], None], None, None]:
        """Yield what shows a moment of *scene*, the demo's rollout *number*."""
        with Live(console=self._console, auto_refresh=False) as live:
            title = f"[bold]Rollout {number}: {scene.stable} → {scene.canary}[/]"
            yield lambda moment: live.update(self._panel(title, moment), refresh=True)

    def _panel(self, title: str, moment: Moment) -> RenderableType:
        status = moment.status["status"]
        colour = _STATUS_COLOURS.get(status, "yellow")
        parts = [
            Text(f"{moment.scene.change} {moment.scene.expectation}"),
            _stages(moment),
            _versions(moment),
            _evidence(moment.verdict.findings),
            _history(moment),
        ]
        space = 1 if self._console.height >= _ROOMY else 0
        return Panel(
            Group(*(Padding(part, (space if index else 0, 1, 0, 1)) for index, part in enumerate(parts))),
            title=title,
            title_align="left",
            subtitle=f"[{colour}]{status.replace('_', ' ')}[/] · {moment.seconds:.1f} s",
            subtitle_align="right",
            border_style=colour,
            box=box.ROUNDED,
            width=WIDEST,
        )


def _stages(moment: Moment) -> RenderableType:
    """The stages as a track, the present one with how far it is."""
    status = moment.status
    table = Table.grid(padding=(0, 2))
    finished = {"completed": len(moment.stages), "rolled_back": -1}.get(status["status"])
    track = Text("share  ")
    for index, stage in enumerate(moment.stages):
        now = finished is None and index == status["stage_idx"]
        done = index < (status["stage_idx"] if finished is None else finished)
        track.append(f" {wording.share(stage.percent)} ", "reverse bold cyan" if now else "green" if done else "dim")
        track.append(" → " if index < len(moment.stages) - 1 else "", "dim")
    table.add_row(track, _progress(moment) if finished is None else Text())
    return table


def _progress(moment: Moment) -> RenderableType:
    status = moment.status
    needed = moment.stages[status["stage_idx"]].min_duration_seconds
    lasted = min(needed, status["time_in_stage_s"])
    bar = ProgressBar(total=needed or 1.0, completed=lasted, width=12)
    table = Table.grid(padding=(0, 1))
    table.add_row(bar, Text(f"{lasted:.0f} of {needed:.0f} s", "dim"))
    return table


def _versions(moment: Moment) -> RenderableType:
    """Both versions side by side."""
    scene, status = moment.scene, moment.status
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, expand=True)
    table.add_column("", ratio=2)
    table.add_column(f"{scene.stable} stable", justify="right", ratio=3)
    table.add_column(f"{scene.canary} canary", justify="right", ratio=3)
    canary = status["traffic_share"]
    table.add_row("users", wording.share(1.0 - canary), wording.share(canary))
    for finding in moment.verdict.findings:
        if finding.guardrail in _NOUNS:
            style = "bold red" if finding.status is FindingStatus.FAIL else ""
            table.add_row(
                _NOUNS[finding.guardrail],
                _rate(finding.stable_bad, finding.stable_total),
                Text(_rate(finding.canary_bad, finding.canary_total), style),
            )
    table.add_row("latency p50 / p95", _latency(status["stable_metrics"]), _latency(status["canary_metrics"]))
    return table


def _rate(bad: int, total: int) -> str:
    return f"{bad:,} of {total:,}  {wording.percent(bad, total):>7}"


def _latency(metrics: Mapping[str, Any]) -> str:
    return f"{metrics['p50_ms']:.1f} / {metrics['p95_ms']:.1f} ms" if metrics["total"] else "–"


def _evidence(findings: tuple[Finding, ...]) -> RenderableType:
    """How near each guardrail is to its alarm."""
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        if finding.log_e_value is not None and finding.log_threshold is not None:
            failed = finding.status is FindingStatus.FAIL
            bar = ProgressBar(
                total=finding.log_threshold,
                completed=min(max(0.0, finding.log_e_value), finding.log_threshold),
                width=20,
                complete_style="red" if failed else "yellow",
                finished_style="red",
            )
            table.add_row(
                finding.guardrail,
                bar,
                Text(f"evidence {wording.odds(finding.log_e_value)}", "bold red" if failed else ""),
                Text(f"alarm from {wording.odds(finding.log_threshold)}", "dim"),
            )
    return table


def _history(moment: Moment) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for event in moment.events:
        happening = wording.happening(event, moment.scene, moment.stages)
        table.add_row(
            Text(f"{event.at - moment.events[0].at:5.1f} s", "dim"),
            Text(happening, _COLOURS.get(event.kind, "")),
        )
        if event.kind is EventKind.ROLLED_BACK:
            table.add_row("", Text(event.reason))
    table.add_row("", Text(_now(moment), "dim"))
    return table


def _now(moment: Moment) -> str:
    """What is waited for."""
    scene, status = moment.scene, moment.status
    served = {"completed": (scene.canary, "canary_metrics"), "rolled_back": (scene.stable, "stable_metrics")}
    if status["status"] not in served:
        return moment.verdict.sentence
    version, metrics = served[status["status"]]
    return f"users come until {TRAFFIC_SECONDS:g} s; {status[metrics]['total']:,} answers by {version} so far"

"""What the demo shows while a rollout is going: a table on a terminal, lines elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

pytest.importorskip("rich")

from rich.console import Console

from agent_canary import AgentCanary, Event
from agent_canary.testing import ManualClock
from examples.demo.live_view import LiveView
from examples.demo.plain_view import PlainView
from examples.demo.recording import Moment
from examples.demo.scenes import SCENES, new_rollout

RAISES = SCENES[1]


def moment(*, failing: bool) -> Moment:
    """Return a moment of a rollout of which 100 users have each had an answer; those of the canary failed if told."""
    clock, events = ManualClock(), list[Event]()
    canary = AgentCanary(RAISES.stable, RAISES.canary, new_rollout(), clock=clock, on_event=events.append)
    for number in range(200):
        assignment = canary.assign(f"user-{number}")
        if failing and assignment.is_canary:
            assignment.fail()
        else:
            assignment.succeed()
    clock.advance(1.0)
    canary.tick()
    return Moment(RAISES, 1.0, canary.rollout.stages, canary.status(), canary.explain(), tuple(events))


def live(shown: Moment, *, width: int = 80, height: int = 40) -> str:
    """Return what a terminal of that size shows at last."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False, highlight=False)
    with LiveView(console).scene(2, RAISES) as show:
        show(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain(*shown: Moment) -> list[str]:
    """Return the lines that are told."""
    console = Console(file=io.StringIO(), width=60, force_terminal=False)
    with PlainView(console).scene(2, RAISES) as show:
        for one in shown:
            show(one)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_table_shows_stage_share_rates_latencies_and_evidence() -> None:
    """While the rollout is going."""
    text = live(moment(failing=False))
    for part in (
        "Rollout 2: v2 → v3",
        "10 %",
        "90 %",
        "of 9 s",
        "failed",
        "latency p50 / p95",
        "alarm from",
        "running",
    ):
        assert part in text


def test_the_table_shows_a_rollback_with_its_sentence() -> None:
    """Everybody has stable then, and the reason stays to be read."""
    shown = moment(failing=True)
    assert [event.kind.value for event in shown.events] == ["started", "rolled_back"]
    text = live(shown, width=100)
    for part in ("rolled back: everybody gets v2", "100 %", "answers by v2 so far"):
        assert part in text
    assert shown.events[-1].reason.split(",")[0] in " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_the_terminal(width: int) -> None:
    """However wide it is; wider than 100 columns makes nothing easier to read."""
    lines = live(moment(failing=True), width=width).splitlines()
    assert max(map(len, lines)) <= min(width, 100)


def test_the_table_fits_a_small_terminal() -> None:
    """Where lines are few, empty ones are left out."""
    small, large = (live(moment(failing=False), height=height).count("\n") for height in (24, 40))
    assert small <= 24
    assert small < large


def test_each_event_is_one_line_once() -> None:
    """However often a moment is shown, and however long its reason is."""
    early, late = moment(failing=False), moment(failing=True)
    lines = plain(replace(late, events=late.events[:1]), late, late)
    assert [line.split()[2] for line in lines[1:]] == ["started:", "rolled"]
    assert late.events[-1].reason in lines[2]
    assert len(plain(early, early)) == 2


def test_the_lines_have_no_control_characters() -> None:
    """They go into files and logs."""
    assert all(line.isprintable() for line in plain(moment(failing=True)))

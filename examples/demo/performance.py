"""The whole demo: users, agents, one rollout after the other, and the report."""

from __future__ import annotations

import io
import logging
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from rich.console import Console, RenderableType

from agent_canary import MemoryStore

from . import wording
from .agents import in_hindsight, train
from .clients import Clients, ClientsError
from .live_view import WIDEST, LiveView
from .plain_view import PlainView
from .play import play
from .recording import Moment
from .report import report
from .result import Result, result_of
from .scans import Scans, split_scans
from .scenes import TRAFFIC_SECONDS, Scene
from .server import ServerError
from .users import FEEDBACK_SECONDS, User, busiest_share, crowd

USERS = 4000
PACE = 240.0
"""Visits per second of all users together. A slow machine serves fewer; the rollouts then take longer."""


class View(Protocol):
    """Shows what happens."""

    def scene(self, number: int, scene: Scene) -> AbstractContextManager[Callable[[Moment], None]]:
        """Return a block for one rollout, and what shows a moment of it."""
        ...


def perform(scenes: Sequence[Scene]) -> int:
    """Play *scenes* and report; return the exit code: 0 only if all of them ended as they should."""
    console = _console()
    try:
        results = _play_all(scenes, console)
    except (ClientsError, ServerError) as error:
        console.print(f"The demo could not go on: {error}", style="bold red")
        return 1
    console.print()
    _tell(console, report(results))
    return _conclude(results, console)


def _play_all(scenes: Sequence[Scene], console: Console) -> list[Result]:
    view: View = LiveView(console) if _is_live(console) else PlainView(console)
    users = crowd(USERS, PACE, seed="demo")
    training, theirs = split_scans()
    store, secret = MemoryStore(), secrets.token_hex(32)
    with Clients(users, theirs.pixels, theirs.digits) as clients:
        _introduce(users, training, theirs, console)
        agents = train(training)
        ask = in_hindsight(agents, theirs)
        clients.await_ready()
        results: list[Result] = []
        for number, scene in enumerate(scenes, start=1):
            with view.scene(number, scene) as show:
                recording = play(scene, agents, clients, store, secret, show)
            results.append(result_of(recording, ask, theirs.digits))
    return results


def _tell(console: Console, what: RenderableType) -> None:
    """Print, without the blanks at the ends of lines that only a terminal does not mind."""
    if console.is_terminal:
        console.print(what)
        return
    with console.capture() as captured:
        console.print(what)
    console.out("\n".join(line.rstrip() for line in captured.get().splitlines()), highlight=False)


def _is_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


def _introduce(users: Sequence[User], training: Scans, theirs: Scans, console: Console) -> None:
    quickest, slowest = FEEDBACK_SECONDS
    _tell(
        console,
        f"An agent reads handwritten digits: {len(training.digits) + len(theirs.digits):,} real scans, half of them to "
        f"train it, half for its users. {len(users):,} users, the busiest 1 % of whom make "
        f"{wording.share(round(busiest_share(users), 2))} of the visits, come over HTTP, {PACE:g} times a second where "
        f"the machine can, and judge half of the answers {quickest:g} to {slowest:g} seconds later. "
        f"Each rollout has {TRAFFIC_SECONDS:g} seconds.\n",
    )


def _conclude(results: Sequence[Result], console: Console) -> int:
    console.print()
    failed = [result for result in results if result.problems]
    for result in failed:
        console.print(f"{result.scene.stable} → {result.scene.canary}: {'; '.join(result.problems)}.", style="bold red")
    if failed:
        return 1
    every = "The rollout" if len(results) == 1 else f"All {len(results)} rollouts"
    console.print(f"{every} ended as {'it' if len(results) == 1 else 'they'} should.", style="bold green")
    return 0


def _console() -> Console:
    # No handler, and Python would write the library's own lines about each event into the table.
    logging.getLogger("agent_canary").addHandler(logging.NullHandler())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    # Not what FORCE_COLOR says: in a file, the table's cursor movements are of no use.
    console = Console(force_terminal=sys.stdout.isatty(), highlight=False)
    console.width = min(console.width, WIDEST) if console.is_terminal else WIDEST
    return console

"""The view where there is no terminal: one line for each event."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console

from . import wording
from .recording import Moment
from .scenes import Scene


class PlainView:
    """Tells of rollouts line by line.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def scene(self, number: int, scene: Scene) -> Generator[Callable[[Moment], None], None, None]:
        """Yield what tells of a moment of *scene*, the demo's rollout *number*."""
        self._say(f"Rollout {number}: {scene.stable} → {scene.canary}. {scene.change} {scene.expectation}")
        told = 0

        def tell(moment: Moment) -> None:
            nonlocal told
            for event in moment.events[told:]:
                happening = wording.happening(event, scene, moment.stages)
                self._say(f"{event.at - moment.events[0].at:6.1f} s  {happening} ({event.reason})")
            told = len(moment.events)

        yield tell

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)

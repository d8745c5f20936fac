"""Numbers and events as people read them, for both views and the report."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agent_canary import Event, EventKind, Stage

from .scenes import Scene


def percent(part: float, whole: float) -> str:
    """``4.1 %``; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def share(fraction: float) -> str:
    """``10 %``."""
    return f"{100 * fraction:g} %"


def odds(log_evidence: float) -> str:
    """Evidence as odds, from its natural logarithm: ``62 to 1``."""
    if log_evidence < math.log(2.0):
        return "none"
    return "over 1,000,000 to 1" if log_evidence > math.log(1e6) else f"{math.exp(log_evidence):,.0f} to 1"


def happening(event: Event, scene: Scene, stages: Sequence[Stage]) -> str:
    """What an event means for users."""
    if event.kind is EventKind.STARTED:
        return f"started: {share(stages[0].percent)} of the users get {scene.canary}"
    if event.kind is EventKind.PROMOTED:
        return f"promoted: {share(stages[event.data['stage']].percent)} of the users get {scene.canary}"
    if event.kind is EventKind.ROLLED_BACK:
        return f"rolled back: everybody gets {scene.stable}"
    if event.kind is EventKind.COMPLETED:
        return f"completed: everybody stays on {scene.canary}"
    return str(event.kind.value)

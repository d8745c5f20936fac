"""Where we are: the events of a rollout, the state they fold to, and the moves."""

from .event import Event, EventKind
from .fold import advance
from .rollout import Rollout
from .state import GOING, RolloutState, RolloutStatus, ShareChange

__all__ = [
    "GOING",
    "Event",
    "EventKind",
    "Rollout",
    "RolloutState",
    "RolloutStatus",
    "ShareChange",
    "advance",
]

"""The fold: a state and the next event give the next state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..errors import RevisionConflictError
from ..plan import Plan
from ..plan.reading import require_entry, require_text
from .event import Event, EventKind
from .state import AT_ONCE, GOING, RolloutState, RolloutStatus, ShareChange

ALLOWED_IN: dict[EventKind, frozenset[RolloutStatus]] = {
    EventKind.STARTED: frozenset(RolloutStatus),
    EventKind.PROMOTED: frozenset({RolloutStatus.RUNNING}),
    EventKind.PAUSED: GOING,
    EventKind.RESUMED: frozenset({RolloutStatus.PAUSED}),
    EventKind.ROLLED_BACK: GOING | {RolloutStatus.COMPLETED},
    EventKind.COMPLETED: frozenset({RolloutStatus.RUNNING}),
    EventKind.SUPERSEDED: GOING,
}
"""In which statuses of its run an event means something."""


def advance(state: RolloutState, event: Event) -> RolloutState:
    """Return the state after *event*.

    An event that the state of its run does not allow changes the revision alone: whatever stands in a history, rolled
    back stays rolled back, and nothing stops a reader before the rollback that may follow.

    Raises:
        RevisionConflictError: The event's revision does not follow the state's.
        ValueError: A ``started`` event without versions, salt or a plan that can be read.
    """
    if event.revision != state.revision + 1:
        raise RevisionConflictError(
            f"the next event must have revision {state.revision + 1}, got {event.revision}: "
            f"read the history from revision {state.revision + 1} on"
        )
    after = _FOLDS[event.kind](state, event) if _means_something(state, event) else state
    return replace(after, revision=event.revision)


def _means_something(state: RolloutState, event: Event) -> bool:
    if event.kind is EventKind.STARTED:
        return event.run > state.run
    return event.run == state.run and state.status in ALLOWED_IN[event.kind]


def _started(state: RolloutState, event: Event) -> RolloutState:
    stable, canary = (
        require_text(key, require_entry("data of a started event", event.data, key))
        for key in ("stable_version", "canary_version")
    )
    plan = Plan.from_json(require_entry("data of a started event", event.data, "plan"))
    salt = require_entry("data of a started event", event.data, "salt")
    if not isinstance(salt, str):
        raise ValueError(f"salt of a started event must be a string, got {salt!r}")
    changes = _first_change(state, event, plan.stages[0].percent)
    return RolloutState(
        run=event.run,
        status=RolloutStatus.RUNNING,
        counting_from=_felt_from(changes, event),
        share_changes=changes,
        stable_version=stable,
        canary_version=canary,
        plan=plan,
        salt=salt,
    )


def _promoted(state: RolloutState, event: Event) -> RolloutState:
    stage_idx = event.data.get("stage")
    if isinstance(stage_idx, bool) or not isinstance(stage_idx, int):
        return state
    if not state.stage_idx < stage_idx < len(state.stages):
        return state
    return _enter(state, event, RolloutStatus.RUNNING, stage_idx, state.stages[stage_idx].percent)


def _paused(state: RolloutState, event: Event) -> RolloutState:
    to_stable = event.data.get("to_stable") is True
    share = 0.0 if to_stable else state.stages[state.stage_idx].percent
    return replace(
        state,
        status=RolloutStatus.PAUSED,
        paused_to_stable=to_stable,
        counted_seconds=state.time_in_stage(event.at),
        counting_from=None,
        share_changes=_share_changes(state, event, share, state.stage_idx),
    )


def _resumed(state: RolloutState, event: Event) -> RolloutState:
    changes = _share_changes(state, event, state.stages[state.stage_idx].percent, state.stage_idx)
    return replace(
        state,
        status=RolloutStatus.RUNNING,
        paused_to_stable=False,
        counting_from=_felt_from(changes, event),
        share_changes=changes,
    )


def _rolled_back(state: RolloutState, event: Event) -> RolloutState:
    return _enter(state, event, RolloutStatus.ROLLED_BACK, 0, 0.0)


def _completed(state: RolloutState, event: Event) -> RolloutState:
    return _enter(state, event, RolloutStatus.COMPLETED, len(state.stages) - 1, 1.0)


def _superseded(state: RolloutState, event: Event) -> RolloutState:
    return _enter(state, event, RolloutStatus.SUPERSEDED, state.stage_idx, 0.0)


def _enter(state: RolloutState, event: Event, status: RolloutStatus, stage_idx: int, share: float) -> RolloutState:
    changes = _share_changes(state, event, share, stage_idx)
    stays = changes is state.share_changes and status is RolloutStatus.COMPLETED
    return replace(
        state,
        status=status,
        stage_idx=stage_idx,
        paused_to_stable=False,
        counted_seconds=state.counted_seconds if stays else 0.0,
        counting_from=state.counting_from if stays else _felt_from(changes, event),
        share_changes=changes,
    )


def _share_changes(state: RolloutState, event: Event, share: float, stage_idx: int) -> tuple[ShareChange, ...]:
    """A rise waits until its event takes effect, so that users do not flap between workers; a fall never waits."""
    if (share, stage_idx) == state.share_changes[-1][1:]:
        return state.share_changes
    if share < state.traffic_share or event.effective_at <= event.at:
        return (ShareChange(AT_ONCE, share, stage_idx),)
    return (*state.share_changes, ShareChange(event.effective_at, share, stage_idx))


def _first_change(state: RolloutState, event: Event, share: float) -> tuple[ShareChange, ...]:
    """A run's first share may wait only from nobody on the canary: the new salt changes who is on it."""
    if state.traffic_share > 0.0 or event.effective_at <= event.at:
        return (ShareChange(AT_ONCE, share, 0),)
    return (ShareChange(AT_ONCE, 0.0, 0), ShareChange(event.effective_at, share, 0))


def _felt_from(changes: tuple[ShareChange, ...], event: Event) -> float:
    return max(event.at, changes[-1].effective_at)


_FOLDS: dict[EventKind, Callable[[RolloutState, Event], RolloutState]] = {
    EventKind.STARTED: _started,
    EventKind.PROMOTED: _promoted,
    EventKind.PAUSED: _paused,
    EventKind.RESUMED: _resumed,
    EventKind.ROLLED_BACK: _rolled_back,
    EventKind.COMPLETED: _completed,
    EventKind.SUPERSEDED: _superseded,
}

"""Where a rollout is: the state that a history of events folds to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from ..plan import Plan, Stage


class RolloutStatus(str, Enum):
    """What a rollout is doing."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"


GOING = frozenset({RolloutStatus.RUNNING, RolloutStatus.PAUSED})
"""The statuses in which users may meet the canary on trial."""

FINISHED = frozenset({RolloutStatus.COMPLETED, RolloutStatus.ROLLED_BACK, RolloutStatus.SUPERSEDED})
"""The statuses in which a run is over."""


class ShareChange(NamedTuple):
    """The traffic share and the stage from a moment on.

    Attributes:
        effective_at: Seconds since the Unix epoch; minus infinity for a change that was made at once.
        share: Share of keys that get the canary, in [0, 1].
        stage_idx: Index of the stage, from 0.
    """

    effective_at: float
    share: float
    stage_idx: int


AT_ONCE = -math.inf


@dataclass(frozen=True)
class RolloutState:
    """One revision of a rollout; the default is the state before the first event.

    Attributes:
        revision: Revision of the last event folded in; 0 before the first.
        run: Number of the run, from 1; 0 before the first.
        status: What the rollout is doing.
        stage_idx: Index of the stage, from 0; the last stage's when completed, 0 when rolled back.
        paused_to_stable: Whether the present pause serves stable to everybody.
        counted_seconds: How long the stage had lasted when it was paused last, seconds.
        counting_from: From when on it lasts longer, seconds since the Unix epoch: in the future while its share waits
            to take effect; None while it is paused, and before the first run.
        share_changes: The share in force and those to come, in the order of their events.
        stable_version: The version that users come from; empty before the first run.
        canary_version: The version on trial; empty before the first run.
        plan: What was agreed for this run; None before the first.
        salt: Mixed into the hash that puts keys on the canary.
    """

    revision: int = 0
    run: int = 0
    status: RolloutStatus = RolloutStatus.PENDING
    stage_idx: int = 0
    paused_to_stable: bool = False
    counted_seconds: float = 0.0
    counting_from: float | None = None
    share_changes: tuple[ShareChange, ...] = (ShareChange(AT_ONCE, 0.0, 0),)
    stable_version: str = ""
    canary_version: str = ""
    plan: Plan | None = None
    salt: str = ""

    @property
    def traffic_share(self) -> float:
        """The share of keys that the canary gets, in [0, 1], once every change has taken effect."""
        return self.share_changes[-1].share

    @property
    def versions(self) -> tuple[str, str]:
        """Stable and canary version."""
        return self.stable_version, self.canary_version

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The plan's stages; empty before the first run."""
        return () if self.plan is None else self.plan.stages

    @property
    def is_finished(self) -> bool:
        """Whether the run is over: completed, rolled back or superseded."""
        return self.status in FINISHED

    @property
    def is_last_stage(self) -> bool:
        """Whether no stage follows."""
        return self.stage_idx >= len(self.stages) - 1

    @property
    def is_complete(self) -> bool:
        """Whether everybody is on the canary for good, or on trial in a last stage of 100 %."""
        if self.is_finished or not self.stages:
            return self.status is RolloutStatus.COMPLETED
        return self.is_last_stage and self.stages[self.stage_idx].percent >= 1.0

    def in_force(self, now: float) -> ShareChange:
        """Return the share and stage that users feel at *now*, seconds since the Unix epoch.

        It differs from :attr:`traffic_share` while a promotion waits for the moment at which all workers make it.
        """
        return next(change for change in reversed(self.share_changes) if change.effective_at <= now)

    def time_in_stage(self, now: float) -> float:
        """Return the seconds of the stage up to *now* in which its share was in force, pauses not counted."""
        running = 0.0 if self.counting_from is None else max(0.0, now - self.counting_from)
        return self.counted_seconds + running


def seen_by(versions: tuple[str, str], newest: RolloutState, seen_before: RolloutState) -> RolloutState:
    """Return a rollout's state as the workers of one pair of versions must see it.

    Args:
        versions: The workers' own stable and canary version.
        newest: The fold of the whole history; its newest run may be another pair's.
        seen_before: What this function returned for the history without its newest event.

    Returns:
        *newest* when its run is their own. Otherwise their own last run: superseded if it was still going, as it
        ended if it had ended (a completed one stays at 100 % canary); pending if they never had one.
    """
    if newest.run == 0 or newest.versions == versions:
        return newest
    if seen_before.run == 0:
        return RolloutState(revision=newest.revision)
    if seen_before.is_finished:
        return replace(seen_before, revision=newest.revision)
    return replace(
        seen_before,
        revision=newest.revision,
        status=RolloutStatus.SUPERSEDED,
        paused_to_stable=False,
        share_changes=(ShareChange(AT_ONCE, 0.0, seen_before.stage_idx),),
    )

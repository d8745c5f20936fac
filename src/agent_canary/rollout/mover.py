"""From a move to its event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..clock import Clock
from ..errors import IllegalMoveError
from ..plan import Plan
from .event import Event, EventKind, new_event_id
from .fold import ALLOWED_IN
from .journal import Journal
from .state import RolloutStatus

_WAY_OUT = {
    RolloutStatus.PENDING: "its run has not begun; wait for its started event",
    RolloutStatus.RUNNING: "it is neither paused nor finished; pause() or rollback() stop it",
    RolloutStatus.PAUSED: "resume() it first, or rollback()",
    RolloutStatus.COMPLETED: "rollback() takes users back to stable, restart() begins a new run",
    RolloutStatus.ROLLED_BACK: "rolled back is final for its run; restart() begins a new run",
    RolloutStatus.SUPERSEDED: "other versions have taken its place; deploy the versions to roll out",
}


class Mover:
    """Writes the moves of one pair of versions into a journal. Whoever calls it holds the journal's lock.

    Args:
        journal: The history, seen by the workers of these versions.
        plan: What a new run takes.
        clock: Gives the time of each event.
        name: The rollout's name; part of the salt.
        promotion_delay: Seconds >= 0 after which a rise of the share takes effect.
    """

    def __init__(self, journal: Journal, plan: Plan, clock: Clock, name: str, promotion_delay: float = 0.0) -> None:
        self.journal = journal
        self.plan = plan
        self.clock = clock
        self.name = name
        self._promotion_delay = promotion_delay

    @property
    def is_foreign(self) -> bool:
        """Whether the newest run is of other versions."""
        return self.journal.newest.versions != self.journal.versions

    def move(
        self,
        kind: EventKind,
        name: str,
        reason: str,
        actor: str,
        evidence: Mapping[str, Any] | None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Append an event of the present run.

        Raises:
            IllegalMoveError: The run's status does not allow it; *name* is what the message calls the move.
        """
        state = self.journal.state
        if state.status not in ALLOWED_IN[kind] or self.is_foreign:
            raise self.refusal(name)
        self.append(kind, state.run, reason, actor, evidence, data)

    def begin(self, reason: str, actor: str, salt: str | None, *, supersede: bool) -> None:
        """Begin the first run of these versions, after that of others is over or, with *supersede*, was ended.

        Raises:
            IllegalMoveError: The newest run is of these versions, or it is of others and going.
        """
        newest = self.journal.newest
        if newest.run and not self.is_foreign:
            raise self.refusal("begin")
        if newest.run and not newest.is_finished:
            if not supersede:
                raise IllegalMoveError(
                    f"cannot begin rollout {self.name!r}: its run {newest.run} of versions {newest.versions} is "
                    f"{newest.status.value}; finish it, or pass supersede=True"
                )
            self.append(EventKind.SUPERSEDED, newest.run, reason, actor)
        self.start(reason, actor, salt=salt)

    def start(
        self, reason: str, actor: str, evidence: Mapping[str, Any] | None = None, salt: str | None = None
    ) -> None:
        """Begin the next run; without *salt* its own, or the last run's where the plan keeps it."""
        newest, (stable_version, canary_version) = self.journal.newest, self.journal.versions
        run = newest.run + 1
        if salt is None:
            keeps = self.plan.keep_salt and newest.run > 0
            salt = newest.salt if keeps else f"{self.name}:{canary_version}:{run}"
        data = {
            "stable_version": stable_version,
            "canary_version": canary_version,
            "plan": self.plan.to_json(),
            "salt": salt,
        }
        self.append(EventKind.STARTED, run, reason, actor, evidence, data)

    def append(
        self,
        kind: EventKind,
        run: int,
        reason: str,
        actor: str,
        evidence: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Append an event of *run* now."""
        at = self.clock.wall()
        event = Event(
            revision=self.journal.newest.revision + 1,
            id=new_event_id(),
            at=at,
            kind=kind,
            run=run,
            actor=actor,
            reason=reason or f"{_words(kind)} by {actor}",
            evidence=evidence,
            effective_at=at + self._promotion_delay,
            data=data,
        )
        self.journal.append(event)

    def refusal(self, name: str) -> IllegalMoveError:
        """Return the error that says why the move *name* is illegal, and what to do."""
        status, newest = self.journal.state.status, self.journal.newest
        way_out = _WAY_OUT[RolloutStatus.SUPERSEDED if newest.run and self.is_foreign else status]
        return IllegalMoveError(f"cannot {name} rollout {self.name!r}, which is {_words(status)}: {way_out}")


def _words(value: EventKind | RolloutStatus) -> str:
    return str(value.value).replace("_", " ")

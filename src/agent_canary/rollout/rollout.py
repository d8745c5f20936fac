"""The staged rollout: its plan, where it is, and the moves that people and the library can make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from ..clock import Clock, as_clock
from ..errors import IllegalMoveError, seconds
from ..plan import Guardrail, Plan, Stage
from .event import Event, EventKind, new_event_id
from .fold import ALLOWED_IN
from .journal import Append, Journal, Subscriber
from .state import RolloutState, RolloutStatus

_STANDALONE_NAME = "default"
_STANDALONE_VERSIONS = ("stable", "canary")

_WAY_OUT = {
    RolloutStatus.PENDING: "its run has not begun; wait for its started event",
    RolloutStatus.RUNNING: "it is neither paused nor finished; pause() or rollback() stop it",
    RolloutStatus.PAUSED: "resume() it first, or rollback()",
    RolloutStatus.COMPLETED: "rollback() takes users back to stable, restart() begins a new run",
    RolloutStatus.ROLLED_BACK: "rolled back is final for its run; restart() begins a new run",
    RolloutStatus.SUPERSEDED: "other versions have taken its place; deploy the versions to roll out",
}


class StageMetrics(Protocol):
    """What the gates of a stage look at; see :class:`agent_canary.VersionMetrics`."""

    @property
    def total(self) -> int:
        """Requests counted."""
        ...

    @property
    def success_rate(self) -> float:
        """Share of successful requests, in [0, 1]."""
        ...

    @property
    def p95_ms(self) -> float:
        """95th percentile of the latency, milliseconds."""
        ...


class Rollout:
    """A rollout by stages, moved by hand or by the library.

    By itself it is a state machine in memory. :class:`agent_canary.AgentCanary` binds it to a name, two versions and a
    store; then every move is an event that all workers read. Every move takes ``actor`` (a person's name; ``user`` by
    default), ``reason`` (a sentence) and ``evidence`` (a mapping of numbers), which the history keeps. Threads may move
    it at once.

    Args:
        stages: The steps in their order; percents never decrease.
        rollback_on: Guardrails: one that fails rolls back. None (default): ``(FailureRate(),)``.
        hold_on: Signals: one that fails holds the rollout where it is.
        keep_salt: True: a new run puts the same users on the canary as the run before it.
        clock: Callable that returns seconds since the Unix epoch, or a clock; None for the host's time.

    Raises:
        ValueError: The plan is refused, or the clock.
    """

    def __init__(
        self,
        stages: Iterable[Stage],
        *,
        rollback_on: Iterable[Guardrail] | None = None,
        hold_on: Iterable[Guardrail] = (),
        keep_salt: bool = False,
        clock: Clock | Callable[[], float] | None = None,
    ) -> None:
        self._own_plan = Plan(stages, rollback_on, hold_on, keep_salt)
        self._clock = as_clock(clock)
        self._name = _STANDALONE_NAME
        self._promotion_delay = 0.0
        self._moves_before_bind: tuple[Event, ...] | None = None
        self._journal = Journal(_STANDALONE_VERSIONS)
        self.begin("created", actor="user")

    @classmethod
    def standard(
        cls,
        *,
        rollback_on: Iterable[Guardrail] | None = None,
        hold_on: Iterable[Guardrail] = (),
        keep_salt: bool = False,
        clock: Clock | Callable[[], float] | None = None,
    ) -> Rollout:
        """Return a rollout over 1, 5, 25, 50 and 100 % that takes 50 minutes at least."""
        return cls(
            [
                Stage(0.01, min_duration_seconds=300, min_samples=50),
                Stage(0.05, min_duration_seconds=600, min_samples=200),
                Stage(0.25, min_duration_seconds=900, min_samples=500),
                Stage(0.50, min_duration_seconds=1200, min_samples=1000),
                Stage(1.00, min_duration_seconds=0, min_samples=0),
            ],
            rollback_on=rollback_on,
            hold_on=hold_on,
            keep_salt=keep_salt,
            clock=clock,
        )

    def __repr__(self) -> str:
        state = self.state
        return (
            f"<Rollout {self._name!r}: run {state.run} {state.status.value}, "
            f"stage {state.stage_idx + 1} of {len(self.stages)}, revision {state.revision}>"
        )

    # Where it is

    @property
    def state(self) -> RolloutState:
        """One consistent revision of everything below, as the workers of these versions must see it."""
        return self._journal.state

    @property
    def newest(self) -> RolloutState:
        """The state of the newest run in the history, which other versions may have begun since."""
        return self._journal.newest

    @property
    def history(self) -> tuple[Event, ...]:
        """All events that are known here, in their order."""
        return self._journal.events

    @property
    def status(self) -> RolloutStatus:
        """What the rollout is doing."""
        return self.state.status

    @property
    def revision(self) -> int:
        """Revision of the last event that is known here; 0 before the first."""
        return self.state.revision

    @property
    def run(self) -> int:
        """Number of the run, from 1; 0 before the first."""
        return self.state.run

    @property
    def plan(self) -> Plan:
        """What was agreed: the plan in the ``started`` event of this run; before the first run, one's own."""
        return self.state.plan or self._own_plan

    @property
    def own_plan(self) -> Plan:
        """The plan this process was configured with, which a new run begun here takes."""
        return self._own_plan

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of :attr:`plan`."""
        return self.plan.stages

    @property
    def current_stage(self) -> Stage:
        """The stage it is in; the first one when rolled back."""
        return _stage_of(self.state, self._own_plan)

    @property
    def current_stage_idx(self) -> int:
        """Index of the stage, from 0; 0 when rolled back."""
        return self.state.stage_idx

    @property
    def current_percent(self) -> float:
        """The stage's percent, a fraction in [0, 1]. What users feel is :attr:`traffic_share`."""
        return self.current_stage.percent

    @property
    def traffic_share(self) -> float:
        """The share of keys that the canary gets now, in [0, 1].

        The stage's percent while running, 0 when rolled back, superseded or paused to stable, 1 when completed.
        """
        return self.state.in_force(self._clock.wall()).share

    @property
    def is_complete(self) -> bool:
        """True from entering a last stage of 100 % on, unless it is rolled back or superseded."""
        return self.state.is_complete

    def time_in_stage(self) -> float:
        """Return the seconds in this stage, pauses not counted."""
        return self.state.time_in_stage(self._clock.wall())

    def can_promote(self, canary_metrics: StageMetrics) -> bool:
        """Whether the stage's gates are met by *canary_metrics*, which it takes for this stage's.

        False when complete, and when not running.
        """
        state = self.state
        if state.status is not RolloutStatus.RUNNING or state.is_complete:
            return False
        stage = _stage_of(state, self._own_plan)
        return (
            state.time_in_stage(self._clock.wall()) >= stage.min_duration_seconds
            and canary_metrics.total >= stage.min_samples
            and canary_metrics.success_rate >= stage.success_threshold
            and (stage.max_p95_ms is None or canary_metrics.p95_ms <= stage.max_p95_ms)
        )

    # Moves

    def promote(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> bool:
        """Enter the next stage.

        Returns:
            Whether it did: False in the last stage, and when completed, rolled back or superseded.

        Raises:
            IllegalMoveError: It is paused, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._journal.lock:
            state = self.state
            if state.is_finished or (state.status is RolloutStatus.RUNNING and state.is_last_stage):
                return False
            self._move(EventKind.PROMOTED, "promote", reason, actor, evidence, {"stage": state.stage_idx + 1})
            return True

    def rollback(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Give everybody stable, at once and for good in this run; a second time it does nothing.

        Raises:
            IllegalMoveError: Its run has not begun, or it has completed and other versions have begun since.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._journal.lock:
            if self.status in (RolloutStatus.ROLLED_BACK, RolloutStatus.SUPERSEDED):
                return
            self._move(EventKind.ROLLED_BACK, "roll back", reason, actor, evidence)

    def pause(
        self,
        reason: str = "",
        *,
        to_stable: bool = False,
        actor: str = "user",
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Stay in this stage until :meth:`resume`; the time does not count.

        Args:
            to_stable: True: everybody gets stable meanwhile. False: the share stays. A pause may be changed from one
                to the other.

        Raises:
            IllegalMoveError: It is paused like that already, finished, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._journal.lock:
            state = self.state
            if state.status is RolloutStatus.PAUSED and state.paused_to_stable == to_stable:
                raise self._illegal("pause")
            self._move(EventKind.PAUSED, "pause", reason, actor, evidence, {"to_stable": to_stable})

    def resume(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Go on after :meth:`pause`, in the same stage.

        Raises:
            IllegalMoveError: It is not paused.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._journal.lock:
            self._move(EventKind.RESUMED, "resume", reason, actor, evidence)

    def promote_full(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Complete it now, whatever its stages and their gates: everybody gets the canary.

        Raises:
            IllegalMoveError: It is paused, finished, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._journal.lock:
            self._move(EventKind.COMPLETED, "fully promote", reason, actor, evidence)

    def complete(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """End the bake of a last stage of 100 %.

        Raises:
            IllegalMoveError: It is in another stage, paused, finished, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._journal.lock:
            state = self.state
            if state.status is RolloutStatus.RUNNING and not state.is_complete:
                raise IllegalMoveError(
                    f"cannot complete rollout {self._name!r} in stage {state.stage_idx + 1} of {len(state.stages)} at "
                    f"{self.current_percent:.4g}: promote() to a last stage of percent 1, or promote_full()"
                )
            self._move(EventKind.COMPLETED, "complete", reason, actor, evidence)

    def restart(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Begin a new run of the same versions in the first stage of :attr:`own_plan`, with a new salt.

        Raises:
            IllegalMoveError: It is superseded, other versions have begun since, or no run has begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._journal.lock:
            if self.status in (RolloutStatus.PENDING, RolloutStatus.SUPERSEDED) or self._is_foreign():
                raise self._illegal("restart")
            self._start(reason, actor, evidence, salt=None)

    # Shared with other workers

    def bind(
        self,
        append: Append,
        *,
        stable_version: str,
        canary_version: str,
        name: str,
        clock: Clock | Callable[[], float] | None,
        plan: Plan | None = None,
        promotion_delay: float | timedelta = 0.0,
    ) -> None:
        """Make it the rollout *name* of two versions, whose history others share. It is then pending.

        :meth:`follow` what the history has; when that leaves it pending, :meth:`begin` a run. Moves made before are
        made again by :meth:`begin`. Subscribers stay.

        Args:
            append: Appends an event of revision n to a history that ends at n - 1, or raises
                :class:`~agent_canary.errors.RevisionConflictError`; the move then changed nothing. Called with
                the lock held.
            stable_version: The version that users come from.
            canary_version: The version on trial.
            name: The rollout's name; part of the salt.
            clock: Gives the time of each event; that of the store where it has one.
            plan: Takes the place of :attr:`own_plan`; None to keep it.
            promotion_delay: Seconds >= 0 after which a rise of the share takes effect, long enough for every worker
                to have read it.

        Raises:
            IllegalMoveError: It is bound already.
            ValueError: *promotion_delay* or the clock is refused.
        """
        delay, clock = seconds("promotion_delay", promotion_delay), as_clock(clock)
        with self._journal.lock:
            if self._moves_before_bind is not None:
                raise IllegalMoveError(
                    f"this rollout is rollout {self._name!r} already: make a Rollout for each canary"
                )
            self._moves_before_bind = _moves_of_last_run(self.history)
            self._own_plan = plan or self._own_plan
            self._clock, self._name, self._promotion_delay = clock, name, delay
            self._journal = Journal((stable_version, canary_version), append, self._journal.subscribers)

    def begin(self, reason: str = "", *, actor: str = "auto", supersede: bool = False, salt: str | None = None) -> None:
        """Start the first run of these versions, of a bound rollout. The versions' next runs are :meth:`restart`'s.

        Args:
            reason: A sentence.
            actor: Who began it.
            supersede: Whether to supersede a run of other versions that is still going.
            salt: The run's salt; None to make it from name, canary version and run, or keep the last with ``keep_salt``.

        Raises:
            IllegalMoveError: The newest run is of these versions, or it is of others and going.
            RevisionConflictError: Another worker moved first; what it appended must be followed.
        """
        with self._journal.lock:
            newest = self.newest
            if newest.run and not self._is_foreign():
                raise self._illegal("begin")
            if newest.run and not newest.is_finished:
                if not supersede:
                    raise IllegalMoveError(
                        f"cannot begin rollout {self._name!r}: its run {newest.run} of versions {newest.versions} is "
                        f"{newest.status.value}; finish it, or pass supersede=True"
                    )
                self._append(EventKind.SUPERSEDED, newest.run, reason, actor)
            self._start(reason, actor, None, salt)
            moves = self._moves_before_bind
            if moves:
                self._moves_before_bind = ()
            for move in moves or ():
                self._append(move.kind, self.run, move.reason, move.actor, move.evidence, move.data)

    def follow(self, events: Iterable[Event]) -> None:
        """Fold events that other workers appended; those that were seen already are ignored.

        Raises:
            IllegalMoveError: It is not bound.
            RevisionConflictError: A revision is missing in between; the events before it are folded.
            ValueError: A ``started`` event cannot be read; the events before it are folded.
        """
        if self._moves_before_bind is None:
            raise IllegalMoveError("cannot follow the events of others by itself: bind() the rollout first")
        self._journal.follow(events)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call ``callback(event, state)`` after each event from now on, own or followed, in their order.

        It runs in the thread that moved or followed, with the rollout's lock held: reading and moving the rollout is
        fine, waiting for another thread that moves it is not. What it raises is logged.

        Returns:
            A function that ends the subscription.
        """
        return self._journal.subscribe(callback)

    def renew_lock(self) -> None:
        """Make the lock anew, in a forked child: the thread that held it does not exist there."""
        self._journal.renew_lock()

    # From a move to its event

    def _move(
        self,
        kind: EventKind,
        move: str,
        reason: str,
        actor: str,
        evidence: Mapping[str, Any] | None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        if self.status not in ALLOWED_IN[kind] or self._is_foreign():
            raise self._illegal(move)
        self._append(kind, self.run, reason, actor, evidence, data)

    def _start(self, reason: str, actor: str, evidence: Mapping[str, Any] | None, salt: str | None) -> None:
        newest, (stable_version, canary_version) = self.newest, self._journal.versions
        run = newest.run + 1
        if salt is None:
            keeps = self._own_plan.keep_salt and newest.run > 0
            salt = newest.salt if keeps else f"{self._name}:{canary_version}:{run}"
        data = {
            "stable_version": stable_version,
            "canary_version": canary_version,
            "plan": self._own_plan.to_json(),
            "salt": salt,
        }
        self._append(EventKind.STARTED, run, reason, actor, evidence, data)

    def _append(
        self,
        kind: EventKind,
        run: int,
        reason: str,
        actor: str,
        evidence: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        at = self._clock.wall()
        event = Event(
            revision=self.newest.revision + 1,
            id=new_event_id(),
            at=at,
            kind=kind,
            run=run,
            actor=actor,
            reason=reason or f"{kind.value.replace('_', ' ')} by {actor}",
            evidence=evidence,
            effective_at=at + self._promotion_delay,
            data=data,
        )
        self._journal.append(event)

    def _is_foreign(self) -> bool:
        return self.newest.versions != self._journal.versions

    def _illegal(self, move: str) -> IllegalMoveError:
        status = self.status
        way_out = _WAY_OUT[RolloutStatus.SUPERSEDED if self.newest.run and self._is_foreign() else status]
        return IllegalMoveError(f"cannot {move} rollout {self._name!r}, which is {status.value}: {way_out}")


def _stage_of(state: RolloutState, own_plan: Plan) -> Stage:
    return (state.plan or own_plan).stages[state.stage_idx]


def _moves_of_last_run(history: tuple[Event, ...]) -> tuple[Event, ...]:
    last_run = history[-1].run
    return tuple(event for event in history if event.run == last_run and event.kind is not EventKind.STARTED)

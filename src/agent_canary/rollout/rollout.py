"""The staged rollout: its plan, where it is, and the moves that people and the library can make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Unpack

from ..clock import Clock, as_clock
from ..errors import IllegalMoveError, seconds
from ..plan import Plan, Policies, Stage
from .event import Event, EventKind
from .journal import Append, Journal
from .mover import Mover
from .state import RolloutStatus
from .view import RolloutView

_STANDALONE_NAME = "default"
_STANDALONE_VERSIONS = ("stable", "canary")
_STANDARD_STAGES = (
    Stage(0.01, min_duration_seconds=300, min_samples=50),
    Stage(0.05, min_duration_seconds=600, min_samples=200),
    Stage(0.25, min_duration_seconds=900, min_samples=500),
    Stage(0.50, min_duration_seconds=1200, min_samples=1000),
    Stage(1.00, min_duration_seconds=0, min_samples=0),
)
_GUARDED_STAGES = tuple(replace(stage, success_threshold=0.0) for stage in _STANDARD_STAGES)


class Rollout(RolloutView):
    """A rollout by stages, moved by hand or by the library.

    By itself it is a state machine in memory. :class:`agent_canary.AgentCanary` binds it to a name, two versions and a
    store; then every move is an event that all workers read. Every move takes ``actor`` (a person's name; ``user`` by
    default), ``reason`` (a sentence) and ``evidence`` (a mapping of numbers), which the history keeps. Threads may move
    it at once.

    Args:
        stages: The steps in their order; percents never decrease.
        clock: Callable that returns seconds since the Unix epoch, or a clock; None for the host's time.
        **policies: Keywords; each may be left out.

            - ``rollback_on``: guardrails: one that fails rolls back. None (default): failures, latency and the sample
              ratio, ``(FailureRate(), Latency(), SampleRatio())``.
            - ``hold_on``: signals: one that fails holds the rollout where it is.
            - ``keep_salt``: True: a new run puts the same users on the canary as the run before it.
            - ``promote``: ``when_not_failing`` (default): a stage whose own gates are met is left when no guardrail or
              signal fails. ``when_not_worse``: when each of them is shown to be no worse than tolerated.
            - ``delta``: how much worse, as a share of answers in (0, 1], must be excluded before ``when_not_worse``
              takes a rate as passed; 0.01 by default.
            - ``on_no_data``: what is done, once patience is over, while too little has come: a guardrail or signal that
              was named has no data, or the stage's samples or scores are not in. ``hold`` (default), ``promote``,
              ``pause`` or ``rollback``.
            - ``on_inconclusive``: the same where ``when_not_worse`` waits for one that is inconclusive.
            - ``patience``: seconds or timedelta after a stage's ``min_duration_seconds`` before these two act; 24 hours
              by default.

    Raises:
        ValueError: The plan is refused, or the clock.
    """

    def __init__(
        self,
        stages: Iterable[Stage],
        *,
        clock: Clock | Callable[[], float] | None = None,
        **policies: Unpack[Policies],
    ) -> None:
        plan = Plan(stages, **policies)
        super().__init__(Mover(Journal(_STANDALONE_VERSIONS), plan, as_clock(clock), _STANDALONE_NAME))
        self._moves_before_bind: tuple[Event, ...] | None = None
        self.begin("created", actor="user")

    @classmethod
    def standard(cls, *, clock: Clock | Callable[[], float] | None = None, **policies: Unpack[Policies]) -> Rollout:
        """Return a rollout over 1, 5, 25, 50 and 100 % that takes 50 minutes at least.

        Each stage asks for 99 % success besides: for an agent that fails more often anyway see :meth:`guarded`.

        Args:
            clock: As in the constructor.
            **policies: As in the constructor.
        """
        return cls(_STANDARD_STAGES, clock=clock, **policies)

    @classmethod
    def guarded(cls, *, clock: Clock | Callable[[], float] | None = None, **policies: Unpack[Policies]) -> Rollout:
        """Return the stages of :meth:`standard` without an absolute bar on success, for agents of any success rate.

        The guardrails, which compare with stable, are then all that rolls back. A stage is left when its time and
        samples are in and none of them fails.

        Args:
            clock: As in the constructor.
            **policies: As in the constructor.
        """
        return cls(_GUARDED_STAGES, clock=clock, **policies)

    # Moves

    def promote(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> bool:
        """Enter the next stage.

        Returns:
            Whether it did: False in the last stage, and when completed, rolled back or superseded.

        Raises:
            IllegalMoveError: It is paused, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._mover.journal.lock:
            state = self.state
            if state.is_finished or (state.status is RolloutStatus.RUNNING and state.is_last_stage):
                return False
            self._mover.move(EventKind.PROMOTED, "promote", reason, actor, evidence, {"stage": state.stage_idx + 1})
            return True

    def rollback(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Give everybody stable, at once and for good in this run; a second time it does nothing.

        Raises:
            IllegalMoveError: Its run has not begun, or it has completed and other versions have begun since.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._mover.journal.lock:
            if self.status in (RolloutStatus.ROLLED_BACK, RolloutStatus.SUPERSEDED):
                return
            self._mover.move(EventKind.ROLLED_BACK, "roll back", reason, actor, evidence)

    def pause(
        self,
        reason: str = "",
        *,
        to_stable: bool = False,
        actor: str = "user",
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Stay in this stage until :meth:`resume`; the time does not count.

        With *to_stable* everybody gets stable meanwhile, without it the share stays. A pause may be changed from one to
        the other.

        Raises:
            IllegalMoveError: It is paused like that already, finished, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._mover.journal.lock:
            state = self.state
            if state.status is RolloutStatus.PAUSED and state.paused_to_stable == to_stable:
                raise self._mover.refusal("pause")
            self._mover.move(EventKind.PAUSED, "pause", reason, actor, evidence, {"to_stable": to_stable})

    def resume(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Go on after :meth:`pause`, in the same stage.

        Raises:
            IllegalMoveError: It is not paused.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._mover.journal.lock:
            self._mover.move(EventKind.RESUMED, "resume", reason, actor, evidence)

    def promote_full(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Complete it now, whatever its stages and their gates: everybody gets the canary.

        Raises:
            IllegalMoveError: It is paused, finished, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._mover.journal.lock:
            self._mover.move(EventKind.COMPLETED, "fully promote", reason, actor, evidence)

    def complete(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """End the bake of a last stage of 100 %.

        Raises:
            IllegalMoveError: It is in another stage, paused, finished, or its run has not begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._mover.journal.lock:
            state = self.state
            if state.status is RolloutStatus.RUNNING and not state.is_complete:
                raise IllegalMoveError(
                    f"cannot complete rollout {self._mover.name!r} in stage {state.stage_idx + 1} of "
                    f"{len(state.stages)} at {self.current_percent:.4g}: promote() to a last stage of percent 1, or "
                    "promote_full()"
                )
            self._mover.move(EventKind.COMPLETED, "complete", reason, actor, evidence)

    def restart(self, reason: str = "", *, actor: str = "user", evidence: Mapping[str, Any] | None = None) -> None:
        """Begin a new run of the same versions in the first stage of :attr:`own_plan`, with a new salt.

        Raises:
            IllegalMoveError: It is superseded, other versions have begun since, or no run has begun.
            RevisionConflictError: Another worker moved first; nothing changed.
        """
        with self._mover.journal.lock:
            if self.status in (RolloutStatus.PENDING, RolloutStatus.SUPERSEDED) or self._mover.is_foreign:
                raise self._mover.refusal("restart")
            self._mover.start(reason, actor, evidence)

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
        with self._mover.journal.lock:
            if self._moves_before_bind is not None:
                raise IllegalMoveError(
                    f"this rollout is rollout {self._mover.name!r} already: make a Rollout for each canary"
                )
            self._moves_before_bind = _moves_of_last_run(self.history)
            journal = Journal((stable_version, canary_version), append, self._mover.journal.subscribers)
            self._mover = Mover(journal, plan or self.own_plan, clock, name, delay)

    def begin(self, reason: str = "", *, actor: str = "auto", supersede: bool = False, salt: str | None = None) -> None:
        """Start the first run of these versions, of a bound rollout. The versions' next runs are :meth:`restart`'s.

        Args:
            reason: A sentence.
            actor: Who began it.
            supersede: Whether to supersede a run of other versions that is still going.
            salt: The run's salt; None to make it from name, canary version and run (``keep_salt``: the last run's).

        Raises:
            IllegalMoveError: The newest run is of these versions, or it is of others and going.
            RevisionConflictError: Another worker moved first; what it appended must be followed.
        """
        with self._mover.journal.lock:
            self._mover.begin(reason, actor, salt, supersede=supersede)
            moves = self._moves_before_bind or ()
            if moves:
                self._moves_before_bind = ()
            for move in moves:
                self._mover.append(move.kind, self.run, move.reason, move.actor, move.evidence, move.data)

    def follow(self, events: Iterable[Event]) -> None:
        """Fold events that other workers appended; those that were seen already are ignored.

        Raises:
            IllegalMoveError: It is not bound.
            RevisionConflictError: A revision is missing in between; the events before it are folded.
            ValueError: A ``started`` event cannot be read; the events before it are folded.
        """
        if self._moves_before_bind is None:
            raise IllegalMoveError("cannot follow the events of others by itself: bind() the rollout first")
        self._mover.journal.follow(events)

    def renew_lock(self) -> None:
        """Make the lock anew, in a forked child: the thread that held it does not exist there."""
        self._mover.journal.renew_lock()


def _moves_of_last_run(history: tuple[Event, ...]) -> tuple[Event, ...]:
    last_run = history[-1].run
    return tuple(event for event in history if event.run == last_run and event.kind is not EventKind.STARTED)

"""Where a rollout is."""

from __future__ import annotations

from collections.abc import Callable

from ..plan import Plan, Stage
from ..plan.gates import StageMetrics, unmet_gates
from .event import Event
from .journal import Subscriber
from .mover import Mover
from .state import RolloutState, RolloutStatus


class RolloutView:
    """What a rollout tells, without being moved.

    Args:
        mover: Has the journal that is read.
    """

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    def __repr__(self) -> str:
        state = self.state
        return (
            f"<Rollout {self._mover.name!r}: run {state.run} {state.status.value}, "
            f"stage {state.stage_idx + 1} of {len(self.stages)}, revision {state.revision}>"
        )

    @property
    def state(self) -> RolloutState:
        """One consistent revision of everything below, as the workers of these versions must see it."""
        return self._mover.journal.state

    @property
    def newest(self) -> RolloutState:
        """The state of the newest run in the history, which other versions may have begun since."""
        return self._mover.journal.newest

    @property
    def history(self) -> tuple[Event, ...]:
        """All events that are known here, in their order."""
        return self._mover.journal.events

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
        return self.state.plan or self._mover.plan

    @property
    def own_plan(self) -> Plan:
        """The plan this process was configured with, which a new run begun here takes."""
        return self._mover.plan

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of :attr:`plan`."""
        return self.plan.stages

    @property
    def current_stage(self) -> Stage:
        """The stage it is in; the first one when rolled back."""
        return _stage_of(self.state, self._mover.plan)

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
        return self.state.in_force(self._mover.clock.wall()).share

    @property
    def is_complete(self) -> bool:
        """True from entering a last stage of 100 % on, unless it is rolled back or superseded."""
        return self.state.is_complete

    def time_in_stage(self) -> float:
        """Return the seconds in this stage, pauses not counted."""
        return self.state.time_in_stage(self._mover.clock.wall())

    def time_in_run(self) -> float:
        """Return the seconds since this run began, pauses included; 0.0 before the first."""
        run = self.run
        started = next((event.at for event in self.history if event.run == run), None)
        return 0.0 if started is None else max(0.0, self._mover.clock.wall() - started)

    def can_promote(self, canary_metrics: StageMetrics) -> bool:
        """Whether the stage's gates are met by *canary_metrics*, which it takes for this stage's.

        False when complete, and when not running.
        """
        state = self.state
        if state.status is not RolloutStatus.RUNNING or state.is_complete:
            return False
        stage = _stage_of(state, self._mover.plan)
        return not unmet_gates(stage, state.time_in_stage(self._mover.clock.wall()), canary_metrics)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call ``callback(event, state)`` after each event from now on, own or followed, in their order.

        It runs in the thread that moved or followed, with the rollout's lock held: reading and moving the rollout is
        fine, waiting for another thread that moves it is not. What it raises is logged.

        Returns:
            A function that ends the subscription.
        """
        return self._mover.journal.subscribe(callback)


def _stage_of(state: RolloutState, own_plan: Plan) -> Stage:
    return (state.plan or own_plan).stages[state.stage_idx]

"""The stage machine against a small model: any moves, by two workers, in any order, over any time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent_canary import Event, IllegalMoveError, RevisionConflictError, Rollout, RolloutStatus, Stage
from agent_canary.rollout import RolloutState, advance
from agent_canary.testing import ManualClock

PENDING, RUNNING, PAUSED = RolloutStatus.PENDING, RolloutStatus.RUNNING, RolloutStatus.PAUSED
COMPLETED, ROLLED_BACK = RolloutStatus.COMPLETED, RolloutStatus.ROLLED_BACK
SUPERSEDED = RolloutStatus.SUPERSEDED
FINISHED = (COMPLETED, ROLLED_BACK, SUPERSEDED)

ILLEGAL, NOTHING, MOVES = "illegal", "nothing", "moves"


@dataclass(frozen=True)
class View:
    """What one revision looks like to the workers of the two versions."""

    run: int = 0
    status: RolloutStatus = PENDING
    stage: int = 0
    to_stable: bool = False
    others_rule: bool = False


@dataclass
class Model:
    """What a rollout must do, told another way than the code tells it."""

    percents: list[float]
    delay: int
    now: int
    view: View = field(default_factory=View)
    shares: list[tuple[float, float]] = field(default_factory=lambda: [(-inf, 0.0)])
    in_force_at: float = 0.0
    elapsed: float = 0.0

    def outcome_of(self, view: View, move: str) -> str:
        """Tell what a worker that sees *view* does with a move."""
        last, status = len(self.percents) - 1, view.status
        is_complete = status is RUNNING and view.stage == last and self.percents[last] == 1.0
        match move:
            case "promote" if status in FINISHED or (status is RUNNING and view.stage == last):
                return NOTHING
            case "rollback" if status in (ROLLED_BACK, SUPERSEDED):
                return NOTHING
            case "restart":
                legal = status is not SUPERSEDED
            case "rollback":
                legal = True
            case "promote" | "promote_full":
                legal = status is RUNNING
            case "complete":
                legal = is_complete
            case "pause":
                legal = status is RUNNING or (status is PAUSED and view.to_stable)
            case "pause_to_stable":
                legal = status is RUNNING or (status is PAUSED and not view.to_stable)
            case "resume":
                legal = status is PAUSED
            case _:
                raise AssertionError(move)
        return MOVES if legal and not view.others_rule else ILLEGAL

    def move(self, move: str) -> None:
        """Make a move that is legal."""
        view = self.view
        match move:
            case "promote":
                self._enter(replace(view, stage=view.stage + 1), self.percents[view.stage + 1])
            case "rollback":
                self._enter(replace(view, status=ROLLED_BACK, stage=0, to_stable=False), 0.0)
            case "promote_full" | "complete":
                self._complete()
            case "pause" | "pause_to_stable":
                to_stable = move == "pause_to_stable"
                self.view = replace(view, status=PAUSED, to_stable=to_stable)
                self._share(0.0 if to_stable else self.percents[view.stage], view.stage, view.stage)
            case "resume":
                self.view = replace(view, status=RUNNING, to_stable=False)
                self._share(self.percents[view.stage], view.stage, view.stage)
            case "restart":
                self.start()

    def start(self) -> None:
        """Begin a run; its first share waits only when nobody is on the canary."""
        waits = self.delay > 0 and self.shares[-1][1] == 0.0
        self.view, self.elapsed = View(self.view.run + 1, RUNNING), 0.0
        self.in_force_at = self.now + self.delay if waits else self.now
        self.shares = [(-inf, 0.0), (self.in_force_at, self.percents[0])] if waits else [(-inf, self.percents[0])]

    def give_way(self) -> None:
        """Other versions begin."""
        if self.view.status not in FINISHED:
            self._enter(replace(self.view, status=SUPERSEDED, to_stable=False), 0.0)
        self.view = replace(self.view, others_rule=True)

    def pass_time(self, seconds: int) -> None:
        """Time counts for the stage while its share is in force and it is not paused."""
        if self.view.status is not PAUSED:
            self.elapsed += max(0.0, self.now + seconds - max(self.now, self.in_force_at))
        self.now += seconds

    def share(self) -> float:
        """The share that users feel now."""
        return [share for at, share in self.shares if at <= self.now][-1]

    def is_complete(self) -> bool:
        """Whether everybody is on the canary."""
        last = len(self.percents) - 1
        on_trial = self.view.status in (RUNNING, PAUSED) and self.view.stage == last and self.percents[last] == 1.0
        return self.view.status is COMPLETED or on_trial

    def _enter(self, view: View, share: float) -> None:
        before, self.view, self.elapsed = self.view, view, 0.0
        self._share(share, before.stage, view.stage)

    def _complete(self) -> None:
        last = len(self.percents) - 1
        is_there = self.view.stage == last and self.shares[-1][1] == 1.0
        before, self.view = self.view, replace(self.view, status=COMPLETED, stage=last)
        if not is_there:
            self.elapsed = 0.0
            self._share(1.0, before.stage, last)

    def _share(self, share: float, stage_before: int, stage: int) -> None:
        if (share, stage) == (self.shares[-1][1], stage_before):
            return
        if self.delay and share >= self.shares[-1][1]:
            self.in_force_at = self.now + self.delay
            self.shares.append((self.in_force_at, share))
        else:
            self.in_force_at = self.now
            self.shares = [(-inf, share)]


MAKE: dict[str, Callable[[Rollout], object]] = {
    "promote": lambda rollout: rollout.promote("seen enough", actor="ada", evidence={"ratio": inf}),
    "pause": lambda rollout: rollout.pause(),
    "pause_to_stable": lambda rollout: rollout.pause(to_stable=True),
    "resume": lambda rollout: rollout.resume(),
    "rollback": lambda rollout: rollout.rollback("worse"),
    "promote_full": lambda rollout: rollout.promote_full(),
    "complete": lambda rollout: rollout.complete(),
    "restart": lambda rollout: rollout.restart(),
}
# Half of the moves lead on, so that whole rollouts happen among the interruptions.
MOVES_DRAWN = st.sampled_from([*MAKE, "promote", "promote", "promote", "resume", "resume", "complete", "restart"])


class StageMachine(RuleBasedStateMachine):
    """Two workers of one pair of versions, and sometimes one of another pair, over one history."""

    @initialize(
        percents=st.lists(st.sampled_from([0.0, 0.05, 0.25, 1.0]), min_size=1, max_size=4).map(sorted),
        delay=st.sampled_from([0, 5]),
        keep_salt=st.booleans(),
    )
    def begin(self, percents: list[float], delay: int, keep_salt: bool) -> None:
        self.clock = ManualClock()
        self.events: list[Event] = []
        self.model = Model(percents, delay, int(self.clock.wall()))
        self.views: dict[int, View] = {}
        self.states: dict[int, RolloutState] = {}
        self.keep_salt = keep_salt
        self.workers = [self.worker("v2"), self.worker("v2")]
        self.workers[0].begin()
        self.model.start()
        self.after_events()

    def worker(self, canary: str) -> Rollout:
        rollout = Rollout(map(Stage, self.model.percents), keep_salt=self.keep_salt, clock=self.clock)
        rollout.bind(
            self.append,
            stable_version="v1",
            canary_version=canary,
            name="agent",
            clock=self.clock,
            promotion_delay=self.model.delay,
        )
        return rollout

    def append(self, event: Event) -> None:
        if event.revision != len(self.events) + 1:
            raise RevisionConflictError("somebody else was faster")
        self.events.append(event)

    def after_events(self) -> None:
        """Let the first worker read, and keep what the newest revision looks like."""
        self.workers[0].follow(self.events)
        self.views[len(self.events)] = self.model.view
        self.states[len(self.events)] = self.workers[0].state

    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.pass_time(seconds)
        self.the_rollout_is_where_the_model_is()

    @rule(move=MOVES_DRAWN, second=st.booleans(), reads_first=st.booleans(), seconds=st.integers(0, 12))
    def somebody_moves(self, move: str, second: bool, reads_first: bool, seconds: int) -> None:
        self.time_passes(seconds)
        worker = self.workers[second]
        if reads_first or worker.revision == 0:
            worker.follow(self.events)
        before, behind = worker.state, worker.revision < len(self.events)
        outcome = self.model.outcome_of(self.views[worker.revision], move)
        if outcome is NOTHING:
            assert MAKE[move](worker) in (False, None)
        elif outcome is ILLEGAL:
            with pytest.raises(IllegalMoveError):
                MAKE[move](worker)
        elif behind:
            with pytest.raises(RevisionConflictError):
                MAKE[move](worker)
        else:
            assert MAKE[move](worker) in (True, None)
            self.model.move(move)
            return self.after_events()
        assert worker.state == before
        return None

    @precondition(lambda self: not self.model.view.others_rule)
    @rule()
    def other_versions_are_deployed(self) -> None:
        others = self.worker("v3")
        others.follow(self.events)
        others.begin(supersede=True)
        self.model.give_way()
        run = self.model.view.run
        self.after_events()
        self.states.pop(len(self.events))
        assert others.run == run + 1
        self.others = others

    @precondition(lambda self: self.model.view.others_rule)
    @rule()
    def the_versions_come_back(self) -> None:
        self.workers[0].begin(supersede=True)
        self.model.shares = [(-inf, 0.0)]
        self.model.view = replace(self.model.view, run=self.model.view.run + 1)
        self.model.start()
        self.others.follow(self.events)
        assert self.others.status is SUPERSEDED
        self.after_events()

    @rule(seconds=st.integers(0, 12))
    def time_passes_and_others_read(self, seconds: int) -> None:
        self.time_passes(seconds)
        self.workers[1].follow(self.events)
        assert self.workers[1].history == self.workers[0].history
        late = self.worker("v2")
        late.follow(json_round_trip(self.events))
        assert late.state == self.workers[0].state

    @invariant()
    def the_rollout_is_where_the_model_is(self) -> None:
        rollout, model = self.workers[0], self.model
        view = model.view
        assert (rollout.run, rollout.status, rollout.current_stage_idx) == (view.run, view.status, view.stage)
        assert rollout.traffic_share == model.share()
        assert rollout.time_in_stage() == model.elapsed
        assert rollout.is_complete is model.is_complete()
        assert rollout.current_percent == model.percents[view.stage]
        if view.status in (ROLLED_BACK, SUPERSEDED) or view.to_stable:
            assert rollout.traffic_share == 0.0
        if view.status is COMPLETED:
            assert rollout.state.traffic_share == 1.0

    @invariant()
    def a_worker_that_is_behind_sees_a_past_revision(self) -> None:
        second = self.workers[1]
        if second.revision:
            view = self.views[second.revision]
            assert (second.run, second.status, second.current_stage_idx) == (view.run, view.status, view.stage)

    def teardown(self) -> None:
        """Every prefix of the history, read back from JSON, folds to the state that was seen then."""
        state, runs_over, salts = RolloutState(), set(), {}
        for event in json_round_trip(getattr(self, "events", [])):
            before = state.run
            state = advance(state, event)
            if state.revision in self.states:
                assert state == self.states[state.revision]
            if state.status is ROLLED_BACK:
                runs_over.add(state.run)
            assert state.run not in runs_over or (state.status is ROLLED_BACK and state.traffic_share == 0.0)
            if state.run > before:
                salts[state.run] = state.salt
        if salts:
            assert len(set(salts.values())) == (1 if self.keep_salt else len(salts))


def json_round_trip(events: list[Event]) -> list[Event]:
    """Return the events as another process reads them."""
    text = json.dumps([event.to_json() for event in events], allow_nan=False)
    data: list[Any] = json.loads(text)
    return [Event.from_json(entry) for entry in data]


TestStageMachine = StageMachine.TestCase
TestStageMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)

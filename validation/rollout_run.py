"""One rollout through the public API: assign, report, tick, and see what it decides.

Between two ticks requests are made in their order. What an answer reports before the next tick is reported at once,
with the clock set to its time and back again: the library looks at nothing before a tick, so that it finds the same.
What comes later waits for its turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from agent_canary import AgentCanary, Event, EventKind, MemoryStore, Rollout

from .cell import Act, Cell
from .outcome import CANARY, STABLE, End, Outcome, outcome_of
from .reporting import Later, Reports, SimulatedClock
from .traffic import Traffic

_ME = "validation"


class RolloutRun:
    """One rollout of a cell.

    Args:
        cell: The setting.
        traffic: The run's requests.
        alpha: The probability of a false rollback that the library is asked for.
        name: The rollout's name; its salt, and so who gets the canary, comes from it.
    """

    def __init__(self, cell: Cell, traffic: Traffic, alpha: float, name: str) -> None:
        self._cell, self._traffic = cell, traffic
        self._clock = SimulatedClock()
        self._events: list[Event] = []
        self._canary = AgentCanary(
            "stable",
            "canary",
            Rollout(cell.stages, rollback_on=cell.guardrails, **cell.policies),
            name=name,
            store=MemoryStore(),
            clock=self._clock,
            alpha=alpha,
            autopilot=False,
            outcome_horizon=cell.horizon,
            on_event=self._events.append,
        )
        self._keys = [f"user-{number}" for number in range(cell.users.number)]
        self._served = bytearray(len(traffic))
        self._acts = list(cell.acts)
        self._alarms = 0
        self._by: tuple[str, ...] = ()

    def run(self) -> Outcome:
        """Serve and tick until it is over."""
        cell = self._cell
        ticks = np.arange(1, int(cell.seconds / cell.tick) + 1) * cell.tick
        begins = np.searchsorted(self._traffic.at, ticks).tolist()
        serve = self._server()
        begin, now = 0, 0.0
        end: End = "going"
        for now, next_begin in zip(ticks.tolist(), begins, strict=True):
            serve(begin, next_begin, now)
            begin, self._clock.now = next_begin, now
            self._act(now)
            self._canary.tick()
            end = self._end()
            if end != "going":
                break
        served = np.frombuffer(self._served, np.uint8)[:begin]
        return outcome_of(self._traffic, served, end, now, by=self._by, alarms=self._alarms)

    def buckets(self) -> list[float]:
        """Return each user's bucket. Ask when it is over: it takes an assignment each."""
        return [self._canary.assign(key).bucket or 0.0 for key in self._keys]

    def _end(self) -> End:
        events, self._events[:] = self._events[:], []
        for event in events:
            if event.kind is EventKind.COMPLETED and not self._acts:
                return "completed"
            if event.kind is EventKind.ROLLED_BACK and event.actor != _ME:
                self._alarms += 1
                self._by = _failing(event)
                if self._alarms > self._cell.again:
                    return "rolled back"
                self._canary.rollout.restart("once more", actor=_ME)
        return "going"

    def _act(self, now: float) -> None:
        while self._acts and self._acts[0].at <= now:
            _do(self._acts.pop(0), self._canary.rollout)

    def _server(self) -> Callable[[int, int, float], None]:
        traffic = self._traffic
        if not self._cell.keyed:
            random.seed(self._canary.name)  # the coins that the library tosses
            return self._serve_without_keys()
        if traffic.all_come and all(arm.is_at_once for arm in self._cell.arms):
            return self._serve_at_once()
        return self._serve_anything()

    def _serve_at_once(self) -> Callable[[int, int, float], None]:
        """The same as below where an answer takes no time and tells nothing else: in half the time."""
        traffic, clock, assign, served = self._traffic, self._clock, self._canary.assign, self._served
        at, keys = traffic.at.tolist(), [self._keys[user] for user in traffic.who.tolist()]
        stable_failed, canary_failed = traffic.stable.failed.tolist(), traffic.canary.failed.tolist()

        def serve(first: int, last: int, _until: float) -> None:
            for index in range(first, last):
                clock.now = at[index]
                assignment = assign(keys[index])
                if assignment.is_canary:
                    served[index] = CANARY
                    failed = canary_failed[index]
                else:
                    served[index] = STABLE
                    failed = stable_failed[index]
                if failed:
                    assignment.fail()
                else:
                    assignment.succeed()

        return serve

    def _serve_without_keys(self) -> Callable[[int, int, float], None]:
        traffic, clock, canary, served = self._traffic, self._clock, self._canary, self._served
        at, stable_failed, canary_failed = (
            each.tolist() for each in (traffic.at, traffic.stable.failed, traffic.canary.failed)
        )

        def serve(first: int, last: int, _until: float) -> None:
            for index in range(first, last):
                clock.now = at[index]
                version = canary.route()
                is_canary = version == canary.canary_version
                served[index] = CANARY if is_canary else STABLE
                canary.record(version, not (canary_failed if is_canary else stable_failed)[index], 0.0)

        return serve

    def _serve_anything(self) -> Callable[[int, int, float], None]:
        traffic, clock, canary, served = self._traffic, self._clock, self._canary, self._served
        at, users, keys, all_come = traffic.at.tolist(), traffic.who.tolist(), self._keys, traffic.all_come
        later, comes = Later(clock), self._comes()
        stable, on_canary = (
            Reports(answers, traffic.covariates, clock, later) for answers in (traffic.stable, traffic.canary)
        )

        def serve(first: int, last: int, until: float) -> None:
            later.until = until
            for index in range(first, last):
                now = clock.now = at[index]
                user = users[index]
                if not all_come and not comes(index, user):
                    continue
                assignment = canary.assign(keys[user])
                if assignment.is_canary:
                    served[index] = CANARY
                    on_canary.report(assignment, index, user, now)
                else:
                    served[index] = STABLE
                    stable.report(assignment, index, user, now)
            later.catch_up()

        return serve

    def _comes(self) -> Callable[[int, int], bool]:
        """Whether a request of a user is made at all, by the version that it would get and what the user knows."""
        traffic, canary, keys = self._traffic, self._canary, self._keys
        stable, on_canary, first = (
            each.tolist() for each in (traffic.stable.comes, traffic.canary.comes, traffic.first_comes)
        )
        knows_it = [False] * len(keys)

        def comes(index: int, user: int) -> bool:
            if canary.route(keys[user]) != canary.canary_version:
                return bool(stable[index])
            is_made = bool((on_canary if knows_it[user] else first)[index])
            knows_it[user] |= is_made
            return is_made

        return comes


def _do(act: Act, rollout: Rollout) -> None:
    why = "as the cell says"
    if act.deed == "pause":
        rollout.pause(why, actor=_ME)
    elif act.deed == "pause to stable":
        rollout.pause(why, actor=_ME, to_stable=True)
    elif act.deed == "resume":
        rollout.resume(why, actor=_ME)
    elif act.deed == "roll back":
        rollout.rollback(why, actor=_ME)
    else:
        rollout.restart(why, actor=_ME)


def _failing(event: Event) -> tuple[str, ...]:
    findings = (event.evidence or {}).get("findings", ())
    return tuple(each["guardrail"] for each in findings if each["status"] == "fail" and each["role"] == "rollback")

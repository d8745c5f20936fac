"""One process's part in a rollout: its books, the traffic it routes by, and its ticks."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping

from . import switches
from .books import Books
from .clock import Clock, Rests
from .controller import Controller
from .deciding.analysis import Analysis, require_judged
from .deciding.score_rules import score_rules
from .deciding.verdict import AutoAction, Verdict
from .errors import RevisionConflictError
from .failsafe import Failsafe
from .metrics.ledger import Ledger
from .metrics.run_totals import RunTotals, SliceKey
from .metrics.scores import ScoreRule
from .metrics.watch import Watch
from .plan import Plan, SafetyMargin
from .rollout import Event, EventKind, Rollout, RolloutState, RolloutStatus
from .sticky_key import salt_prefix, threshold_of
from .stores import Store
from .traffic import Reason, Traffic

logger = logging.getLogger("agent_canary")

_JOIN_ATTEMPTS = 10
_NEVER = float("inf")
_KEYLESS_AT = 100


class Worker:
    """Keeps the traffic in line with the rollout.

    Locks, outermost first: a tick, the rollout's own, the traffic. The request path takes none of them.

    Args:
        versions: The stable and the canary version.
        rollout: Stages and guardrails; bound here to the store.
        name: The rollout's name.
        store: Where events and totals are kept.
        clock: This process's time; a shared store has the say over event times.
        alpha: The probability of a false rollback in a whole run, in (0, 1).
        margin: Margin and minimum of samples of the fixed rule; None without it.
        horizon: Seconds after which an open assignment counts as failed.
        stale_after: Seconds without word from a shared store after which everything goes to stable.
        plain: Whether nothing but a key's hash decides.
        failsafe: Counts and logs what goes wrong.
        on_event: Called with each event.
    """

    def __init__(
        self,
        versions: tuple[str, str],
        rollout: Rollout,
        *,
        name: str,
        store: Store,
        clock: Clock,
        alpha: float,
        margin: tuple[float, int] | None,
        horizon: float,
        stale_after: float,
        plain: bool,
        failsafe: Failsafe,
        on_event: Callable[[Event], object] | None,
    ) -> None:
        plan = _with_margin(rollout.own_plan, margin)
        require_judged(plan)
        self.versions, self.rollout, self.name, self.clock, self.store = versions, rollout, name, clock, store
        self.id = _new_id()
        self.ticks = False
        self.horizon = horizon
        self.analysis = Analysis(plan, alpha, failsafe.note)
        self._alpha, self._stale_after, self._plain = alpha, stale_after, plain
        self._failsafe, self._on_event = failsafe, on_event
        self._tick_lock, self._traffic_lock = threading.RLock(), threading.Lock()
        self._heard_at = clock.monotonic()
        self._warned: set[tuple[int, int]] = set()
        self._announces = False
        self.books = Books(*versions, clock, horizon)
        self._rests = Rests()
        self.controller = Controller(rollout, store, name, self._settle, self._analysis, self._rests)
        rollout.bind(
            self._append,
            stable_version=versions[0],
            canary_version=versions[1],
            name=name,
            clock=_EventClock(store, clock),
            plan=plan,
        )
        self.refresh()
        rollout.subscribe(self._follow)
        failsafe.call("joining the rollout", self._join)
        self._announces = True

    @property
    def ledger(self) -> Ledger:
        """Where assignments are booked."""
        return self.books.ledger

    @property
    def last_verdict(self) -> Verdict | None:
        """What the last analysis of this process found."""
        return self.controller.last_verdict

    # Ticks

    def tick(self) -> Verdict | None:
        """Publish, read, analyse and act; return None when another worker was faster."""
        with self._tick_lock:
            self.controller.follow()
            self._heard_at = self.clock.monotonic()
            if self.rollout.status is RolloutStatus.PENDING:
                self._join()
            verdict = self.controller.analyse(self.id)
            if verdict is not None:
                self.controller.act(verdict)
            self._watch(self.controller.watches)
            self.refresh()
            self._warn_of_few_units()
            return verdict

    def tick_safely(self) -> None:
        """Tick; an error is counted and logged, and the next tick still happens."""
        self._failsafe.call("tick", self.tick)

    def analyse(self) -> Verdict | None:
        """Analyse without acting; return None when another worker was faster."""
        with self._tick_lock:
            self.controller.follow()
            verdict = self.controller.analyse(self.id)
            self._watch(self.controller.watches)
            return verdict

    def apply(self, action: AutoAction) -> None:
        """Act on a recommendation, with the last verdict as the reason when it recommends the same."""
        with self._tick_lock:
            verdict = self.last_verdict
            if verdict is None or verdict.action is not action:
                verdict = Verdict(action, f"{action.value} applied by the application")
            self.controller.act(verdict)

    def refresh(self, *, plain: bool | None = None, ticks: bool | None = None) -> None:
        """Route by the rollout's state and the switches as they are now, and begin a new slice of evidence."""
        with self._traffic_lock:
            self._plain = self._plain if plain is None else plain
            self.ticks = self.ticks if ticks is None else ticks
            self._refresh()

    def forked(self, *, plain: bool) -> None:
        """Begin anew in a forked child under a new id."""
        self.id, self.ticks = _new_id(), False
        self._tick_lock, self._traffic_lock = threading.RLock(), threading.Lock()
        self.rollout.renew_lock()
        self.store.forget_processes()
        self.books = Books(*self.versions, self.clock, self.horizon)
        state = self.rollout.state
        self.books.open_run(state.run, SliceKey(state.stage_idx, state.traffic_share), self._rules(state))
        self.refresh(plain=plain)

    # Following the rollout

    def _join(self) -> None:
        """Join the newest run of this name when it is of our versions, else begin one; the past is not announced."""
        for _ in range(_JOIN_ATTEMPTS):
            try:
                self.controller.follow()
                self._announces = True
                if self.rollout.status is RolloutStatus.PENDING:
                    stable, canary = self.versions
                    self.rollout.begin(f"rollout of {canary!r} over {stable!r}", supersede=True)
                break
            except RevisionConflictError:
                continue
        configured, stored = self.rollout.own_plan, self.rollout.plan
        if configured != stored:
            logger.warning(
                "agent_canary rollout %r follows the plan it was started with, which differs from this process's: %s. "
                "rollout.restart() begins a new run with the new plan.",
                self.name,
                "; ".join(configured.difference(stored)),
            )

    def _append(self, event: Event) -> None:
        self.store.append(self.name, event)

    def _follow(self, event: Event, state: RolloutState) -> None:
        with self._traffic_lock:
            self.books.harvest()
            ledger = self.books.ledger
            if state.run != ledger.totals.run:
                key = SliceKey(state.stage_idx, state.traffic_share)
                self.books.open_run(state.run, key, self._rules(state))
                self.analysis = Analysis(self._plan_in_force(), self._alpha, self._failsafe.note)
                self._watch(())
            elif state.stage_idx != ledger.current.key.stage_idx and state.status is not RolloutStatus.ROLLED_BACK:
                ledger.fold()
                self.books.open_stage()
            self._refresh()
        self.controller.last_verdict = None
        if self._announces:
            self._announce(event)

    def _plan_in_force(self) -> Plan:
        """The stored plan; where this process's own says the same, that one, whose guardrails nobody had to read."""
        own, stored = self.rollout.own_plan, self.rollout.plan
        return own if own == stored else stored

    def _refresh(self) -> None:
        state = self.rollout.state
        in_force = state.in_force(self.clock.wall())
        blanket = self._blanket(state)
        stale_at = self._heard_at + self._stale_after if self.store.is_shared and self.ticks else _NEVER
        wall, monotonic = self.clock.wall(), self.clock.monotonic()
        self.traffic = Traffic(
            stable=self.versions[0],
            canary=self.versions[1],
            prefix=salt_prefix(state.salt),
            threshold=threshold_of(in_force.share),
            share=in_force.share,
            run=state.run,
            stage_idx=in_force.stage_idx,
            slice=self.books.cut(SliceKey(in_force.stage_idx, in_force.share)),
            wall_offset=wall - monotonic,
            stale_at=stale_at,
            heeds_targeting=state.status is RolloutStatus.RUNNING
            or (state.status is RolloutStatus.PAUSED and not state.paused_to_stable),
            plain_until=stale_at if self._plain and blanket is None else -_NEVER,
            blanket=blanket,
        )

    def _blanket(self, state: RolloutState) -> tuple[str, Reason] | None:
        forced = switches.forced_version()
        if forced in self.versions:
            return forced, Reason.TARGETING_MATCH
        if switches.is_disabled() or state.status in (RolloutStatus.PENDING, RolloutStatus.SUPERSEDED):
            return self.versions[0], Reason.DISABLED
        return None

    def _announce(self, event: Event) -> None:
        level = logging.WARNING if event.kind is EventKind.ROLLED_BACK else logging.INFO
        logger.log(
            level,
            "agent_canary rollout %r, run %d: %s by %s: %s",
            self.name,
            event.run,
            event.kind.value.replace("_", " "),
            event.actor,
            event.reason,
        )
        if self._on_event is not None:
            self._failsafe.call("on_event", self._on_event, event)

    def _rules(self, state: RolloutState) -> Mapping[str, ScoreRule]:
        return {} if state.plan is None else score_rules(state.plan, self.horizon)

    def _watch(self, watches: tuple[Watch, ...]) -> None:
        self.controller.watches = self.books.watches = watches

    def _settle(self) -> RunTotals:
        self.refresh()
        return self.books.settle(self._rests)

    def _analysis(self) -> Analysis:
        return self.analysis

    # Few units

    def few_units_note(self) -> str | None:
        """A sentence when so few sticky keys were seen that the present share is next to nobody; else None."""
        state = self.rollout.state
        share = state.traffic_share
        if state.status is not RolloutStatus.RUNNING or not 0.0 < share < 1.0:
            return None
        first = self.books.ledger.totals.first
        units = first.estimated_count
        without_key = self.books.ledger.without_key
        if not units and without_key >= _KEYLESS_AT:
            return (
                f"none of {without_key:,} assignments had a sticky key, so nobody meets the canary: look at what the "
                "key function returns"
            )
        on_canary = sum(1 for outcome in first.values() if outcome[3]) << first.level
        answered = sum(arms.stable.total + arms.canary.total for arms in self.books.ledger.totals.keyed.values())
        if on_canary or answered < 10 * units or not units or units * share >= 3.0:
            return None
        return (
            f"only about {units:,} sticky keys were seen, and {share:.2%} of them is {units * share:.1f}: next to "
            f"nobody meets the canary. Begin with at least {min(1.0, 3.0 / units):.0%}, or use a finer sticky key."
        )

    def _warn_of_few_units(self) -> None:
        note = self.few_units_note()
        state = self.rollout.state
        if note is not None and (state.run, state.stage_idx) not in self._warned:
            self._warned.add((state.run, state.stage_idx))
            logger.warning("agent_canary rollout %r: %s", self.name, note)


class _EventClock:
    """Wall time for events: the store's, where it has the say."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.monotonic = clock.monotonic

    def wall(self) -> float:
        now = self._store.now()
        return self._clock.wall() if now is None else now


def _new_id() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _with_margin(plan: Plan, margin: tuple[float, int] | None) -> Plan:
    return plan if margin is None else plan.with_guardrail(SafetyMargin(*margin))

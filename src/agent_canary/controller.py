"""What a tick does: read what others decided, publish what this worker has seen, analyse, append what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import switches
from .deciding.analysis import Analysis
from .deciding.case import Moment
from .deciding.finding import FindingStatus
from .deciding.limits import watches_of
from .deciding.memory import AnalysisMemory
from .deciding.progress import gates_of
from .deciding.verdict import AutoAction, StageGates, Verdict, decide
from .errors import RevisionConflictError
from .metrics.evidence import Evidence
from .metrics.run_totals import RunTotals
from .metrics.units import Pause, no_pause
from .metrics.watch import Watch
from .rollout import GOING, EventKind, Rollout, RolloutStatus
from .stores import Store

AUTO = "auto"

_LONG = 500
"""What takes half of a tenth of a millisecond or more, in the steps of a pause."""


class Controller:
    """Moves a rollout by what all workers have seen.

    Args:
        rollout: The state machine, bound to the store.
        store: Where events and totals are kept.
        name: The rollout's name in the store.
        settle: Settles this worker's books and returns what counts by now.
        analysis_of: Returns the analysis for the plan in force.
        pause: Called between the steps of an analysis.

    Attributes:
        last_verdict: What the last analysis of this process found in the present stage.
        watches: What every worker counts from its next slice on, as the last analysis of any of them says.
    """

    def __init__(
        self,
        rollout: Rollout,
        store: Store,
        name: str,
        settle: Callable[[], RunTotals],
        analysis_of: Callable[[], Analysis],
        pause: Pause = no_pause,
    ) -> None:
        self.rollout = rollout
        self.last_verdict: Verdict | None = None
        self.watches: tuple[Watch, ...] = ()
        self._store = store
        self._name = name
        self._settle = settle
        self._analysis_of = analysis_of
        self._pause = pause
        self._judged_revision = 0
        self._judged_run = 0
        self._judged: Verdict | None = None

    def follow(self) -> None:
        """Read what others decided."""
        self.rollout.follow(self._store.events(self._name, self.rollout.revision))

    def analyse(self, worker: str) -> Verdict | None:
        """Publish, and judge all workers' totals; return None when another worker was faster. Moves nothing."""
        self._store.publish(self._name, worker, self._settle())
        self._pause(_LONG)
        state = self.rollout.state
        if state.status not in GOING:
            why = f": {self.rollout.history[-1].reason}" if state.is_finished else ""
            verdict = Verdict(AutoAction.HOLD, f"the rollout is {_words(state.status)}{why}")
            self.last_verdict = self.last_verdict or verdict
            return verdict
        self._judged_revision, self._judged_run = state.revision, state.run
        evidence = self._evidence(state.run)
        version, saved = self._store.load_analysis(self._name, state.run)
        memory = AnalysisMemory() if saved is None else AnalysisMemory.from_json(saved)
        self._pause(_LONG)
        analysis = self._analysis_of()
        moment = self._moment()
        findings = analysis.run(evidence, moment, memory)
        self.watches = watches_of(analysis.plan, memory)
        self._pause(_LONG)
        if not self._store.save_analysis(self._name, state.run, version, memory.to_json()):
            return None
        self._pause(_LONG)
        verdict = decide(findings, analysis.plan, self._gates(evidence, moment))
        self.last_verdict = self._judged = self._unless_it_stays(verdict)
        return self.last_verdict

    def act(self, verdict: Verdict) -> None:
        """Append the event that follows from *verdict*, if any.

        Nothing when another worker was faster, or the rollout has moved since it was judged; a rollback
        never waits, but for one that is about another run.
        """
        before = self.rollout.revision
        try:
            if verdict is self._judged and self._has_moved(verdict):
                return
            if verdict.action is AutoAction.ROLLBACK:
                self.rollout.rollback(verdict.sentence, actor=AUTO, evidence=verdict.to_json())
            elif verdict.action is AutoAction.PROMOTE:
                self.rollout.promote(verdict.sentence, actor=AUTO, evidence=verdict.to_json())
            elif verdict.pauses:
                self._pause_rollout(verdict)
            else:
                self._complete_if_baked(verdict)
        except RevisionConflictError:
            self.follow()
            return
        if self.rollout.revision != before:
            self.last_verdict = verdict

    def _has_moved(self, verdict: Verdict) -> bool:
        """Whether the rollout is no more what was judged: for a rollback, another run."""
        if verdict.action is AutoAction.ROLLBACK:
            return self._judged_run != self.rollout.run
        return self._judged_revision != self.rollout.revision

    def _complete_if_baked(self, verdict: Verdict) -> None:
        """Complete a rollout whose last stage, of 100 %, has met its gates, unless a finding holds it."""
        rollout = self.rollout
        if rollout.status is not RolloutStatus.RUNNING or not rollout.is_complete or switches.is_disabled():
            return
        if any(finding.status is FindingStatus.FAIL for finding in verdict.findings):
            return
        gates = self._gates(self._evidence(rollout.run), self._moment())
        may_lack = gates.is_overdue and rollout.plan.on_no_data == "promote"
        if not gates.unmet and (may_lack or not gates.short_of_data):
            reason = f"{self.stage_name()}: its time, samples and thresholds are met"
            rollout.complete(reason, actor=AUTO, evidence=verdict.to_json())

    def _pause_rollout(self, verdict: Verdict) -> None:
        """Pause, once in a stage: a person who resumed it knows that data are missing."""
        rollout = self.rollout
        if rollout.status is not RolloutStatus.RUNNING or switches.is_disabled():
            return
        for event in reversed(rollout.history):
            if event.kind in (EventKind.STARTED, EventKind.PROMOTED):
                break
            if event.kind is EventKind.PAUSED and event.actor == AUTO:
                return
        rollout.pause(verdict.sentence, actor=AUTO, evidence=verdict.to_json())

    def stage_name(self) -> str:
        """``stage 2 of 5 (5 %)``."""
        rollout = self.rollout
        return f"stage {rollout.current_stage_idx + 1} of {len(rollout.stages)} ({100 * rollout.current_percent:g} %)"

    def _evidence(self, run: int) -> Evidence:
        return Evidence(self._store.totals(self._name, run).values(), run, self._pause)

    def _moment(self) -> Moment:
        rollout = self.rollout
        return Moment(rollout.current_stage_idx, rollout.time_in_stage(), rollout.time_in_run())

    def _gates(self, evidence: Evidence, moment: Moment) -> StageGates:
        gates = gates_of(self.rollout.plan, evidence, moment, self.stage_name())
        # Nobody meets a canary that is switched off: that no data come says nothing of it.
        return replace(gates, is_overdue=False) if switches.is_disabled() else gates

    def _unless_it_stays(self, verdict: Verdict) -> Verdict:
        """A rollout that is switched off, paused or in its last stage is not promoted, whatever its gates."""
        rollout = self.rollout
        sentence = verdict.sentence
        if verdict.action is AutoAction.ROLLBACK:
            return verdict
        if switches.is_disabled():
            sentence = f"switched off, everybody gets stable: {sentence}"
        elif rollout.status is RolloutStatus.PAUSED:
            served = ", everybody gets stable" if rollout.state.paused_to_stable else ""
            sentence = f"paused{served}: {sentence}"
        elif verdict.action is AutoAction.HOLD or not rollout.state.is_last_stage:
            return verdict
        elif not rollout.is_complete:
            sentence = f"{self.stage_name()}: its thresholds are met; it is the last, promote_full() completes it"
        return Verdict(AutoAction.HOLD, sentence, verdict.findings, verdict.pauses)


def _words(status: RolloutStatus) -> str:
    return status.value.replace("_", " ")

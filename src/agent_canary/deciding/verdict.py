"""What to do, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..plan import Plan, SampleRatio
from ..plan.reading import require_entry
from .finding import Finding, FindingStatus


class AutoAction(str, Enum):
    """What an analysis recommends."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, with the findings behind it.

    Attributes:
        action: What to do.
        sentence: Why, in one sentence with numbers.
        findings: Each guardrail's and signal's result.
        pauses: Whether to hold means to pause the rollout until a person resumes it.
    """

    action: AutoAction
    sentence: str
    findings: tuple[Finding, ...] = ()
    pauses: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return every field under its own name."""
        return {
            "action": self.action.value,
            "sentence": self.sentence,
            "findings": [finding.to_json() for finding in self.findings],
            "pauses": self.pauses,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what :meth:`to_json` wrote; unknown keys are ignored.

        Raises:
            ValueError: A part is missing, or an action or a status is unknown.
        """
        action, sentence, findings = (require_entry("verdict", data, key) for key in ("action", "sentence", "findings"))
        found = tuple(Finding.from_json(finding) for finding in findings)
        return cls(AutoAction(action), sentence, found, bool(data.get("pauses", False)))


@dataclass(frozen=True, slots=True)
class StageGates:
    """How far a stage is from being left.

    Attributes:
        name: The stage as people name it.
        unmet: A sentence for each gate of time and thresholds that is not met.
        short_of_data: A sentence for each gate of samples and scores that is not met.
        is_overdue: Whether the plan's patience is over.
        compares: Whether stable has traffic to compare with: not at 100 %.
    """

    name: str
    unmet: tuple[str, ...] = ()
    short_of_data: tuple[str, ...] = ()
    is_overdue: bool = False
    compares: bool = True


def decide(findings: Sequence[Finding], plan: Plan, gates: StageGates) -> Verdict:
    """Return what follows from the findings and from the gates of a stage.

    A failing guardrail comes first, whatever else there is; then a failing signal; then missing data; then the gates.
    """
    found = tuple(findings)
    failing = [finding for finding in found if finding.status is FindingStatus.FAIL]
    for finding in failing:
        if finding.role == "rollback":
            return Verdict(AutoAction.ROLLBACK, finding.sentence, found)
    if failing:
        return Verdict(AutoAction.HOLD, f"held by a signal: {failing[0].sentence}", found)
    missing, unsettled = _missing(found, plan, gates), _not_shown(found, plan, gates)
    for policy, reasons in ((plan.on_no_data, missing), (plan.on_inconclusive, unsettled)):
        if reasons and not (gates.is_overdue and policy == "promote"):
            return _held(policy if gates.is_overdue else "hold", reasons[0], found)
    if gates.unmet:
        return Verdict(AutoAction.HOLD, _gates_sentence(gates, gates.unmet), found)
    return Verdict(AutoAction.PROMOTE, f"{gates.name}: {_why(plan, gates, [*missing, *unsettled])}", found)


def _missing(findings: Sequence[Finding], plan: Plan, gates: StageGates) -> list[str]:
    """A sentence for each finding that the user asked for and that has no data, and one for the stage's own gates."""
    missing = [
        f"{_WAITING}{finding.sentence}"
        for finding in findings
        if gates.compares and finding.status is FindingStatus.NO_DATA and finding.guardrail in plan.required
    ]
    if gates.short_of_data:
        missing.append(_gates_sentence(gates, (*gates.unmet, *gates.short_of_data)))
    return missing


def _not_shown(findings: Sequence[Finding], plan: Plan, gates: StageGates) -> list[str]:
    """A sentence for each guardrail that is not shown to be no worse; a fixed rule and the sample ratio cannot be."""
    if plan.promote != "when_not_worse" or not gates.compares:
        return []
    return [
        f"not shown to be no worse yet: {finding.sentence}"
        for finding in findings
        if _is_open(finding, plan) and finding.alpha is not None and finding.guardrail != SampleRatio().name
    ]


def _is_open(finding: Finding, plan: Plan) -> bool:
    """Whether nothing is known; a finding that the user asked for and that has no data is missing, and no open one."""
    if finding.status is FindingStatus.NO_DATA:
        return finding.guardrail not in plan.required
    return finding.status is FindingStatus.INCONCLUSIVE


def _held(policy: str, sentence: str, found: tuple[Finding, ...]) -> Verdict:
    over = f"the plan's patience is over: {sentence.removeprefix(_WAITING)}"
    if policy == "rollback":
        return Verdict(AutoAction.ROLLBACK, over, found)
    if policy == "pause":
        return Verdict(AutoAction.HOLD, over, found, pauses=True)
    return Verdict(AutoAction.HOLD, sentence, found)


_WAITING = "waiting for data: "
_THRESHOLDS_ONLY = "nothing to compare with, thresholds only; "


def _gates_sentence(gates: StageGates, unmet: Sequence[str]) -> str:
    return f"{gates.name}: {'' if gates.compares else _THRESHOLDS_ONLY}{'; '.join(unmet)}"


def _why(plan: Plan, gates: StageGates, lacking: Sequence[str]) -> str:
    if lacking:
        lacks = lacking[0].removeprefix(_WAITING).removeprefix(f"{gates.name}: ")
        return f"time and thresholds are met, no guardrail fails, and the plan's patience is over: {lacks}"
    if not gates.compares:
        return f"{_THRESHOLDS_ONLY}they are met"
    if plan.promote == "when_not_worse":
        return "time, samples and thresholds are met and every guardrail passes"
    return "time, samples and thresholds are met and no guardrail fails"

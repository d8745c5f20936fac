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
    """

    name: str
    unmet: tuple[str, ...] = ()
    short_of_data: tuple[str, ...] = ()
    is_overdue: bool = False


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
    missing = [
        f"waiting for data: {finding.sentence}"
        for finding in found
        if finding.status is FindingStatus.NO_DATA and finding.guardrail in plan.required
    ]
    if gates.short_of_data:
        missing.append(f"{gates.name}: {'; '.join(gates.short_of_data)}")
    unsettled = _not_shown(found) if plan.promote == "when_not_worse" else []
    for policy, reasons in ((plan.on_no_data, missing), (plan.on_inconclusive, unsettled)):
        if reasons and not (gates.is_overdue and policy == "promote"):
            return _held(policy if gates.is_overdue else "hold", [*reasons, *gates.unmet], found)
    if gates.unmet:
        return Verdict(AutoAction.HOLD, f"{gates.name}: {'; '.join(gates.unmet)}", found)
    return Verdict(AutoAction.PROMOTE, f"{gates.name}: {_why(plan, missing, unsettled)}", found)


def _not_shown(findings: Sequence[Finding]) -> list[str]:
    """A sentence for each guardrail that is not shown to be no worse; a fixed rule and the sample ratio cannot be."""
    return [
        f"not shown to be no worse yet: {finding.sentence}"
        for finding in findings
        if finding.status in (FindingStatus.INCONCLUSIVE, FindingStatus.NO_DATA)
        and finding.alpha is not None
        and finding.guardrail != SampleRatio().name
    ]


def _held(policy: str, reasons: Sequence[str], found: tuple[Finding, ...]) -> Verdict:
    sentence = reasons[0]
    if policy == "rollback":
        return Verdict(AutoAction.ROLLBACK, f"the plan's patience is over: {sentence}", found)
    if policy == "pause":
        return Verdict(AutoAction.HOLD, f"the plan's patience is over: {sentence}", found, pauses=True)
    return Verdict(AutoAction.HOLD, sentence, found)


def _why(plan: Plan, missing: Sequence[str], unsettled: Sequence[str]) -> str:
    if missing or unsettled:
        return f"time and thresholds are met, no guardrail fails, and the plan's patience is over: {[*missing, *unsettled][0]}"
    if plan.promote == "when_not_worse":
        return "time, samples and thresholds are met and every guardrail passes"
    return "time, samples and thresholds are met and no guardrail fails"

"""What to do, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

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
    """

    action: AutoAction
    sentence: str
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return every field under its own name."""
        return {
            "action": self.action.value,
            "sentence": self.sentence,
            "findings": [finding.to_json() for finding in self.findings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what :meth:`to_json` wrote; unknown keys are ignored.

        Raises:
            ValueError: A part is missing, or an action or a status is unknown.
        """
        action, sentence, findings = (require_entry("verdict", data, key) for key in ("action", "sentence", "findings"))
        return cls(AutoAction(action), sentence, tuple(Finding.from_json(finding) for finding in findings))


def decide(findings: Sequence[Finding], required: frozenset[str], unmet: Sequence[str], stage: str) -> Verdict:
    """Return what follows from the findings and from the gates of a stage.

    Args:
        findings: Of all guardrails and signals.
        required: Names of guardrails that hold the rollout while they have no data.
        unmet: A sentence for each gate of the stage that is not met yet.
        stage: The stage as people name it, for the sentence.
    """
    found = tuple(findings)
    failing = [finding for finding in found if finding.status is FindingStatus.FAIL]
    for finding in failing:
        if finding.role == "rollback":
            return Verdict(AutoAction.ROLLBACK, finding.sentence, found)
    if failing:
        return Verdict(AutoAction.HOLD, f"held by a signal: {failing[0].sentence}", found)
    for finding in found:
        if finding.status is FindingStatus.NO_DATA and finding.guardrail in required:
            return Verdict(AutoAction.HOLD, f"waiting for data: {finding.sentence}", found)
    if unmet:
        return Verdict(AutoAction.HOLD, f"{stage}: {'; '.join(unmet)}", found)
    return Verdict(AutoAction.PROMOTE, f"{stage}: time, samples and thresholds are met and no guardrail fails", found)

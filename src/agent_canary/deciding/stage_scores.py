"""What one version's scores are in the present stage, with and without a key."""

from __future__ import annotations

from ..metrics.totals import ScoreSums
from ..plan import Rate
from .case import Case


def stage_score(case: Case, name: str, *, is_canary: bool) -> ScoreSums:
    """Return the sums of the values of a score that a guardrail watches."""
    rates = [each for each in case.plan.guardrails if isinstance(each, Rate) and each.name == name]
    bad = rates[0].bad_value if rates else None
    return case.evidence.score(name, case.moment.stage_idx, is_canary=is_canary, bad=bad)

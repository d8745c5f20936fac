"""What one version's scores are in the present stage, with and without a key."""

from __future__ import annotations

from ..metrics.totals import ScoreSums
from ..plan import Rate
from .case import Case


def counts_zeros(case: Case, name: str) -> bool:
    """Whether a score is a rate whose bad value is 0."""
    return any(isinstance(each, Rate) and each.higher_is_better and each.name == name for each in case.plan.guardrails)


def stage_score(case: Case, name: str, *, is_canary: bool) -> ScoreSums:
    """Return the sums of a score's values; of a rate, of how often it was bad."""
    stage_idx = case.moment.stage_idx
    sums = case.evidence.score(name, stage_idx, is_canary=is_canary)
    if counts_zeros(case, name):
        # Without a key values are kept as they were reported, with one as bad or not.
        for key, (canary, stable) in case.evidence.unkeyed_scores(name).items():
            if key.stage_idx == stage_idx:
                reported = canary if is_canary else stable
                sums.total += reported.count - 2.0 * reported.total
                sums.squares += reported.count - 2.0 * reported.squares
    return sums

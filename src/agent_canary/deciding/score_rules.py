"""Which scores are evidence, and how."""

from __future__ import annotations

from ..metrics.scores import ScoreRule
from ..plan import Plan, Rate, Score, Threshold
from ..plan.names import THRESHOLD_METRICS


def score_rules(plan: Plan, horizon: float) -> dict[str, ScoreRule]:
    """Return a rule for each score that a guardrail or a signal of *plan* watches.

    Args:
        plan: What was agreed.
        horizon: Seconds after which a score is judged where the guardrail does not say.
    """
    rules: dict[str, ScoreRule] = {}
    for each in plan.guardrails:
        if isinstance(each, Rate):
            rules[each.name] = ScoreRule(bad=each.bad_value, horizon=each.horizon or horizon)
        elif isinstance(each, Score):
            rules[each.name] = ScoreRule(bad=None, horizon=each.horizon or horizon, bounds=each.bounds)
    for each in plan.guardrails:
        if isinstance(each, Threshold) and each.metric not in THRESHOLD_METRICS:
            rules.setdefault(each.metric, ScoreRule(bad=None, horizon=horizon))
    return rules

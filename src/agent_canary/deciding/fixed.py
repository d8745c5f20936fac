"""Findings of fixed rules, which have no error control: they look at point estimates, again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..metrics.stage_totals import StageTotals
from ..plan import SafetyMargin, Threshold
from . import wording
from .case import Case
from .finding import Finding, FindingStatus
from .stage_scores import stage_score


def judge_margin(spec: SafetyMargin, case: Case) -> Finding:
    """Return the finding about the canary's success rate against stable's less a margin."""
    canary = case.evidence.stage(case.moment.stage_idx, is_canary=True)
    stable = case.evidence.stage(case.moment.stage_idx, is_canary=False)
    if canary.total < spec.min_samples or not canary.total or not stable.total:
        status = FindingStatus.NO_DATA
    else:
        worse = canary.success_rate < stable.success_rate - spec.margin
        status = FindingStatus.FAIL if worse else FindingStatus.INCONCLUSIVE
    sentence = (
        f"{spec.name}: success {wording.percent(canary.succeeded, canary.total)} of {wording.answers(canary.total)} "
        f"on the canary, {wording.percent(stable.succeeded, stable.total)} of {wording.answers(stable.total)} on "
        f"stable; the fixed rule allows {100 * spec.margin:g} points less, from {spec.min_samples} answers on"
    )
    return Finding(spec.name, case.role, status, sentence, stable.total, stable.failed, canary.total, canary.failed)


def judge_threshold(spec: Threshold, case: Case) -> Finding:
    """Return the finding about one number of the canary's, of this stage, against a fixed bound."""
    canary = case.evidence.stage(case.moment.stage_idx, is_canary=True)
    answers, value = _measured(spec.metric, canary, case)
    bound = f"at most {spec.at_most:g}" if spec.at_most is not None else f"at least {spec.at_least:g}"
    if answers < spec.min_samples or not answers:
        sentence = (
            f"{spec.name}: {answers:,} of the {max(1, spec.min_samples):,} canary answers it takes tell "
            f"{spec.metric} in this stage; the fixed rule allows {bound}"
        )
        return Finding(spec.name, case.role, FindingStatus.NO_DATA, sentence, canary_total=answers)
    kept = value <= spec.at_most if spec.at_most is not None else value >= (spec.at_least or 0.0)
    sentence = (
        f"{spec.name}: the canary's {spec.metric} is {wording.number(value)} in this stage, over "
        f"{wording.answers(answers)}; the fixed rule allows {bound}"
    )
    status = FindingStatus.PASS if kept else FindingStatus.FAIL
    return Finding(
        spec.name,
        case.role,
        status,
        sentence,
        canary_total=answers,
        canary_value=value,
        tolerance=spec.at_most if spec.at_most is not None else spec.at_least,
    )


_MEASURES: Mapping[str, Callable[[StageTotals], tuple[int, float]]] = {
    "success_rate": lambda totals: (totals.total, totals.success_rate),
    "p50_ms": lambda totals: totals.quantile("latency", 0.50),
    "p95_ms": lambda totals: totals.quantile("latency", 0.95),
    "p99_ms": lambda totals: totals.quantile("latency", 0.99),
    "first_token_p50_ms": lambda totals: totals.quantile("first_token", 0.50),
    "first_token_p95_ms": lambda totals: totals.quantile("first_token", 0.95),
    "cost_usd": lambda totals: (totals.quantile("cost", 0.50)[0], totals.mean("cost")),
    "tokens": lambda totals: (totals.quantile("tokens", 0.50)[0], totals.mean("tokens")),
}


def _measured(metric: str, canary: StageTotals, case: Case) -> tuple[int, float]:
    """How many answers tell of it, and the number."""
    known = _MEASURES.get(metric)
    if known is not None:
        return known(canary)
    sums = stage_score(case, metric, is_canary=True)
    return sums.count, sums.mean

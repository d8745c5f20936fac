"""The limits that amounts are compared with: quantiles of what stable took, in force from the next slice on."""

from __future__ import annotations

from collections.abc import Iterator

from ..metrics.evidence import Evidence
from ..metrics.histogram import ZERO_THRESHOLD, bound_of, upper_bound_of
from ..metrics.totals import MICRO_DOLLARS
from ..metrics.watch import Watch
from ..plan import Cost, FirstToken, Latency, Plan, Tokens
from . import wording
from .case import Moment
from .memory import AnalysisMemory
from .pace import RENEWED_AFTER_SECONDS

_LEAST_ANSWERS = 100


def renew_limits(plan: Plan, evidence: Evidence, moment: Moment, memory: AnalysisMemory) -> None:
    """Take stable's quantiles as they are now; what is in force already stays for ten seconds."""
    if memory.limits and abs(moment.seconds_in_run - memory.limits_at) < RENEWED_AFTER_SECONDS:
        return
    for amount, quantile, metric in _watched(plan):
        if isinstance(amount, FirstToken | Latency) and moment.seconds_in_run < amount.warm_up:
            continue
        answers, value = evidence.quantile(amount.amount, quantile)
        if answers >= _LEAST_ANSWERS and value > 0.0:
            memory.limits[metric] = value
            memory.limits_at = moment.seconds_in_run
        stage = [evidence.stage(moment.stage_idx, is_canary=arm) for arm in (False, True)]
        memory.amounts[metric] = (
            stage[0].quantile(amount.amount, quantile)[1],
            stage[1].quantile(amount.amount, quantile)[1],
        )


def watches_of(plan: Plan, memory: AnalysisMemory) -> tuple[Watch, ...]:
    """Return what is counted from the next slice on."""
    return tuple(
        Watch(
            metric,
            amount.amount,
            _on_a_bound(memory.limits[metric], amount.amount),
            _on_a_bound(memory.limits[metric] * amount.tolerance, amount.amount),
        )
        for amount, _, metric in _watched(plan)
        if metric in memory.limits
    )


def limit_text(amount: str, value: float) -> str:
    """``1,420 ms``, ``$0.0123``, ``812 tokens``."""
    if amount == "cost":
        return f"${wording.number(value)}"
    if amount == "tokens":
        return f"{value:,.0f} tokens"
    return f"{wording.number(value)} ms" if value < 100.0 else f"{value:,.0f} ms"


def _watched(plan: Plan) -> Iterator[tuple[Cost | FirstToken | Latency | Tokens, float, str]]:
    for guardrail in plan.guardrails:
        if isinstance(guardrail, Cost | FirstToken | Latency | Tokens):
            for quantile in guardrail.quantiles:
                yield guardrail, quantile, guardrail.metric_of(quantile)


def _on_a_bound(value: float, amount: str) -> float:
    """The upper bound of the value's histogram bucket, so that answers and histograms count the same."""
    unit = MICRO_DOLLARS if amount == "cost" else 1.0
    counted = value * unit
    return upper_bound_of(bound_of(counted)) / unit if counted > ZERO_THRESHOLD else value

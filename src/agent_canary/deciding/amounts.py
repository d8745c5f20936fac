"""Findings about amounts: latency, time to the first token, cost and tokens.

Every answer is compared with a limit that was fixed before it came: a quantile of what stable took in the past, for the
canary times the tolerance. "Above the limit" is a bad answer like any other, whatever the shape of the amounts, and a
drift that both versions share moves both arms alike. The failing users of an exceedance are those whose *first* answer
was above the limit, in each worker that they meet: how often they come matters little.

S. R. Howard and A. Ramdas (2022), "Sequential estimation of quantiles with applications to A/B testing and best-arm
identification", compare quantiles over all time; exceedances of past quantiles stay exact under shared drift.
"""

from __future__ import annotations

import math

from ..metrics.arms import BinaryCounts
from ..plan import Cost, FirstToken, Latency, Tokens
from ..statistics import log_mean_exp
from . import settling, wording
from .case import Case
from .finding import Finding, FindingStatus
from .limits import limit_text
from .memory import ExactTest
from .pace import answers_per_second, users_of
from .rates import RateEvidence, RateTest, test_rate

Amount = Cost | FirstToken | Latency | Tokens


def judge_amount(spec: Amount, case: Case) -> Finding:
    """Return the finding about an amount: the mean of the evidence at each of its quantiles."""
    tests = {quantile: _test(spec.metric_of(quantile), case) for quantile in spec.quantiles}
    log_e = log_mean_exp(test.log_e for test in tests.values())
    status = _status(list(tests.values()), log_e, case)
    quantile = max(tests, key=lambda each: tests[each].log_e)
    test = tests[quantile]
    users = users_of(case)
    settled_by = ""
    if status is FindingStatus.INCONCLUSIVE and settling.is_possible(case):
        # It fails by the mean of the evidence, and passes only when every quantile does.
        slowest = max(each.factor for each in tests.values())
        factor = min(slowest, settling.factor_by_growth(log_e, math.log(1.0 / case.alpha)))
        settled_by = settling.words(factor, test.total.canary_total, users[1], answers_per_second(case))
    stable, canary = case.memory.amounts.get(spec.metric_of(quantile), (0.0, 0.0))
    error, difference = test.error, test.difference
    return Finding(
        guardrail=spec.name,
        role=case.role,
        status=status,
        sentence=_sentence(spec, status, quantile, test, log_e, (stable, canary), case, settled_by),
        stable_total=test.total.stable_total,
        stable_bad=test.total.stable_bad,
        canary_total=test.total.canary_total,
        canary_bad=test.total.canary_bad,
        stable_users=users[0],
        canary_users=users[1],
        stable_value=stable or None,
        canary_value=canary or None,
        difference=difference,
        interval=None if difference is None or error is None else (difference - error, difference + error),
        ratio=canary / stable if stable and canary else None,
        tolerance=spec.tolerance,
        log_e_value=log_e,
        log_threshold=math.log(1.0 / case.alpha),
        alpha=case.alpha,
        settled_by=settled_by,
    )


def _test(metric: str, case: Case) -> RateTest:
    seen = case.evidence
    evidence = RateEvidence(
        keyed=seen.counts(metric),
        clusters=seen.clusters(metric),
        unkeyed=seen.unkeyed_counts(metric),
        failing=seen.failing(metric),
    )
    return test_rate(evidence, 1.0, case, case.memory.exact.setdefault(metric, ExactTest()))


def _status(tests: list[RateTest], log_e: float, case: Case) -> FindingStatus:
    if not any(test.total.canary_total and test.total.stable_total for test in tests):
        return FindingStatus.NO_DATA
    if log_e >= math.log(1.0 / case.alpha):
        return FindingStatus.FAIL
    shown = all(test.is_shown_no_worse for test in tests)
    return FindingStatus.PASS if shown else FindingStatus.INCONCLUSIVE


def _sentence(
    spec: Amount,
    status: FindingStatus,
    quantile: float,
    test: RateTest,
    log_e: float,
    values: tuple[float, float],
    case: Case,
    settled_by: str,
) -> str:
    total = test.total
    limit = case.memory.limits.get(spec.metric_of(quantile))
    if status is FindingStatus.NO_DATA:
        return f"{spec.name}: nothing to compare, {_why_no_data(spec, quantile, total, case)}"
    stable, canary = values
    name = f"p{100.0 * quantile:g}"
    of = "" if limit is None else f" of {limit_text(spec.amount, limit)}"
    in_this_stage = ""
    if stable and canary:
        both = limit_text(spec.amount, canary), limit_text(spec.amount, stable)
        in_this_stage = f"{name} {both[0]} on the canary against {both[1]} on stable in this stage; "
    numbers = (
        f"{spec.name}: {in_this_stage}{wording.percent(total.canary_bad, total.canary_total)} of canary answers "
        f"({total.canary_bad:,} of {total.canary_total:,}) {_VERBS[spec.amount]} {spec.tolerance:g} times stable's "
        f"past {name}{of}, {wording.percent(total.stable_bad, total.stable_total)} on stable ({total.stable_bad:,} of "
        f"{total.stable_total:,}) more than that {name}"
    )
    evidence = wording.evidence(log_e, math.log(1.0 / case.alpha))
    if status is FindingStatus.PASS:
        evidence = f"shown to be {wording.fewer_points(case.plan.delta)} more"
    return f"{numbers}; {evidence}{f'; {settled_by}' if settled_by else ''}"


_VERBS = {
    "cost": "cost more than",
    "first_token": "took longer to the first token than",
    "latency": "took longer than",
    "tokens": "needed more than",
}


def _why_no_data(spec: Amount, quantile: float, total: BinaryCounts, case: Case) -> str:
    if spec.metric_of(quantile) in case.memory.limits:
        return (
            f"{wording.answers(total.canary_total)} of the canary and {wording.answers(total.stable_total)} of stable "
            "since there is a limit"
        )
    if isinstance(spec, FirstToken | Latency) and case.moment.seconds_in_run < spec.warm_up:
        return f"warming up for {wording.duration(spec.warm_up - case.moment.seconds_in_run)} more"
    answers, _ = case.evidence.quantile(spec.amount, quantile)
    told = f"{wording.answers(answers)} of stable {'tells' if answers == 1 else 'tell'} it so far"
    return f"no limit yet: a quantile of stable's past answers is the limit, and {told}"

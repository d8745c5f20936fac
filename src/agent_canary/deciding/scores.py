"""Findings about real-valued scores, such as a judge's rating.

Of users: the difference of means by stages with the hash-bucket variance, which knows that a user's answers are alike;
asymptotic, guarded, and sharpened by a covariate where one is given (CUPED). Of answers without a key: the exact test
of bounded means where bounds are known, else the same asymptotic test with the guarded variance of independent answers.
"""

from __future__ import annotations

import math

from ..plan import Score
from ..statistics import Contrast
from . import settling, wording
from .case import DISPLAY_ALPHA, PASS_ALPHA, Case
from .contrasts import contrast_of, error_of, log_evidence, tau_squared_of
from .finding import Finding, FindingStatus
from .memory import BoundedTest
from .pace import outstanding_scores, scores_per_second
from .unkeyed_scores import UnkeyedScores, contrast_of_sums, log_e_of_bounded


def judge_score(spec: Score, case: Case) -> Finding:
    """Return the finding about a score's mean."""
    seen = case.evidence
    unkeyed = seen.unkeyed_scores(spec.name)
    keyed, others = contrast_of(seen.clusters(spec.name)), contrast_of_sums(unkeyed)
    shown = others if keyed is None or (keyed.refusal and others and not others.refusal) else keyed
    people = seen.seen(spec.name)
    users = (people.on_stable, people.on_canary) if shown is keyed and keyed else (0, 0)
    log_e = _log_e(spec, keyed, others, unkeyed, case)
    status = _status(spec, shown, log_e, case)
    outstanding = outstanding_scores(case, spec.name)
    settled_by = ""
    if shown is not None and status is FindingStatus.INCONCLUSIVE and settling.is_possible(case):
        pace = scores_per_second(case, spec.name)
        settled_by = settling.words(_factor(spec, shown, case), shown.canary_answers, users[1], pace)
    error = error_of(shown, DISPLAY_ALPHA)
    return Finding(
        guardrail=spec.name,
        role=case.role,
        status=status,
        sentence=_sentence(spec, status, shown, error, users, log_e, case, outstanding, settled_by),
        stable_total=shown.stable_answers if shown else 0,
        canary_total=shown.canary_answers if shown else 0,
        stable_users=users[0],
        canary_users=users[1],
        stable_value=shown.stable_mean if shown else None,
        canary_value=shown.canary_mean if shown else None,
        difference=shown.difference if shown else None,
        interval=None if shown is None or error is None else (shown.difference - error, shown.difference + error),
        tolerance=spec.tolerance,
        log_e_value=log_e,
        log_threshold=math.log(1.0 / case.alpha),
        alpha=case.alpha,
        outstanding=outstanding,
        settled_by=settled_by,
    )


def _harm(spec: Score, found: Contrast) -> float:
    """By how much the canary's mean is on the bad side of stable's."""
    return -found.difference if spec.higher_is_better else found.difference


def _log_e(
    spec: Score,
    keyed: Contrast | None,
    others: Contrast | None,
    unkeyed: UnkeyedScores,
    case: Case,
) -> float:
    log_e = log_evidence(keyed, _harm(spec, keyed) - spec.tolerance) if keyed else 0.0
    if spec.bounds is not None and unkeyed:
        return log_e + log_e_of_bounded(spec, unkeyed, case.memory.bounded.setdefault(spec.name, BoundedTest()))
    return log_e + (log_evidence(others, _harm(spec, others) - spec.tolerance) if others else 0.0)


def _status(spec: Score, shown: Contrast | None, log_e: float, case: Case) -> FindingStatus:
    if shown is None:
        return FindingStatus.NO_DATA
    if log_e >= math.log(1.0 / case.alpha):
        return FindingStatus.FAIL
    log_below = log_evidence(shown, spec.tolerance - _harm(spec, shown))
    return FindingStatus.PASS if log_below >= math.log(1.0 / PASS_ALPHA) else FindingStatus.INCONCLUSIVE


def _factor(spec: Score, shown: Contrast, case: Case) -> float:
    excess, tau_squared = _harm(spec, shown) - spec.tolerance, tau_squared_of(shown)
    if shown.refusal is not None:
        return math.inf
    return min(
        settling.factor_by_precision(excess, shown.variance, tau_squared, math.log(1.0 / case.alpha)),
        settling.factor_by_precision(-excess, shown.variance, tau_squared, math.log(1.0 / PASS_ALPHA)),
    )


def _sentence(
    spec: Score,
    status: FindingStatus,
    shown: Contrast | None,
    error: float | None,
    users: tuple[int, int],
    log_e: float,
    case: Case,
    outstanding: int,
    settled_by: str,
) -> str:
    awaited = ""
    if outstanding and status is not FindingStatus.FAIL:
        awaited = f"; {outstanding:,} of this stage's canary answers have no score that counts yet"
    if shown is None:
        return f"{spec.name}: nothing to compare, no scores of both versions{awaited}"
    decimals = max(wording.decimals_for(error or 0.0), wording.decimals_of(shown.stable_mean))
    over = f"{users[1]:,} canary users" if users[1] else f"{shown.canary_answers:,} canary answers"
    allowed = f"{'−' if spec.higher_is_better else '+'}{spec.tolerance:g}" if spec.tolerance else "0"
    difference = f"{'stage by stage ' if case.moment.stage_idx else ''}{wording.signed(shown.difference, decimals)}"
    if error is not None:
        difference += f" ± {error:,.{decimals}f}"
    numbers = (
        f"{spec.name}: {shown.canary_mean:,.{decimals}f} against {shown.stable_mean:,.{decimals}f} on stable, "
        f"difference {difference} over {over}"
    )
    evidence = f"; the guardrail allows {allowed}"
    if status is FindingStatus.PASS:
        evidence += ", and it is shown to be within that"
    elif shown.refusal is not None and status is not FindingStatus.FAIL:
        evidence += f"; not judged yet: {shown.refusal}"
    else:
        evidence += f"; {wording.evidence(log_e, math.log(1.0 / case.alpha))}"
    return f"{numbers}{evidence}{awaited}{f'; {settled_by}' if settled_by else ''}"

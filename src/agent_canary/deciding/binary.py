"""Findings about 0/1 outcomes: failures, and scores that are a yes or a no.

Requests with a sticky key are compared by failing users, those without by the exact conditional test. An alarm needs
both: the evidence, and a canary that is worse than tolerated per request, stage by stage, by more than its usual error:
a canary that people merely use more has more failing users at the same rate of failure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..metrics.arms import BinaryCounts, CountsBySlice, SliceKey
from ..metrics.failing_units import FailingCounts
from ..metrics.units import FirstOutcome
from ..statistics import log_e_value, log_likelihood_ratios, log_mean_exp, log_sampling_weight
from . import wording
from .finding import Finding, FindingStatus
from .memory import ExactTest, since

TOTAL_FAILURE_SHARE = 0.1
"""The part of a failure guardrail's alpha that is spent on first outcomes."""
_FIRST_OUTCOME_SLICE_SECONDS = 10.0


FirstOutcomes = Callable[[], tuple[int, Iterable[FirstOutcome]]]


@dataclass(frozen=True, slots=True)
class BinaryEvidence:
    """What is known of one 0/1 outcome.

    Attributes:
        keyed: Counts of requests with a sticky key, by stage and share.
        unkeyed: Counts of requests without one.
        failing: Where the units failed that had a bad outcome.
        first: Returns the level of a sample of units and their first outcomes, for total failure; asked for when the
            canary looks worse than tolerated. None where that is not tested.
        watermark: Wall seconds; first outcomes of requests assigned from then on do not count yet.
    """

    keyed: CountsBySlice
    unkeyed: CountsBySlice = field(default_factory=dict[SliceKey, BinaryCounts])
    failing: FailingCounts = field(default_factory=FailingCounts)
    first: FirstOutcomes | None = None
    watermark: float = math.inf


def judge(
    name: str, noun: str, role: str, tolerance: float, alpha: float, evidence: BinaryEvidence, memory: ExactTest
) -> Finding:
    """Return the finding about one 0/1 outcome, and bring *memory* up to date.

    The probability of a false alarm in the whole run is at most *alpha*, of which a tenth is spent on first outcomes
    where these are tested.

    Args:
        name: The guardrail's name.
        noun: What a bad outcome is called: ``failed``.
        role: ``rollback`` or ``hold``.
        tolerance: Risk ratio, at least 1, up to which the canary counts as no worse.
        alpha: In (0, 1).
        evidence: What is known.
        memory: The exact test so far; changed in place.
    """
    _advance(memory, evidence.unkeyed, tolerance)
    total = _sum([*evidence.keyed.values(), *evidence.unkeyed.values()])
    slices = [*evidence.keyed.values(), *evidence.unkeyed.values()]
    ratio = risk_ratio(slices)
    main_alpha = alpha * (1.0 - TOTAL_FAILURE_SHARE) if evidence.first is not None else alpha
    log_e = _log_e_failing_users(evidence.failing, tolerance) + log_mean_exp(memory.log_ratios)
    log_threshold = math.log(1.0 / main_alpha)
    agreed = _surely_above(slices, tolerance)
    failed = agreed and log_e >= log_threshold
    if not failed and agreed and evidence.first is not None:
        log_e_first = _log_e_first_outcomes(evidence.first, evidence.watermark, tolerance)
        first_threshold = math.log(1.0 / (alpha * TOTAL_FAILURE_SHARE))
        if log_e_first >= first_threshold:
            failed, log_e, log_threshold = True, log_e_first, first_threshold
    status = _status(failed, total)
    users = evidence.failing.on_stable, evidence.failing.on_canary
    return Finding(
        guardrail=name,
        role=role,
        status=status,
        sentence=_sentence(name, noun, status, total, users, ratio, tolerance, log_e, log_threshold),
        stable_total=total.stable_total,
        stable_bad=total.stable_bad,
        canary_total=total.canary_total,
        canary_bad=total.canary_bad,
        stable_bad_users=users[0],
        canary_bad_users=users[1],
        ratio=ratio,
        tolerance=tolerance,
        log_e_value=log_e,
        log_threshold=log_threshold,
        alpha=alpha,
    )


def risk_ratio(slices: Iterable[BinaryCounts]) -> float | None:
    """How many times as often the canary's outcome was bad, slice by slice; None when that is undefined.

    The Mantel-Haenszel risk ratio: N. Mantel and W. Haenszel (1959), "Statistical aspects of the analysis of data from
    retrospective studies of disease"; for risks, S. Greenland and J. Robins (1985), "Estimation of a common effect
    parameter from sparse follow-up data". Never compares over different shares, which a shared drift would confound.
    Infinite where only the canary had a bad outcome.
    """
    canary = stable = 0.0
    for counts in slices:
        whole = counts.canary_total + counts.stable_total
        if counts.canary_total and counts.stable_total:
            canary += counts.canary_bad * counts.stable_total / whole
            stable += counts.stable_bad * counts.canary_total / whole
    if not canary and not stable:
        return None
    return canary / stable if stable else math.inf


def _surely_above(slices: Iterable[BinaryCounts], tolerance: float) -> bool:
    """Whether the risk ratio less 1.64 of its standard errors (Greenland and Robins, 1985) is above *tolerance*."""
    canary = stable = variance = 0.0
    for counts in slices:
        whole = counts.canary_total + counts.stable_total
        if counts.canary_total and counts.stable_total:
            bad = counts.canary_bad + counts.stable_bad
            canary += counts.canary_bad * counts.stable_total / whole
            stable += counts.stable_bad * counts.canary_total / whole
            variance += bad * counts.canary_total * counts.stable_total / whole**2 - (
                counts.canary_bad * counts.stable_bad / whole
            )
    if not canary or not stable:
        return canary > 0.0
    return math.log(canary / stable) - 1.645 * math.sqrt(max(0.0, variance) / (canary * stable)) > math.log(tolerance)


def _advance(memory: ExactTest, now: CountsBySlice, tolerance: float) -> None:
    for key, counts in now.items():
        news = since(memory.before.get(key, BinaryCounts()), counts)
        if news is not None and news.total >= _slice_size(key.share):
            memory.before[key] = counts
            _multiply(memory, news, tolerance)


def _slice_size(share: float) -> float:
    """How many answers make a slice, so that the rarer arm has two of them on average: one arm alone tells nothing.

    A number of answers of both arms, whatever they were and whichever arm they came from: the cut tells nothing either.
    """
    return 2.0 / min(share, 1.0 - share) if 0.0 < share < 1.0 else 1.0


def _multiply(test: ExactTest, slice_: BinaryCounts, tolerance: float) -> None:
    ratios = log_likelihood_ratios(
        slice_.canary_total, slice_.canary_bad, slice_.stable_total, slice_.stable_bad, tolerance
    )
    test.log_ratios = tuple(map(sum, zip(test.log_ratios, ratios, strict=True)))


def _log_e_failing_users(failing: FailingCounts, tolerance: float) -> float:
    if not failing.by_shares:
        return 0.0
    return log_e_value(failing.by_shares, tolerance) + log_sampling_weight(failing.level)


def _log_e_first_outcomes(first: FirstOutcomes, watermark: float, tolerance: float) -> float:
    level, outcomes = first()
    slices: dict[tuple[int, float, int], BinaryCounts] = {}
    for assigned_at, stage_idx, share, is_canary, failed in outcomes:
        if assigned_at < watermark:
            key = (stage_idx, share, int(assigned_at // _FIRST_OUTCOME_SLICE_SECONDS))
            slices.setdefault(key, BinaryCounts()).add(is_canary, 1, int(failed))
    total = _sum(slices.values())
    if 2 * total.canary_bad < total.canary_total:
        return 0.0
    test = ExactTest()
    for counts in slices.values():
        _multiply(test, counts, tolerance)
    return log_mean_exp(test.log_ratios) + log_sampling_weight(level)


def _sum(parts: Iterable[BinaryCounts]) -> BinaryCounts:
    total = BinaryCounts()
    for part in parts:
        total = total.plus(part)
    return total


def _status(failed: bool, total: BinaryCounts) -> FindingStatus:
    if failed:
        return FindingStatus.FAIL
    return FindingStatus.INCONCLUSIVE if total.canary_total and total.stable_total else FindingStatus.NO_DATA


def _sentence(
    name: str,
    noun: str,
    status: FindingStatus,
    total: BinaryCounts,
    users: tuple[int, int],
    ratio: float | None,
    tolerance: float,
    log_e: float,
    log_threshold: float,
) -> str:
    if status is FindingStatus.NO_DATA:
        return (
            f"{name}: nothing to compare, {wording.answers(total.canary_total)} of the canary and "
            f"{wording.answers(total.stable_total)} of stable"
        )
    met = f", {wording.users(users[1])} met one" if users[1] else ""
    numbers = (
        f"{name}: {wording.percent(total.canary_bad, total.canary_total)} of canary answers {noun} "
        f"({total.canary_bad:,} of {total.canary_total:,}{met}) against "
        f"{wording.percent(total.stable_bad, total.stable_total)} on stable "
        f"({total.stable_bad:,} of {total.stable_total:,})"
    )
    compared = "" if ratio is None else f", {wording.as_often(ratio)} where {tolerance:g} is tolerated"
    evidence = f"; evidence {wording.odds(log_e)}, alarm from {wording.odds(log_threshold)}"
    return f"{numbers}{compared}{evidence}"

"""Is a bad answer more frequent on the canary? For failures, 0/1 scores, and answers slower or dearer than a limit.

Three kinds of evidence, each blind where another sees:

* *failing users*, exact whatever users do: strong where bad answers are rare. It sees who met one, not how often, and a
  canary that people merely use more has more failing users at the same rate. So the tolerance grows with how much more
  it is used, and the evidence counts only while the canary is also worse per answer, slice by slice, by more than its
  usual error;
* *hash buckets*, the rate per answer with a variance that knows that a user's answers are alike: strong where bad
  answers are frequent;
* the *exact conditional test*, for answers without a key. Other answers, so it multiplies.

The mean of e-values is an e-value: the two for keyed answers count half each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..metrics.arms import BinaryCounts, CountsBySlice, SliceKey
from ..metrics.clusters import ArmClusters
from ..metrics.failing_units import FailingCounts
from ..metrics.units import FirstOutcome
from ..statistics import (
    LARGEST_TOLERANCE,
    Contrast,
    log_e_value,
    log_likelihood_ratios,
    log_mean_exp,
    log_sampling_weight,
    margin,
    usage_ratio,
)
from . import settling
from .agreement import is_surely_above, risk_ratio, total_of
from .case import DISPLAY_ALPHA, PASS_ALPHA, Case
from .contrasts import below, contrast_of, error_of, log_evidence, log_evidence_below, tau_squared_of
from .finding import FindingStatus
from .memory import ExactTest, since

FIRST_OUTCOMES_SHARE = 0.1
"""The part of a failure guardrail's alpha that is spent on first outcomes."""
_FIRST_OUTCOME_SLICE_SECONDS = 10.0
_FEWEST_FOR_AN_INTERVAL = 5
_CONTRAST = 1000
"""What a contrast takes at least, in the steps of a pause."""


@dataclass(frozen=True, slots=True)
class RateEvidence:
    """What is known of one kind of bad answer.

    Attributes:
        keyed: Counts of answers with a sticky key, by stage and share.
        clusters: The same, by cluster.
        unkeyed: Counts of answers without one.
        failing: Where the users are that met a bad answer.
        tests_first_outcomes: Whether a tenth of alpha is spent on the users' first outcomes.
    """

    keyed: CountsBySlice
    clusters: dict[SliceKey, ArmClusters]
    unkeyed: CountsBySlice
    failing: FailingCounts
    tests_first_outcomes: bool = False


@dataclass(frozen=True, slots=True)
class RateTest:
    """How far the evidence goes.

    Attributes:
        total: All answers.
        ratio: Mantel-Haenszel risk ratio; None when undefined.
        log_e: Log evidence that the canary is worse than tolerated.
        log_e_below: Log evidence that it is less than the plan's delta worse.
        plain: The difference of the rates by hash buckets; None without keyed answers of both.
        error: Radius of the difference's 95 % interval; None when unknown.
        looks_worse: Whether the canary is worse than tolerated per answer, by more than its usual error.
        factor: How many times the data of now would settle it; infinite when nobody can say.
    """

    total: BinaryCounts
    ratio: float | None
    log_e: float
    log_e_below: float
    plain: Contrast | None
    error: float | None
    looks_worse: bool
    factor: float

    @property
    def is_shown_no_worse(self) -> bool:
        """Whether it passes: less than delta worse, and not by many times where bad answers are rare."""
        return not self.looks_worse and self.log_e_below >= math.log(1.0 / PASS_ALPHA)

    @property
    def is_normal(self) -> bool:
        """Whether there are so many good and bad answers of both that an interval from a variance describes them."""
        total = self.total
        bad = min(total.canary_bad, total.stable_bad)
        good = min(total.canary_total - total.canary_bad, total.stable_total - total.stable_bad)
        return min(bad, good) >= _FEWEST_FOR_AN_INTERVAL

    @property
    def difference(self) -> float | None:
        """The canary's rate minus stable's, slice by slice where the answers have a key."""
        if self.plain is not None:
            return self.plain.difference
        total = self.total
        if not total.canary_total or not total.stable_total:
            return None
        return total.canary_bad / total.canary_total - total.stable_bad / total.stable_total


def test_rate(seen: RateEvidence, tolerance: float, case: Case, exact: ExactTest) -> RateTest:
    """Test one kind of bad answer, and bring *exact* up to date.

    The probability that ``log_e`` of a canary within the tolerance ever reaches log(1 / alpha) is at most alpha.

    Args:
        seen: What is known.
        tolerance: Risk ratio, at least 1, up to which the canary counts as no worse; an odds ratio for what has no key.
        case: The analysis.
        exact: The exact test so far; changed in place.
    """
    _advance(exact, seen.unkeyed, tolerance, case.plan.delta)
    slices = [counts for slices in (seen.keyed, seen.unkeyed) for _, counts in sorted(slices.items())]
    tolerated = contrast_of(seen.clusters, tolerance)
    case.evidence.pause(_CONTRAST)
    plain = tolerated if tolerance == 1.0 else contrast_of(seen.clusters)
    case.evidence.pause(_CONTRAST)
    log_buckets = log_evidence(tolerated, tolerated.difference if tolerated else 0.0)
    log_users, log_exact = _log_e_failing_users(seen, tolerance), log_mean_exp(exact.log_ratios)
    agreed = is_surely_above(slices, tolerance)
    if not agreed:
        log_users, log_exact = min(0.0, log_users), min(0.0, log_exact)
    log_e = log_mean_exp((log_users, log_buckets)) + log_exact
    if seen.tests_first_outcomes:
        enough = log_e + math.log(1.0 - FIRST_OUTCOMES_SHARE) >= math.log(1.0 / case.alpha)
        first = _log_e_first_outcomes(case, tolerance) if agreed and not enough else 0.0
        log_e = _weighted(log_e, first, FIRST_OUTCOMES_SHARE)
    log_below = log_evidence_below(plain, case.plan.delta) + exact.not_worse.log_e
    return RateTest(
        total=total_of(slices),
        ratio=risk_ratio(slices),
        log_e=log_e,
        log_e_below=log_below,
        plain=plain,
        error=error_of(plain, DISPLAY_ALPHA, effect=1.0),
        looks_worse=agreed,
        factor=min(_factor_to_fail(log_e if agreed else 0.0, tolerated, case), _factor_to_pass(log_below, plain, case)),
    )


def status_of(test: RateTest, alpha: float) -> FindingStatus:
    """Return what follows from a test at its alpha."""
    total = test.total
    if not total.canary_total or not total.stable_total:
        return FindingStatus.NO_DATA
    if test.log_e >= math.log(1.0 / alpha):
        return FindingStatus.FAIL
    return FindingStatus.PASS if test.is_shown_no_worse else FindingStatus.INCONCLUSIVE


def _factor_to_fail(log_e: float, tolerated: Contrast | None, case: Case) -> float:
    log_threshold = math.log(1.0 / case.alpha)
    factor = settling.factor_by_growth(log_e, log_threshold)
    if tolerated is None or tolerated.refusal is not None:
        return factor
    excess, variance, tau_squared = tolerated.difference, tolerated.variance, tau_squared_of(tolerated)
    # Hash buckets count half.
    by_buckets = settling.factor_by_precision(excess, variance, tau_squared, log_threshold + math.log(2.0))
    return min(factor, by_buckets)


def _factor_to_pass(log_below: float, plain: Contrast | None, case: Case) -> float:
    log_threshold = math.log(1.0 / PASS_ALPHA)
    by_buckets = settling.factor_by_precision(*below(plain, case.plan.delta), log_threshold)
    return min(by_buckets, settling.factor_by_growth(log_below, log_threshold))


def _weighted(log_e: float, log_e_first: float, weight: float) -> float:
    return log_mean_exp((log_e + math.log(2.0 * (1.0 - weight)), log_e_first + math.log(2.0 * weight)))


def _advance(exact: ExactTest, now: CountsBySlice, tolerance: float, delta: float) -> None:
    for key, counts in sorted(now.items()):
        news = since(exact.before.get(key, BinaryCounts()), counts)
        if news is not None and news.total >= _slice_size(key.share):
            exact.before[key] = counts
            _multiply(exact, news, tolerance)
            exact.not_worse = margin.advance(
                exact.not_worse, news.canary_total, news.canary_bad, news.stable_total, news.stable_bad, delta
            )


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


def _log_e_failing_users(seen: RateEvidence, tolerance: float) -> float:
    failing = seen.failing
    if not failing.by_shares:
        return 0.0
    use = usage_ratio((key.share, counts.canary_total, counts.stable_total) for key, counts in seen.keyed.items())
    tolerated = min(LARGEST_TOLERANCE, tolerance * max(1.0, use))
    return log_e_value(failing.by_shares, tolerated) + log_sampling_weight(failing.level)


def _log_e_first_outcomes(case: Case, tolerance: float) -> float:
    level, outcomes = case.evidence.first_outcomes()
    judged = [outcome for outcome in outcomes if outcome[0] < case.evidence.watermark]
    slices = _slices_of(judged)
    total = total_of(slices)
    odds = _odds_ratio(tolerance, total)
    if 2 * total.canary_bad < total.canary_total or odds > LARGEST_TOLERANCE:
        return 0.0
    test = ExactTest()
    for counts in slices:
        _multiply(test, counts, odds)
    return log_mean_exp(test.log_ratios) + log_sampling_weight(level)


def _odds_ratio(risk_ratio: float, total: BinaryCounts) -> float:
    """The odds ratio of a canary that fails *risk_ratio* times as often as stable; infinite if none can fail so often.

    The exact test compares odds, and where most answers fail these differ far more than the rates.
    """
    stable = (total.stable_bad + 1) / (total.stable_total + 2)
    return risk_ratio * (1.0 - stable) / (1.0 - risk_ratio * stable) if risk_ratio * stable < 1.0 else math.inf


def _slices_of(outcomes: Iterable[FirstOutcome]) -> list[BinaryCounts]:
    slices: dict[tuple[int, float, int], BinaryCounts] = {}
    for assigned_at, stage_idx, share, is_canary, failed, _ in outcomes:
        key = (stage_idx, share, int(assigned_at // _FIRST_OUTCOME_SLICE_SECONDS))
        slices.setdefault(key, BinaryCounts()).add(is_canary, 1, int(failed))
    return list(slices.values())

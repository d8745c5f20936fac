"""Findings about 0/1 outcomes: failures, and scores that are a yes or a no."""

from __future__ import annotations

import math

from ..metrics.arms import BinaryCounts, CountsBySlice
from ..metrics.clusters import ArmClusters
from ..metrics.evidence import Evidence
from ..metrics.run_totals import ClustersBySlice
from ..metrics.totals import ScoreSums
from ..plan import FailureRate, Rate
from . import settling, wording
from .agreement import total_of
from .case import Case
from .finding import Finding, FindingStatus
from .memory import ExactTest
from .pace import answers_per_second, outstanding_scores, scores_per_second, users_of
from .rates import RateEvidence, RateTest, status_of, test_rate

_STRAY = 0.1
"""So many good scores to a bad one do not make a score one that tells the good ones too."""


def judge_failures(spec: FailureRate, case: Case) -> Finding:
    """Return the finding about failing answers."""
    seen = case.evidence
    evidence = RateEvidence(
        keyed=seen.outcomes(),
        clusters=seen.clusters(spec.name),
        unkeyed=seen.unkeyed_outcomes(),
        failing=seen.failing(spec.name),
        tests_first_outcomes=True,
    )
    return _finding(spec, "failed", case, evidence, users_of(case), answers_per_second(case))


def judge_rate(spec: Rate, case: Case) -> Finding:
    """Return the finding about a 0/1 score."""
    seen = case.evidence
    bad = spec.bad_value
    clusters = seen.clusters(spec.name)
    keyed = seen.counts(spec.name)
    users = seen.seen(spec.name)
    unkeyed = {key: _bad_counts(*sums, bad) for key, sums in seen.unkeyed_scores(spec.name).items()}
    people = users.on_stable, users.on_canary
    outstanding: int | None = outstanding_scores(case, spec.name)
    pace = scores_per_second(case, spec.name)
    if _only_bad_is_told(keyed, unkeyed):
        clusters, keyed = _among_all(clusters, seen.clusters("failures")), _among_answers(keyed, seen)
        people, outstanding, pace = users_of(case), None, answers_per_second(case)
    evidence = RateEvidence(keyed, clusters, unkeyed, seen.failing(spec.name))
    return _finding(spec, f"scored {bad:.0f}", case, evidence, people, pace, outstanding)


def _finding(
    spec: FailureRate | Rate,
    noun: str,
    case: Case,
    evidence: RateEvidence,
    users: tuple[int, int],
    pace: float,
    outstanding: int | None = None,
) -> Finding:
    test = test_rate(evidence, spec.tolerance, case, case.memory.exact.setdefault(spec.name, ExactTest()))
    status = status_of(test, case.alpha)
    total, failing = test.total, evidence.failing
    settled_by = ""
    if status is FindingStatus.INCONCLUSIVE and settling.is_possible(case):
        settled_by = settling.words(test.factor, total.canary_total, users[1] if evidence.clusters else 0, pace)
    difference, error = test.difference, test.error
    return Finding(
        guardrail=spec.name,
        role=case.role,
        status=status,
        sentence=_sentence(spec, noun, status, test, failing.on_canary, case, outstanding, settled_by),
        stable_total=total.stable_total,
        stable_bad=total.stable_bad,
        canary_total=total.canary_total,
        canary_bad=total.canary_bad,
        stable_users=users[0],
        canary_users=users[1],
        stable_bad_users=failing.on_stable,
        canary_bad_users=failing.on_canary,
        stable_value=total.stable_bad / total.stable_total if total.stable_total else None,
        canary_value=total.canary_bad / total.canary_total if total.canary_total else None,
        difference=difference,
        interval=None if difference is None or error is None else (difference - error, difference + error),
        ratio=test.ratio,
        tolerance=spec.tolerance,
        log_e_value=test.log_e,
        log_threshold=math.log(1.0 / case.alpha),
        alpha=case.alpha,
        outstanding=outstanding,
        settled_by=settled_by,
    )


def _sentence(
    spec: FailureRate | Rate,
    noun: str,
    status: FindingStatus,
    test: RateTest,
    bad_users: int,
    case: Case,
    outstanding: int | None,
    settled_by: str,
) -> str:
    total = test.total
    awaited = ""
    if outstanding and status is not FindingStatus.FAIL:
        awaited = f"; {outstanding:,} of this stage's canary answers have no score that counts yet"
    if status is FindingStatus.NO_DATA:
        return (
            f"{spec.name}: nothing to compare, {wording.answers(total.canary_total)} of the canary and "
            f"{wording.answers(total.stable_total)} of stable{awaited}"
        )
    met = f", {wording.users(bad_users)} met one" if bad_users else ""
    numbers = (
        f"{spec.name}: {wording.percent(total.canary_bad, total.canary_total)} of canary answers {noun} "
        f"({total.canary_bad:,} of {total.canary_total:,}{met}) against "
        f"{wording.percent(total.stable_bad, total.stable_total)} on stable "
        f"({total.stable_bad:,} of {total.stable_total:,})"
    )
    evidence = wording.evidence(test.log_e, math.log(1.0 / case.alpha))
    if status is FindingStatus.PASS:
        evidence = f"shown to be {wording.fewer_points(case.plan.delta)} worse"
    settles = f"; {settled_by}" if settled_by else ""
    return f"{numbers}{_compared(spec, test, case)}; {evidence}{awaited}{settles}"


def _compared(spec: FailureRate | Rate, test: RateTest, case: Case) -> str:
    parts: list[str] = []
    if test.difference is not None and test.error is not None and test.is_normal:
        parts.append(f"difference {wording.points(test.difference, test.error)}")
    if test.ratio:
        parts.append(f"{wording.as_often(test.ratio)} where {spec.tolerance:g} is tolerated")
    if not parts:
        return ""
    # From the second stage on they need not agree with the two percentages, which are of all stages together.
    return f", {'stage by stage: ' if case.moment.stage_idx else ''}{', '.join(parts)}"


def _bad_counts(canary: ScoreSums, stable: ScoreSums, bad: float) -> BinaryCounts:
    counts = BinaryCounts()
    for is_canary, sums in ((True, canary), (False, stable)):
        ones = round(sums.total)
        counts.add(is_canary, sums.count, ones if bad else sums.count - ones)
    return counts


# A score that is next to never reported as good (a thumbs-down button) is a share of all answers.


def _only_bad_is_told(*told: CountsBySlice) -> bool:
    total = total_of(counts for slices in told for counts in slices.values())
    return total.total > 0 and total.total - total.bad <= _STRAY * total.bad


def _among_answers(scored: CountsBySlice, seen: Evidence) -> CountsBySlice:
    answers = seen.outcomes()
    return {
        key: scored.get(key, BinaryCounts()).among(answers.get(key, BinaryCounts())) for key in {**scored, **answers}
    }


def _among_all(scored: ClustersBySlice, answers: ClustersBySlice) -> ClustersBySlice:
    return {key: scored.get(key, ArmClusters()).among(arms) for key, arms in answers.items()}

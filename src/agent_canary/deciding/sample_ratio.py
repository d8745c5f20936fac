"""The finding about who came: are as many users on the canary as its share says?

A mismatch says that the comparison itself cannot be trusted: one version loses its users' answers, or routing and
booking do not agree. Users count once, at first sight ever, and where they were seen first: to count requests would be
wrong, since those of one user all fall on one side.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ..metrics.arms import BinaryCounts, SliceKey
from ..plan import SampleRatio
from ..statistics import log_e_sample_ratio, log_sampling_weight
from . import wording
from .case import Case
from .finding import Finding, FindingStatus
from .pace import RENEWED_AFTER_SECONDS


def judge_sample_ratio(spec: SampleRatio, case: Case) -> Finding:
    """Return the finding; one that is younger than ten seconds is returned as it was."""
    memory, now = case.memory, case.evidence.watermark
    if memory.sample_ratio is not None and abs(now - memory.sample_ratio_at) < RENEWED_AFTER_SECONDS:
        return replace(memory.sample_ratio, role=case.role)
    finding = _judge(spec, case)
    if math.isfinite(now):
        memory.sample_ratio, memory.sample_ratio_at = finding, now
    return finding


def _judge(spec: SampleRatio, case: Case) -> Finding:
    level, strata = _first_seen(case)
    log_e, expected = log_sampling_weight(level), 0.0
    total = BinaryCounts()
    for key, counts in strata.items():
        log_e += log_e_sample_ratio(counts.canary_total, counts.stable_total, key.share)
        expected += key.share * counts.total
        total.merge(counts)
    canary, everyone = total.canary_total, total.total
    if not everyone:
        sentence = f"{spec.name}: no user with a sticky key was first seen at a share below 100 % yet"
        return Finding(spec.name, case.role, FindingStatus.NO_DATA, sentence, alpha=case.alpha)
    log_threshold = math.log(1.0 / case.alpha)
    failed = log_e >= log_threshold
    of = f", a sample of {everyone << level:,}," if level else ""
    return Finding(
        guardrail=spec.name,
        role=case.role,
        status=FindingStatus.FAIL if failed else FindingStatus.INCONCLUSIVE,
        sentence=(
            f"{spec.name}: {wording.percent(canary, everyone)} of {wording.users(everyone)} first seen so far{of} "
            f"were on the canary then ({canary:,}) where the shares say {wording.percent(expected, everyone)}; "
            f"{wording.evidence(log_e, log_threshold)}" + (_WHY if failed else "")
        ),
        stable_total=total.stable_total,
        canary_total=canary,
        stable_users=total.stable_total << level,
        canary_users=canary << level,
        stable_value=expected / everyone,
        canary_value=canary / everyone,
        difference=(canary - expected) / everyone,
        ratio=canary / expected if expected else None,
        log_e_value=log_e,
        log_threshold=log_threshold,
        alpha=case.alpha,
    )


_WHY = ": one version's answers get lost, or are not booked, so that no comparison can be trusted"


def _first_seen(case: Case) -> tuple[int, dict[SliceKey, BinaryCounts]]:
    level, seen = case.evidence.first_seen()
    strata: dict[SliceKey, BinaryCounts] = {}
    for (stage_idx, share, is_canary), units in seen.items():
        if 0.0 < share < 1.0:
            strata.setdefault(SliceKey(stage_idx, share), BinaryCounts()).add(is_canary, units, 0)
    return level, strata

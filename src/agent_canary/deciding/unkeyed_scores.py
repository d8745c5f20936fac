"""Scores of answers without a sticky key: as many independent answers, by their sums in each slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter

from ..metrics.arms import SliceKey
from ..metrics.totals import ScoreSums
from ..plan import Score
from ..statistics import AnswerSums, Contrast, bounded_mean, contrast_of_answers
from .memory import BoundedTest

UnkeyedScores = Mapping[SliceKey, tuple[ScoreSums, ScoreSums]]
"""The canary's and stable's, by stage and share."""


def contrast_of_sums(slices: UnkeyedScores) -> Contrast | None:
    """Return the canary's mean minus stable's; None when no slice has both."""
    return contrast_of_answers([(_answers(canary), _answers(stable)) for _, (canary, stable) in _in_order(slices)])


def log_e_of_bounded(spec: Score, now: UnkeyedScores, memory: BoundedTest) -> float:
    """Return the log evidence of the exact test of bounded means, and bring *memory* up to date.

    What has come since the last analysis is a slice. Scores are mapped to [0, 1], 1 the best.
    """
    if spec.bounds is None:
        raise ValueError(f"score {spec.name!r} has no bounds: the exact test of bounded means needs them")
    low, high = spec.bounds
    for key, both in _in_order(now):
        before = memory.before.get(key, (ScoreSums(), ScoreSums()))
        news = [_since(old, new) for old, new in zip(before, both, strict=True)]
        if all(each.count >= 0 for each in news) and any(each.count for each in news):
            memory.before[key] = both
            canary, stable = (_mapped(each, low, high, spec.higher_is_better) for each in news)
            memory.test = bounded_mean.advance(memory.test, (canary, stable), spec.tolerance / (high - low))
    return memory.test.log_e


def _in_order(slices: UnkeyedScores) -> Iterable[tuple[SliceKey, tuple[ScoreSums, ScoreSums]]]:
    """By stage and share: which worker's totals were read first must not matter."""
    return sorted(slices.items(), key=itemgetter(0))


def _since(before: ScoreSums, now: ScoreSums) -> ScoreSums:
    return ScoreSums(now.count - before.count, now.total - before.total, now.squares - before.squares)


def _mapped(sums: ScoreSums, low: float, high: float, higher_is_better: bool) -> AnswerSums:
    """The sums of (value - low) / (high - low), or of 1 minus that; rounding may not leave [0, 1]."""
    width, count = high - low, sums.count
    total = (sums.total - count * low) / width
    squares = (sums.squares - 2.0 * low * sums.total + count * low * low) / width**2
    if not higher_is_better:
        total, squares = count - total, count - 2.0 * total + squares
    total = min(max(total, 0.0), float(count))
    return AnswerSums(count, total, min(max(squares, 0.0), total))


def _answers(sums: ScoreSums) -> AnswerSums:
    return AnswerSums(sums.count, sums.total, sums.squares)

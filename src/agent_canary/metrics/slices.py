"""The evidence of a stretch of assignment time, as it is counted while its answers come in."""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress
from math import inf
from typing import Protocol

from .arms import Arms, SliceKey
from .clusters import ArmClusters
from .run_totals import FirstRequest, RunTotals
from .totals import Totals
from .watch import Watch

_CLUSTER_OF = bytes(byte & 63 for byte in range(256))
_DIGEST_BYTES, _CLUSTER_BYTE = 16, 4

FAILURES = "failures"


class Reported(Protocol):
    """What only some requests report."""

    first_token_at: float | None
    input_tokens: int
    output_tokens: int
    cost_usd: float
    failure: str | None


class Answer(FirstRequest, Protocol):
    """A routed request that has ended, or has timed out."""

    ended_at: float

    @property
    def digest(self) -> bytes | None: ...
    @property
    def details(self) -> Reported | None: ...


class Slice:
    """The evidence of the assignments of one stretch of time. Not thread-safe: the ledger locks.

    Attributes:
        key: The stage and share that all of them were decided by.
        opened_at: When the first of them can have been assigned, wall seconds.
        watches: The amounts of which answers above a limit are counted.
        arms: Totals of both.
        clusters: Answers and bad ones by metric.
        failing: Units that met a bad answer, by metric and whether on the canary.
        settled: Whether it counts already; what is assigned to it later is no evidence any more.
    """

    __slots__ = ("arms", "clusters", "failing", "key", "opened_at", "settled", "watches")

    def __init__(self, key: SliceKey, opened_at: float, watches: tuple[Watch, ...] = ()) -> None:
        self.key = key
        self.opened_at = opened_at
        self.watches = watches
        self.arms = Arms()
        self.clusters: dict[str, ArmClusters] = {}
        self.failing: dict[tuple[str, bool], array[int]] = {}
        self.settled = False

    def count(
        self,
        answers: Sequence[Answer],
        is_canary: bool,
        latencies: Sequence[float],
        failed: Sequence[Answer],
        totals: Totals,
        run: RunTotals,
        wall_offset: float,
    ) -> None:
        """Add answers of one arm, all of which have a key.

        Args:
            answers: Those that succeeded, failed or timed out.
            is_canary: Which arm.
            latencies: Of each, milliseconds; infinite of those that timed out.
            failed: Those that failed or timed out.
            totals: Of the same answers, and of those that were cancelled.
            run: Where first outcomes are noted.
            wall_offset: Wall time minus the monotonic time of their beginnings, seconds.
        """
        self.arms.of(is_canary).merge(totals)
        if not answers:
            return
        digests = _digests(answers)
        clusters, units = digests[_CLUSTER_BYTE::_DIGEST_BYTES].translate(_CLUSTER_OF), units_of(digests)
        by_cluster = Counter(clusters)
        self._count(FAILURES, is_canary, by_cluster, Counter(_digests(failed)[4::16].translate(_CLUSTER_OF)))
        if failed:
            self._units(FAILURES, is_canary).extend(units_of(_digests(failed)))
        news = run.add_first_outcomes(answers, units, is_canary, wall_offset)
        self._watch_latencies(clusters, by_cluster, is_canary, latencies)
        for watch in self.watches:
            if watch.amount != "latency":
                amounts = [_amount(watch.amount, answer) for answer in answers]
                told = list(compress(zip(clusters, amounts, strict=True), [amount is not None for amount in amounts]))
                limit = watch.limit_of(is_canary)
                above = Counter(cluster for cluster, amount in told if amount is not None and amount > limit)
                self._count(watch.metric, is_canary, Counter(cluster for cluster, _ in told), above)
        if news and self.watches:
            self._watch_firsts(news, is_canary)

    def _watch_latencies(
        self, clusters: bytes, answers: Counter[int], is_canary: bool, latencies: Sequence[float]
    ) -> None:
        """Count what took longer than each limit: of what is above one, the next higher one has to look at less."""
        rising = sorted(
            (watch.limit_of(is_canary), watch.metric) for watch in self.watches if watch.amount == "latency"
        )
        for limit, metric in rising:
            above = [latency > limit for latency in latencies]
            clusters, latencies = bytes(compress(clusters, above)), list(compress(latencies, above))
            self._count(metric, is_canary, answers, Counter(clusters))

    def _watch_firsts(self, news: Sequence[Answer], is_canary: bool) -> None:
        """Note the units whose first answer was above a limit."""
        for watch in self.watches:
            limit = watch.limit_of(is_canary)
            slow = [answer for answer in news if (_amount(watch.amount, answer) or 0.0) > limit]
            if slow:
                self._units(watch.metric, is_canary).extend(units_of(_digests(slow)))

    def settle_into(self, run: RunTotals) -> None:
        """Let it count."""
        self.settled = True
        if self.arms.is_empty:
            return
        run.keyed.setdefault(self.key, Arms()).merge(self.arms)
        for metric, arms in self.clusters.items():
            run.clusters_of(metric, self.key).merge(arms)
        for (metric, is_canary), units in self.failing.items():
            run.add_failing(metric, self.key.share, ((unit, is_canary) for unit in units))

    def _count(self, metric: str, is_canary: bool, answers: Counter[int], bad: Counter[int]) -> None:
        arms = self.clusters.get(metric)
        if arms is None:
            arms = self.clusters[metric] = ArmClusters()
        arms.of(is_canary).count(answers, bad)

    def _units(self, metric: str, is_canary: bool) -> array[int]:
        return self.failing.setdefault((metric, is_canary), array("Q"))


def units_of(digests: bytes) -> Sequence[int]:
    """The units of keys: the last eight of the sixteen bytes of each digest, big-endian."""
    words = array("Q", digests)
    if sys.byteorder == "little":
        words.byteswap()
    return words[1::2]


def _digests(answers: Iterable[Answer]) -> bytes:
    return b"".join([answer.digest for answer in answers if answer.digest is not None])


def _amount(name: str, answer: Answer) -> float | None:
    """What an answer took of an amount; None when it did not tell. What has timed out took longer than any limit."""
    if name == "latency":
        return inf if answer.outcome is None else max(0.0, (answer.ended_at - answer.started_at) * 1e3)
    details = answer.details
    if details is None:
        return None
    if name == "first_token":
        return None if details.first_token_at is None else max(0.0, (details.first_token_at - answer.started_at) * 1e3)
    if name == "cost":
        return details.cost_usd or None
    return details.input_tokens + details.output_tokens or None

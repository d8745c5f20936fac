"""The evidence of a stretch of assignment time, as it is counted while its answers come in."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from itertools import compress

from .answers import Answer, amount_of, clusters_of, digests_of, units_of
from .arms import Arms, SliceKey
from .clusters import ArmClusters, counts_of
from .run_totals import RunTotals
from .totals import Totals
from .watch import Watch

_TALLY_AT = 4096
"""How many clusters wait at most to be counted: to count them takes as long for ten as for a hundred."""

FAILURES = "failures"


class Slice:
    """The evidence of the assignments of one stretch of time. Not thread-safe: the ledger locks.

    Attributes:
        key: The stage and share that all of them were decided by.
        opened_at: When the first of them can have been assigned, wall seconds.
        watches: The amounts of which answers above a limit are counted.
        arms: Totals of both.
        failing: Units that met a bad answer, by metric and whether on the canary.
        settled: Whether it counts already; what is assigned to it later is no evidence any more.
    """

    __slots__ = ("_bad", "_clusters", "_told", "arms", "failing", "key", "opened_at", "settled", "watches")

    def __init__(self, key: SliceKey, opened_at: float, watches: tuple[Watch, ...] = ()) -> None:
        self.key = key
        self.opened_at = opened_at
        self.watches = watches
        self.arms = Arms()
        self.failing: dict[tuple[str, bool], array[int]] = {}
        self.settled = False
        self._clusters: dict[str, ArmClusters] = {}
        # A byte each for the cluster of an answer that tells of a metric, and of a bad one.
        self._told: defaultdict[tuple[str, bool], bytearray] = defaultdict(bytearray)
        self._bad: defaultdict[tuple[str, bool], bytearray] = defaultdict(bytearray)

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
        digests = digests_of(answers)
        clusters, units = clusters_of(digests), units_of(digests)
        all_told = self._told[FAILURES, is_canary]
        all_told += clusters
        if failed:
            digests = digests_of(failed)
            self._bad[FAILURES, is_canary] += clusters_of(digests)
            self._units(FAILURES, is_canary).extend(units_of(digests))
        news = run.add_first_outcomes(answers, units, is_canary, wall_offset)
        if self.watches:
            self._watch_latencies(clusters, is_canary, latencies)
            self._watch_reports(clusters, is_canary, answers)
            if news:
                self._watch_firsts(news, is_canary)
        if len(all_told) > _TALLY_AT:
            self._tally()

    def _watch_latencies(self, clusters: bytes, is_canary: bool, latencies: Sequence[float]) -> None:
        """Note what took longer than each limit: of what is above one, the next higher one has to look at less."""
        rising = sorted(
            (watch.limit_of(is_canary), watch.metric) for watch in self.watches if watch.amount == "latency"
        )
        for limit, metric in rising:
            above = [latency > limit for latency in latencies]
            clusters, latencies = bytes(compress(clusters, above)), list(compress(latencies, above))
            self._bad[metric, is_canary] += clusters

    def _watch_reports(self, clusters: bytes, is_canary: bool, answers: Sequence[Answer]) -> None:
        """Note which answers tell of an amount that not all tell of, and what is above its limit."""
        for watch in self.watches:
            if watch.amount == "latency":
                continue
            amounts = [amount_of(watch.amount, answer) for answer in answers]
            told = [(cluster, amount) for cluster, amount in zip(clusters, amounts, strict=True) if amount is not None]
            limit = watch.limit_of(is_canary)
            self._told[watch.metric, is_canary] += bytes(cluster for cluster, _ in told)
            self._bad[watch.metric, is_canary] += bytes(cluster for cluster, amount in told if amount > limit)

    def _watch_firsts(self, news: Sequence[Answer], is_canary: bool) -> None:
        """Note the units whose first answer was above a limit."""
        for watch in self.watches:
            limit = watch.limit_of(is_canary)
            slow = [answer for answer in news if (amount_of(watch.amount, answer) or 0.0) > limit]
            if slow:
                self._units(watch.metric, is_canary).extend(units_of(digests_of(slow)))

    def settle_into(self, run: RunTotals) -> None:
        """Let it count."""
        self.settled = True
        if self.arms.is_empty:
            return
        self._tally()
        run.keyed.setdefault(self.key, Arms()).merge(self.arms)
        for metric, arms in self._clusters.items():
            run.clusters_of(metric, self.key).merge(arms)
        for (metric, is_canary), units in self.failing.items():
            run.add_failing(metric, self.key.share, ((unit, is_canary) for unit in units))

    def _tally(self) -> None:
        """Count the clusters that wait for it."""
        latencies = [watch.metric for watch in self.watches if watch.amount == "latency"]
        for (metric, is_canary), clusters in self._told.items():
            answers = counts_of(clusters)
            # Every answer took some time, and counts for each limit of it.
            for told in (metric, *latencies) if metric == FAILURES else (metric,):
                bad = counts_of(self._bad.get((told, is_canary), b""))
                self._clusters.setdefault(told, ArmClusters()).of(is_canary).add_counts(answers, bad)
        self._told.clear()
        self._bad.clear()

    def _units(self, metric: str, is_canary: bool) -> array[int]:
        return self.failing.setdefault((metric, is_canary), array("Q"))

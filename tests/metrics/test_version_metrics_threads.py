"""A version's metrics under real threads: exact counts, and snapshots that fit together."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_canary import VersionMetrics
from agent_canary.metrics import Histogram
from agent_canary.metrics import version as version_module
from agent_canary.metrics.totals import Totals
from agent_canary.metrics.window import signed

WRITERS = 8


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads change places all the time, and folds are frequent."""
    monkeypatch.setattr(version_module, "FOLD_AT", 16)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(write: Callable[[int], None], read: Callable[[], object] | None = None) -> None:
    """Run *write* with the numbers of eight threads at once, and *read* again and again until they are through."""
    start, done = threading.Barrier(WRITERS + (read is not None)), threading.Event()
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            start.wait(timeout=10)
            function()
        except BaseException as error:
            errors.append(error)

    def keep_reading() -> None:
        while not done.is_set() and read is not None:
            read()

    writers = [threading.Thread(target=run, args=(lambda number=number: write(number),)) for number in range(WRITERS)]
    readers = [threading.Thread(target=run, args=(keep_reading,))] if read else []
    for thread in [*writers, *readers]:
        thread.start()
    for thread in writers:
        thread.join(timeout=120)
    done.set()
    for thread in readers:
        thread.join(timeout=120)
    assert not errors, errors


def test_eight_threads_count_exactly() -> None:
    """Eight times 50,000 records make 400,000: counts, histogram, sum and window."""
    metrics = VersionMetrics()

    def write(number: int) -> None:
        for turn in range(50_000):
            metrics.record(turn % 10 != 0, float(turn % 100))

    together(write, read=metrics.snapshot)
    assert (metrics.total, metrics.successes, metrics.failures) == (400_000, 360_000, 40_000)
    latency = metrics.totals.latency
    assert (latency.count, latency.zeros, latency.sum) == (400_000, 4_000, 400_000 * 49.5)
    assert latency.buckets == {
        index: 4_000 * count for index, count in Histogram(map(float, range(1, 100))).buckets.items()
    }
    assert 0.8 < metrics.success_rate < 1.0
    assert len(metrics._window._outcomes) == 1000


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("window_seconds", [None, 1e6])
def test_nothing_is_lost_between_a_record_and_a_fold(window_seconds: float | None) -> None:
    """With a fold at every sixteenth record and constant changes of threads, all of them are counted once."""
    metrics = VersionMetrics(window_size=10**6, window_seconds=window_seconds)

    def write(number: int) -> None:
        for turn in range(2_000):
            metrics.record(turn % 4 != 0, float(number * 2_000 + turn + 1))

    together(write, read=lambda: metrics.total)
    assert (metrics.successes, metrics.failures) == (12_000, 4_000)
    assert [metrics.percentile(p) for p in (0.0, 1.0)] == [1.0, 16_000.0]
    assert metrics.totals.latency.sum == sum(range(16_001))
    assert metrics.success_rate == 0.75


@pytest.mark.usefixtures("hurried")
def test_scores_and_what_is_absorbed_are_counted_exactly() -> None:
    """By eight threads while one reads."""
    metrics = VersionMetrics(window_size=10**6)

    def write(number: int) -> None:
        for turn in range(500):
            metrics.score("judge", turn % 2)
            metrics.absorb(
                Totals(succeeded=2, failed=1, input_tokens=5), signed([(True, 1.0), (False, 2.0), (True, 3.0)])
            )
            metrics.record(True, 1.0)

    together(write, read=lambda: metrics.totals)
    totals = metrics.totals
    assert (totals.succeeded, totals.failed, totals.input_tokens) == (12_000, 4_000, 20_000)
    assert (totals.scores["judge"].count, totals.scores["judge"].total) == (4_000, 2_000.0)
    assert metrics.recorded.succeeded == 4_000
    assert metrics.success_rate == 0.75


@pytest.mark.usefixtures("hurried")
def test_snapshots_fit_together_while_threads_write() -> None:
    """Each is of one moment: the window, which holds everything here, has the rate of the counts; nothing goes back."""
    metrics = VersionMetrics(window_size=10**6)
    snapshots: list[dict[str, Any]] = []

    def write(number: int) -> None:
        for turn in range(1_000):
            metrics.record(turn % 5 != 0, 10.0 if turn % 5 else 90.0)

    together(write, read=lambda: snapshots.append(json.loads(json.dumps(metrics.snapshot(), allow_nan=False))))
    snapshots.append(metrics.snapshot())
    assert len(snapshots) > 1
    for snapshot in snapshots:
        assert snapshot["total"] == snapshot["successes"] + snapshot["failures"]
        assert snapshot["success_rate"] == (snapshot["successes"] / snapshot["total"] if snapshot["total"] else 1.0)
        assert snapshot["p50_ms"] <= snapshot["p95_ms"] <= snapshot["p99_ms"] <= 90.0
    counts = [snapshot["total"] for snapshot in snapshots]
    assert counts == sorted(counts)
    assert counts[-1] == 8_000


def test_readers_do_not_hinder_each_other() -> None:
    """Eight threads that read everything at once all see the same."""
    metrics = VersionMetrics()
    for latency in range(501):
        metrics.record(True, float(latency))
    seen: list[tuple[Any, ...]] = []

    def read(number: int) -> None:
        seen.extend(
            (metrics.total, metrics.success_rate, metrics.p99_ms, metrics.snapshot()["total"]) for _ in range(20)
        )

    together(read)
    assert set(seen) == {(501, 1.0, 495.0, 501)}

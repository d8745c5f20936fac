"""A version's metrics: the original's names, lifetime counts beside a rolling window, and bounded memory."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import VersionMetrics
from agent_canary.metrics import Histogram
from agent_canary.metrics import version as version_module
from agent_canary.metrics.totals import MAX_SCORE_NAMES, ScoreSums, Totals
from agent_canary.metrics.version import FOLD_AT
from agent_canary.metrics.window import percentile, signed
from agent_canary.testing import ManualClock

PAIRS = st.lists(st.tuples(st.booleans(), st.floats(0.0, 1e9)), max_size=40)


def recorded(pairs: list[tuple[bool, float]], window_size: int = 1000) -> VersionMetrics:
    """Metrics of outcomes that were recorded one by one."""
    metrics = VersionMetrics(window_size)
    for success, latency_ms in pairs:
        metrics.record(success, latency_ms)
    return metrics


def test_empty_metrics_are_a_success() -> None:
    """As in the original: nothing counted, a success rate of 1.0 and percentiles of 0.0."""
    metrics = VersionMetrics()
    assert (metrics.total, metrics.successes, metrics.failures) == (0, 0, 0)
    assert metrics.success_rate == 1.0
    assert [metrics.p50_ms, metrics.p95_ms, metrics.p99_ms, metrics.percentile(0.0)] == [0.0] * 4
    assert metrics.window_size == 1000
    assert metrics.window_seconds is None


@given(PAIRS, st.integers(1, 20))
def test_counts_are_of_the_lifetime_and_rates_of_the_window(pairs: list[tuple[bool, float]], size: int) -> None:
    """Totals count everything; success rate and percentiles are exact over the last *window_size* outcomes."""
    metrics, last = recorded(pairs, size), pairs[-size:]
    assert metrics.total == len(pairs)
    assert metrics.successes == sum(success for success, _ in pairs)
    assert metrics.failures == len(pairs) - metrics.successes
    assert metrics.success_rate == (sum(success for success, _ in last) / len(last) if last else 1.0)
    for p in (0.0, 0.25, 0.5, 0.95, 1.0):
        assert metrics.percentile(p) == percentile(sorted(latency for _, latency in last), p)


def test_the_window_sees_an_outage_that_the_lifetime_hides() -> None:
    """10,000 successes and then 500 failures in a window of 1,000: the rate is a half, not 0.95."""
    metrics = recorded([(True, 10.0)] * 10_000 + [(False, 20.0)] * 500)
    assert (metrics.total, metrics.successes, metrics.failures) == (10_500, 10_000, 500)
    assert metrics.success_rate == 0.5
    assert (metrics.p50_ms, metrics.p95_ms, metrics.p99_ms) == (15.0, 20.0, 20.0)


def test_the_named_percentiles_are_those_of_the_window() -> None:
    """p50, p95 and p99 of 0 to 1,000 ms."""
    metrics = recorded([(True, float(latency)) for latency in range(1001)], window_size=2000)
    assert (metrics.p50_ms, metrics.p95_ms, metrics.p99_ms) == (500.0, 950.0, 990.0)
    assert metrics.percentile(p=0.1) == 100.0


def test_a_failure_counts_its_latency_too() -> None:
    """A timeout after a minute is in the percentiles, and a failure after no time is still a failure."""
    metrics = recorded([(False, 60_000.0), (False, 0.0)])
    assert (metrics.failures, metrics.success_rate) == (2, 0.0)
    assert (metrics.percentile(0.0), metrics.percentile(1.0)) == (0.0, 60_000.0)
    assert metrics.totals.latency == Histogram([60_000.0, 0.0])


@given(PAIRS)
def test_the_histogram_holds_every_latency(pairs: list[tuple[bool, float]]) -> None:
    """Of successes and failures alike, over the whole life."""
    latency = recorded(pairs, window_size=1).totals.latency
    expected = Histogram([latency for _, latency in pairs])
    assert (latency.buckets, latency.zeros) == (expected.buckets, expected.zeros)
    assert latency.sum == pytest.approx(expected.sum)


@pytest.mark.parametrize(
    "latency_ms",
    [float("nan"), float("inf"), -float("inf"), -0.001, -5e-324, -1, "12", None, True, 1j, 10**400],
    ids=repr,
)
def test_a_latency_that_is_no_number_of_milliseconds_is_refused(latency_ms: Any) -> None:
    """For successes and failures; the error names parameter, range and value, and nothing is counted."""
    metrics = VersionMetrics()
    for success in (True, False):
        with pytest.raises(ValueError, match="latency_ms must be a finite number >= 0, got") as caught:
            metrics.record(success, latency_ms)
        assert str(caught.value).endswith(repr(latency_ms))
    assert (metrics.total, metrics.totals) == (0, Totals())


@pytest.mark.parametrize("success", [None, "yes", 2, -1, 0.5, float("nan"), []], ids=repr)
def test_a_success_that_is_no_yes_or_no_is_refused(success: Any) -> None:
    """A rating instead of a bool is a plausible mistake; nothing is counted."""
    metrics = VersionMetrics()
    with pytest.raises(ValueError, match="success must be True or False, got"):
        metrics.record(success, 1.0)
    assert metrics.total == 0


def test_numbers_of_other_types_are_understood() -> None:
    """Integers for milliseconds, 0 and 1 for success, and NumPy's own; the snapshot stays plain JSON."""
    numpy = pytest.importorskip("numpy")
    metrics = VersionMetrics()
    for success, latency_ms in [
        (1, 3),
        (0, 5),
        (numpy.bool_(True), numpy.float32(7)),
        (numpy.bool_(False), numpy.int64(9)),
    ]:
        metrics.record(success, latency_ms)
    assert (metrics.successes, metrics.failures) == (2, 2)
    assert [metrics.percentile(p) for p in (0.0, 1 / 3, 2 / 3, 1.0)] == pytest.approx([3.0, 5.0, 7.0, 9.0])
    assert type(metrics.percentile(1.0)) is float
    assert json.loads(json.dumps(metrics.snapshot()))["total"] == 4
    assert json.loads(json.dumps(metrics.totals.to_json()))["latency"]["sum"] == 24.0


@pytest.mark.parametrize("p", [-0.01, 1.01, 95, float("nan")])
def test_a_percentile_outside_of_zero_to_one_is_refused(p: float) -> None:
    """95 for 95 % is a mistake, also while nothing is recorded."""
    for metrics in (VersionMetrics(), recorded([(True, 1.0)])):
        with pytest.raises(ValueError, match=r"p must be a number in \[0, 1\], got"):
            metrics.percentile(p)


@pytest.mark.parametrize("window_size", [0, -1, 1.5, "10", None, True])
def test_a_window_size_that_is_no_positive_integer_is_refused(window_size: Any) -> None:
    """The error names parameter, range and value."""
    with pytest.raises(ValueError, match="window_size must be an integer >= 1, got"):
        VersionMetrics(window_size)


@pytest.mark.parametrize("window_seconds", [0.0, -1.0, float("nan"), float("inf"), "60", timedelta(0), timedelta(-1)])
def test_a_window_age_that_is_not_positive_is_refused(window_seconds: Any) -> None:
    """A window of no time would be empty for ever."""
    with pytest.raises(
        ValueError, match=r"window_seconds must be (finite seconds >= 0 or a timedelta|a finite number > 0), got"
    ):
        VersionMetrics(window_seconds=window_seconds)


def test_a_clock_that_is_none_is_refused() -> None:
    """At construction, not at the first request."""
    wrong: Any = 5
    with pytest.raises(ValueError, match="clock must be a Clock"):
        VersionMetrics(clock=wrong)


def test_a_window_by_time_forgets_what_is_too_old() -> None:
    """Rates and percentiles are of the last minute; the counts stay."""
    clock = ManualClock()
    metrics = VersionMetrics(window_seconds=timedelta(minutes=1), clock=clock)
    assert metrics.window_seconds == 60.0
    metrics.record(False, 500.0)
    clock.advance(40.0)
    metrics.record(True, 100.0)
    assert (metrics.success_rate, metrics.percentile(1.0)) == (0.5, 500.0)
    clock.advance(20.0)
    assert metrics.success_rate == 0.5, "exactly a minute old is not too old"
    clock.advance(0.5)
    assert (metrics.success_rate, metrics.percentile(1.0)) == (1.0, 100.0)
    assert metrics.snapshot()["p99_ms"] == 100.0
    clock.advance(60.0)
    assert (metrics.success_rate, metrics.p50_ms) == (1.0, 0.0)
    assert (metrics.total, metrics.failures, metrics.totals.latency.count) == (2, 1, 2)


def test_a_window_by_time_is_bounded_by_number_too() -> None:
    """Whatever the traffic."""
    metrics = VersionMetrics(2, window_seconds=60.0, clock=ManualClock())
    for latency in (1.0, 2.0, 3.0):
        metrics.record(True, latency)
    assert (metrics.percentile(0.0), metrics.percentile(1.0)) == (2.0, 3.0)


def test_outcomes_are_stamped_when_they_are_recorded() -> None:
    """Not when they are folded: nobody may read for long."""
    clock = ManualClock()
    metrics = VersionMetrics(window_seconds=10.0, clock=clock)
    metrics.record(False, 1.0)
    clock.advance(11.0)
    metrics.record(True, 1.0)
    assert metrics.success_rate == 1.0


def test_scores_are_summed_by_name() -> None:
    """Yes and no, ratings and judges' marks, shown with number and mean."""
    metrics = VersionMetrics()
    for value in (True, False, 1, 0.5):
        metrics.score("judge", value)
    metrics.score("length", 1200)
    assert metrics.totals.scores == {"judge": ScoreSums(4, 2.5, 2.25), "length": ScoreSums(1, 1200.0, 1_440_000.0)}
    assert metrics.snapshot()["scores"] == {
        "judge": {"count": 4, "mean": 0.625},
        "length": {"count": 1, "mean": 1200.0},
    }
    assert metrics.total == 0


def test_scores_of_recorded_answers_are_among_what_was_recorded() -> None:
    """Those of assignments are not: who judges answers without a key must not count an answer twice."""
    metrics = VersionMetrics()
    metrics.record(True, 5.0)
    metrics.record_score("judge", 0.5)
    metrics.score("judge", 1.0)
    metrics.record_score("judge", True)
    metrics.record_score("length", 3)
    assert metrics.recorded.scores == {"judge": ScoreSums(2, 1.5, 1.25), "length": ScoreSums(1, 3.0, 9.0)}
    assert metrics.totals.scores == {"judge": ScoreSums(3, 2.5, 2.25), "length": ScoreSums(1, 3.0, 9.0)}
    assert (metrics.recorded.total, metrics.total) == (1, 1)


@pytest.mark.parametrize(
    ("name", "value"), [("", 1.0), (None, 1.0), ("judge", float("nan")), ("judge", "good"), ("judge", None)]
)
def test_a_score_that_is_no_number_with_a_name_is_refused(name: Any, value: Any) -> None:
    """Where it enters, and nothing is counted."""
    metrics = VersionMetrics()
    for refuse in (metrics.score, metrics.record_score):
        with pytest.raises(ValueError, match=r"name must be|score 'judge' must be"):
            refuse(name, value)
    assert metrics.totals == Totals()


def test_names_of_scores_are_bounded() -> None:
    """Names made from data cannot fill the memory; known names go on."""
    metrics = VersionMetrics()
    for number in range(MAX_SCORE_NAMES):
        metrics.score(f"score {number}", 1.0)
    for refuse in (metrics.score, metrics.record_score):
        with pytest.raises(ValueError, match="name must be one of at most 64 names of scores, got one more: 'another'"):
            refuse("another", 1.0)
    metrics.record_score("score 0", 1.0)
    assert len(metrics.totals.scores) == MAX_SCORE_NAMES
    assert metrics.totals.scores["score 0"].count == 2


def test_what_an_owner_counted_is_absorbed() -> None:
    """Totals are added, outcomes come into the window, and neither counts as recorded."""
    metrics = recorded([(True, 1.0)])
    seen = Totals(2, 1, cancelled=3, timed_out=1, latency=Histogram([5.0, 6.0, 7.0]), input_tokens=10, cost_usd=0.5)
    metrics.absorb(seen, signed([(True, 5.0), (False, 6.0), (True, 7.0)]))
    assert (metrics.total, metrics.successes, metrics.failures) == (4, 3, 1)
    assert metrics.success_rate == 0.75
    assert metrics.percentile(1.0) == 7.0
    assert metrics.totals.latency == Histogram([1.0, 5.0, 6.0, 7.0])
    assert (metrics.totals.cancelled, metrics.totals.timed_out, metrics.totals.input_tokens) == (3, 1, 10)
    assert metrics.recorded == Totals(succeeded=1, latency=Histogram([1.0]))


def test_what_was_absorbed_ages_too() -> None:
    """From when it was given."""
    clock = ManualClock()
    metrics = VersionMetrics(window_seconds=10.0, clock=clock)
    metrics.absorb(Totals(failed=1), signed([(False, 5.0)]))
    clock.advance(6.0)
    metrics.absorb(Totals(succeeded=1), [5.0])
    assert metrics.success_rate == 0.5
    clock.advance(6.0)
    assert metrics.success_rate == 1.0


def test_an_owner_is_asked_before_every_read() -> None:
    """So that what it holds is in what is read; recording and scoring ask nobody."""
    metrics = VersionMetrics()
    asked: list[int] = []

    def give() -> None:
        asked.append(1)
        metrics.absorb(Totals(succeeded=1), [2.0])

    metrics.on_read = give
    metrics.record(True, 1.0)
    metrics.score("judge", 1.0)
    assert asked == []
    assert [metrics.total, metrics.successes, metrics.failures] == [2, 3, 0]
    for read in ("totals", "recorded", "success_rate", "p50_ms", "p95_ms", "p99_ms"):
        asked.clear()
        getattr(metrics, read)
        assert asked == [1], read
    asked.clear()
    metrics.percentile(0.5)
    metrics.snapshot()
    assert asked == [1, 1]
    assert metrics.total == 13, "one record, and one more at each of twelve reads"


def test_totals_and_recorded_are_copies() -> None:
    """What a caller does with them changes nothing."""
    metrics = recorded([(True, 1.0)])
    metrics.totals.succeeded = 99
    metrics.totals.latency.record_many([5.0])
    metrics.recorded.latency.record_many([5.0])
    assert metrics.totals == metrics.recorded == Totals(succeeded=1, latency=Histogram([1.0]))


def test_a_snapshot_holds_everything_as_json() -> None:
    """Counts of the lifetime, rates of the window, and what requests reported."""
    metrics = recorded([(True, 100.0), (False, 300.0)])
    metrics.score("judge", 0.5)
    metrics.absorb(
        Totals(cancelled=1, first_token=Histogram([64.0]), input_tokens=7, output_tokens=3, cost_usd=0.25), []
    )
    snapshot = metrics.snapshot()
    assert json.loads(json.dumps(snapshot, allow_nan=False)) == snapshot
    first_token = pytest.approx(64.0, rel=0.0055)
    assert snapshot == {
        "total": 2,
        "successes": 1,
        "failures": 1,
        "cancelled": 1,
        "timed_out": 0,
        "success_rate": 0.5,
        "p50_ms": 200.0,
        "p95_ms": pytest.approx(290.0),
        "p99_ms": pytest.approx(298.0),
        "first_token_p50_ms": first_token,
        "first_token_p95_ms": first_token,
        "scores": {"judge": {"count": 1, "mean": 0.5}},
        "input_tokens": 7,
        "output_tokens": 3,
        "cost_usd": 0.25,
    }


def test_an_empty_snapshot_is_json_too() -> None:
    """Without a NaN or an infinity."""
    assert json.loads(json.dumps(VersionMetrics().snapshot(), allow_nan=False))["success_rate"] == 1.0


def test_memory_is_bounded_while_nobody_reads() -> None:
    """Writers fold by themselves: what waits stays below what is folded at once, and the window below its size."""
    metrics, timed = VersionMetrics(50), VersionMetrics(50, window_seconds=5.0, clock=ManualClock())
    scored, absorbing = VersionMetrics(50), VersionMetrics(50)
    for number in range(4 * FOLD_AT):
        metrics.record(number % 3 != 0, float(number))
        timed.record(number % 3 != 0, float(number))
        scored.score("judge", number)
        absorbing.absorb(Totals(succeeded=1), [1.0])
        assert len(metrics._pending) <= FOLD_AT
        assert max(len(timed._stamped), len(scored._scored)) < FOLD_AT
        assert len(absorbing._absorbed) < 16
    assert len(metrics._window._outcomes) == len(timed._window._outcomes) == len(timed._window._stamps) == 50
    assert metrics.total == timed.total == absorbing.total == 4 * FOLD_AT
    assert metrics.failures == timed.failures == math.ceil(4 * FOLD_AT / 3)
    assert scored.totals.scores["judge"].count == 4 * FOLD_AT


def test_a_writer_does_not_wait_for_a_reader() -> None:
    """While a reader holds the lock, every record returns; nothing is lost."""
    metrics = VersionMetrics()
    with metrics._lock:
        for _ in range(FOLD_AT + 100):
            metrics.record(True, 1.0)
        assert len(metrics._pending) == FOLD_AT + 100
    metrics.record(True, 1.0)
    assert metrics._pending == []
    metrics.record(True, 1.0)
    assert metrics._pending == [1.0], "the next fold comes after as many records again"
    assert metrics.total == FOLD_AT + 102


def test_a_writer_yields_to_a_fold_that_falls_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """From very many waiting records on it waits for up to a millisecond, so that memory stays bounded."""
    asked: list[float] = []

    class Busy:
        def acquire(self, timeout: float) -> bool:
            asked.append(timeout)
            return False

    monkeypatch.setattr(version_module, "FOLD_AT", 2)
    monkeypatch.setattr(version_module, "CROWDED_AT", 5)
    metrics = VersionMetrics()
    monkeypatch.setattr(metrics, "_lock", Busy())
    for _ in range(6):
        metrics.record(True, 1.0)
    assert asked == [0.0, 0.0, 0.001, 0.001]


def test_what_arrives_during_a_fold_waits_for_the_next_one() -> None:
    """Only what was copied is taken out of the list."""

    class Busy(list[float]):
        def __getitem__(self, index: Any) -> Any:
            copied = super().__getitem__(index)
            self.append(99.0)
            return copied

    waiting = Busy([1.0, 2.0])
    assert version_module._take(waiting) == [1.0, 2.0]
    assert list(waiting) == [99.0]


def test_usage_is_added_up() -> None:
    """Tokens and dollars, beside the outcomes; what is no amount is refused and nothing of it is booked."""
    metrics = VersionMetrics()
    metrics.usage(input_tokens=7, cost_usd=0.5)
    metrics.usage(output_tokens=3)
    for wrong in ({"input_tokens": -1}, {"output_tokens": 1.5}, {"input_tokens": 1, "cost_usd": float("nan")}):
        with pytest.raises(ValueError, match=next(reversed(wrong))):
            metrics.usage(**wrong)
    snapshot = metrics.snapshot()
    assert (snapshot["input_tokens"], snapshot["output_tokens"], snapshot["cost_usd"]) == (7, 3, 0.5)
    assert snapshot["total"] == 0

"""The ledger: what is judged, when it may be, and that nothing is lost or counted twice."""

from __future__ import annotations

import itertools
import threading

import pytest

from agent_canary.metrics import Histogram
from agent_canary.metrics.arms import Arms, BinaryCounts, CountsBySlice
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.histogram import bound_of, upper_bound_of
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.metrics.totals import Totals
from agent_canary.metrics.watch import Watch
from agent_canary.metrics.window import signed
from tests.metrics.desk import CANCELLED, FAILED, HERE, HORIZON, SUCCEEDED, THERE, Desk, Request, Told, Traffic


def outcomes_of(totals: RunTotals) -> CountsBySlice:
    """Failures by slice, as an analysis sees them."""
    return Evidence([totals], totals.run).outcomes()


@pytest.fixture
def desk() -> Desk:
    """An empty one."""
    return Desk()


def test_what_has_ended_counts_when_its_slice_is_over(desk: Desk) -> None:
    """Both arms of a finished slice count at once, by stage and share, with their failing units."""
    desk.serve(1, is_canary=True)
    desk.serve(2, is_canary=True, outcome=FAILED)
    desk.serve(3, outcome=FAILED)
    desk.ledger.settle()
    assert desk.ledger.snapshot().keyed == {}
    totals = desk.settle()
    assert outcomes_of(totals)[HERE].to_json() == [2, 1, 1, 1]
    assert dict(totals.failing["failures"].items()) == {2: (0.0, 0.05), 3: (0.05, None)}
    assert [
        (arm.latency.count, round(arm.latency.sum)) for arm in (totals.keyed[HERE].canary, totals.keyed[HERE].stable)
    ] == [
        (2, 200),
        (1, 100),
    ]


def test_an_open_request_of_either_arm_holds_both_arms_back(desk: Desk) -> None:
    """The arm that answers sooner must not be judged sooner."""
    desk.serve(1, is_canary=True, outcome=FAILED)
    open_one = desk.begin(2, is_canary=False)
    assert desk.settle().keyed == {}
    assert desk.settle().failing == {}
    desk.end(open_one, FAILED)
    assert outcomes_of(desk.settle())[HERE].to_json() == [1, 1, 1, 1]


def test_a_later_slice_waits_for_the_ones_before_it(desk: Desk) -> None:
    """Slices count in the order of their time, so that none overtakes an open one."""
    open_one = desk.begin(1)
    desk.cut()
    desk.serve(2, is_canary=True)
    desk.cut()
    assert desk.settle().keyed == {}
    assert desk.ledger.pending_slices == 4
    desk.end(open_one)
    assert outcomes_of(desk.settle())[HERE].to_json() == [1, 0, 1, 0]
    assert desk.ledger.pending_slices == 1


def test_the_watermark_is_the_time_before_which_nothing_is_open(desk: Desk) -> None:
    """It is where the oldest slice that does not count began, and never goes back."""
    begun = desk.clock.wall()
    assert desk.ledger.snapshot().watermark == begun
    open_one = desk.begin(1)
    desk.settle()
    assert desk.settle().watermark == begun
    desk.end(open_one)
    totals = desk.settle()
    assert totals.watermark == desk.clock.wall() == desk.ledger.current.opened_at
    assert totals.watermark > begun


def test_a_request_that_never_ends_counts_as_failed_at_the_horizon(desk: Desk) -> None:
    """A hanging canary does not hide: it has timed out, after the horizon's latency, and its unit failed."""
    desk.begin(1, is_canary=True)
    desk.serve(2)
    desk.cut()
    desk.clock.advance(HORIZON - 3.0)
    assert desk.settle().keyed == {}
    desk.clock.advance(3.0)
    totals = desk.settle()
    arms = totals.keyed[HERE]
    assert arms.canary == Totals(failed=1, timed_out=1, latency=Histogram([HORIZON * 1000.0]))
    assert (arms.stable.succeeded, arms.stable.failed) == (1, 0)
    assert dict(totals.failing["failures"].items()) == {1: (0.0, 0.05)}
    assert totals.first.get(1) == (1_000_000.0, 1, 0.05, True, True, True)
    assert desk.booked[-1][2] == signed([(False, HORIZON * 1000.0)])
    assert desk.ledger.open_count == 0


def test_an_end_after_the_horizon_changes_nothing(desk: Desk) -> None:
    """The request has been counted already."""
    late = desk.begin(1, is_canary=True)
    desk.clock.advance(HORIZON + 1.0)
    before = desk.settle()
    desk.end(late, SUCCEEDED)
    after = desk.settle()
    assert after.keyed == before.keyed
    assert after.first == before.first
    assert (desk.sums().total, desk.sums().failed, desk.sums().timed_out) == (1, 1, 1)


def test_a_request_of_exactly_the_horizons_age_is_still_open(desk: Desk) -> None:
    """Older than the horizon, not as old."""
    desk.begin(1)
    desk.clock.advance(HORIZON)
    desk.ledger.fold()
    assert (desk.ledger.open_count, desk.booked) == (1, [])


def test_slices_are_cut_where_the_share_changes(desk: Desk) -> None:
    """What was assigned at a share is compared at that share, however late it ends."""
    late = desk.begin(1, is_canary=True)
    assert desk.cut(THERE).key == THERE
    desk.serve(2, is_canary=True)
    desk.end(late, FAILED, after=5.0)
    totals = desk.settle()
    assert {key: counts.to_json() for key, counts in outcomes_of(totals).items()} == {
        HERE: [1, 1, 0, 0],
        THERE: [1, 0, 0, 0],
    }
    assert dict(totals.failing["failures"].items()) == {1: (0.0, 0.05)}


def test_a_cut_begins_a_new_slice_at_its_time(desk: Desk) -> None:
    """Of the same share too, so that what has ended can count."""
    first = desk.ledger.current
    second = desk.cut()
    assert first is not second
    assert (second.key, second.opened_at) == (HERE, desk.clock.wall())
    assert desk.ledger.current is second


def test_open_slices_are_bounded(desk: Desk) -> None:
    """While nothing can settle, ticks add no slices without end; a change of the share still does."""
    desk.begin(1)
    for _ in range(300):
        desk.cut()
    assert desk.ledger.pending_slices == 128
    kept = desk.ledger.current
    assert desk.cut() is kept
    changed = desk.cut(THERE)
    assert (changed.key, desk.ledger.pending_slices) == (THERE, 129)


def test_cancelled_requests_are_neither_success_nor_failure(desk: Desk) -> None:
    """They count as cancelled, have no latency, no failing unit and no first outcome."""
    desk.serve(1, is_canary=True, outcome=CANCELLED)
    totals = desk.settle()
    assert totals.keyed[HERE].canary == Totals(cancelled=1)
    assert totals.failing == {}
    assert len(totals.first) == 0
    assert [window for _, _, window in desk.booked] == [[]]


def test_outcomes_are_booked_in_order(desk: Desk) -> None:
    """The rolling window sees them as they were assigned, with their latencies."""
    outcomes = [SUCCEEDED, FAILED, SUCCEEDED, CANCELLED, FAILED]
    requests = [desk.begin(number) for number in range(5)]
    for request, outcome in zip(requests, outcomes, strict=True):
        desk.end(request, outcome, after=1.0)
    desk.ledger.fold()
    [(first, totals, window)] = desk.booked
    assert first is requests[0]
    assert window == signed([(True, 1000.0), (False, 2000.0), (True, 3000.0), (False, 5000.0)])
    assert (totals.succeeded, totals.failed, totals.cancelled) == (2, 2, 1)
    assert (totals.latency.count, totals.latency.sum) == (4, 11_000.0)


def test_arms_are_booked_apart(desk: Desk) -> None:
    """Each booking is of one arm."""
    for number in range(6):
        desk.serve(number, is_canary=number % 2 == 0)
    desk.ledger.fold()
    assert sorted((entry.is_canary, totals.succeeded) for entry, totals, _ in desk.booked) == [(False, 3), (True, 3)]


def test_requests_that_were_not_randomised_are_no_evidence(desk: Desk) -> None:
    """Overrides and cohorts are served and booked; only the others of the same slice are judged."""
    desk.serve(1, is_canary=True, outcome=FAILED, is_evidence=False)
    desk.serve(2, is_canary=True)
    desk.serve(None, is_evidence=False)
    totals = desk.settle()
    assert totals.keyed == {HERE: Arms(canary=totals.keyed[HERE].canary)}
    assert (totals.keyed[HERE].canary.succeeded, totals.keyed[HERE].canary.failed) == (1, 0)
    assert totals.keyed[HERE].canary.latency.count == 1
    assert list(totals.first) == [2]
    assert totals.failing == {}
    assert (desk.sums().succeeded, desk.sums().failed) == (2, 1)


def test_an_open_request_that_is_no_evidence_holds_nothing_back(desk: Desk) -> None:
    """A hanging tester delays no verdict; it times out in the metrics alone."""
    desk.begin(1, is_canary=True, is_evidence=False)
    desk.serve(2)
    assert outcomes_of(desk.settle())[HERE].to_json() == [0, 0, 1, 0]
    desk.clock.advance(HORIZON + 1.0)
    assert outcomes_of(desk.settle())[HERE].to_json() == [0, 0, 1, 0]
    assert desk.sums().timed_out == 1


def test_requests_of_another_run_are_left_out(desk: Desk) -> None:
    """What was assigned before a restart of the rollout is not booked to the new run, ended or not."""
    desk.traffic = Traffic(7, desk.traffic.slice)
    desk.serve(1, is_canary=True, outcome=FAILED)
    desk.begin(2, is_canary=True)
    desk.clock.advance(HORIZON + 1.0)
    desk.traffic = Traffic(1, desk.ledger.current)
    assert desk.settle().keyed == {}
    assert (desk.booked, desk.ledger.open_count) == ([], 0)


def test_what_arrives_for_a_settled_slice_is_no_evidence(desk: Desk) -> None:
    """A request that was decided before the cut and pushed after it is seen, and cannot change what was judged."""
    before = desk.traffic
    desk.serve(1)
    totals = desk.settle()
    desk.traffic = before
    desk.serve(2, is_canary=True, outcome=FAILED)
    desk.begin(3, is_canary=True)
    desk.clock.advance(HORIZON + 1.0)
    after = desk.settle()
    assert (after.keyed, after.failing, after.first) == (totals.keyed, totals.failing, totals.first)
    assert desk.sums().failed == 2


def test_an_empty_slice_leaves_no_trace(desk: Desk) -> None:
    """Ticks without traffic do not fill the totals."""
    for _ in range(5):
        desk.settle()
    assert desk.ledger.snapshot() == RunTotals(1, desk.clock.wall())


def test_first_outcomes_are_of_the_first_request(desk: Desk) -> None:
    """A unit that failed first and then succeeded has failed, in whatever order the requests end."""
    first, second = desk.begin(1, is_canary=True), desk.begin(1, is_canary=True)
    second.started_at += 1.0
    desk.end(second, SUCCEEDED, after=1.5)
    desk.ledger.fold()
    desk.end(first, FAILED, after=1.0)
    desk.ledger.fold()
    assert desk.ledger.totals.first.get(1) == (first.started_at, 1, 0.05, True, True, True)


def test_failures_are_counted_by_reason_and_arm(desk: Desk) -> None:
    """Given reasons, plain failures and timeouts, for each arm."""
    desk.serve(1, is_canary=True, outcome=FAILED, details=Told(failure="TimeoutError"))
    desk.serve(2, is_canary=True, outcome=FAILED, details=Told(failure="TimeoutError"))
    desk.serve(3, is_canary=True, outcome=FAILED)
    desk.serve(4, outcome=FAILED, details=Told(input_tokens=1))
    desk.serve(5, details=Told(failure="unused"))
    desk.begin(6)
    desk.clock.advance(HORIZON + 1.0)
    desk.ledger.fold()
    assert desk.ledger.failure_reasons == {
        True: {"TimeoutError": 2, "failed": 1},
        False: {"failed": 1, "timed out": 1},
    }


def test_reasons_are_bounded(desk: Desk) -> None:
    """Texts made from data cannot fill the memory; known reasons are counted on."""
    for number in range(200):
        desk.serve(number, outcome=FAILED, details=Told(failure=f"reason {number}"))
    desk.serve(1, outcome=FAILED, details=Told(failure="reason 0"))
    desk.ledger.fold()
    reasons = desk.ledger.failure_reasons[False]
    assert len(reasons) == 50
    assert reasons["reason 0"] == 2


def test_reports_of_requests_are_summed(desk: Desk) -> None:
    """Tokens and cost of all, cancelled ones included; first tokens from assignment on."""
    start = desk.clock.monotonic()
    desk.serve(1, details=Told(start + 0.05, input_tokens=10, output_tokens=5, cost_usd=0.5))
    desk.serve(2, details=Told(None, input_tokens=20, output_tokens=0, cost_usd=0.25))
    desk.serve(3, outcome=CANCELLED, details=Told(None, input_tokens=1, output_tokens=1, cost_usd=0.0))
    desk.serve(4)
    totals = desk.settle().keyed[HERE].stable
    assert (totals.input_tokens, totals.output_tokens, totals.cost_usd) == (31, 6, 0.75)
    assert (totals.first_token.count, round(totals.first_token.sum)) == (1, 50)
    assert (totals.cost.count, totals.cost.sum) == (2, 750_000.0)
    assert (totals.tokens.count, totals.tokens.sum) == (3, 37.0)


def test_a_clock_that_goes_back_makes_no_negative_time(desk: Desk) -> None:
    """A request that ends, or whose first token comes, before it began took no time; the others keep theirs."""
    start = desk.clock.monotonic()
    requests = [desk.begin(unit, details=Told(first_token_at=start - 0.5)) for unit in range(3)]
    for request, outcome, ended_at in zip(requests, (SUCCEEDED, FAILED, SUCCEEDED), (-2.0, -1.0, 3.0), strict=True):
        request.outcome, request.ended_at = outcome, start + ended_at
    desk.ledger.fold()
    [(_, totals, window)] = desk.booked
    assert window == signed([(True, 0.0), (False, 0.0), (True, 3000.0)])
    assert totals.latency == Histogram([0.0, 0.0, 3000.0])
    assert totals.first_token == Histogram([0.0, 0.0, 0.0])


def test_first_outcomes_are_noted_in_wall_time(desk: Desk) -> None:
    """Which all workers share, whatever their monotonic clocks."""
    desk.traffic = Traffic(1, desk.ledger.current, wall_offset=500.0)
    request = desk.serve(1, is_canary=True)
    desk.ledger.fold()
    assert desk.ledger.totals.first.get(1) == (request.started_at + 500.0, 1, 0.05, True, False, True)


def test_traffic_without_a_key_counts_at_once(desk: Desk) -> None:
    """A record has no open time; it is added to its arm, and to the slice in force."""
    totals = Totals(succeeded=3)
    desk.ledger.add_unkeyed(True, totals)
    desk.ledger.add_unkeyed(True, Totals(failed=1))
    desk.ledger.add_unkeyed(False, Totals(succeeded=5))
    desk.cut(THERE)
    desk.ledger.add_unkeyed(False, Totals(succeeded=7))
    assert desk.ledger.snapshot().unkeyed == {
        HERE: Arms(Totals(succeeded=5), Totals(succeeded=3, failed=1)),
        THERE: Arms(Totals(succeeded=7)),
    }
    assert desk.ledger.snapshot().unkeyed_counts == {}
    assert totals == Totals(succeeded=3)


def test_latencies_without_a_key_are_counted_above_the_limit_in_force(desk: Desk) -> None:
    """Each arm above its own limit, a histogram's bound; of other amounts nothing is known without a key."""
    slow, fast = upper_bound_of(bound_of(100.0)), upper_bound_of(bound_of(40.0))
    watches = (Watch("latency_p95", "latency", fast, slow), Watch("cost_p95", "cost", 0.0, 0.0))
    answers = Totals(succeeded=4, latency=Histogram([fast, fast * 1.02, slow, slow * 1.02]))
    desk.ledger.add_unkeyed(True, answers)
    desk.cut(HERE, watches)
    desk.ledger.add_unkeyed(True, answers)
    desk.ledger.add_unkeyed(False, answers)
    desk.cut(THERE, watches)
    desk.ledger.add_unkeyed(False, answers)
    counts = desk.ledger.snapshot().unkeyed_counts
    assert counts == {"latency_p95": {HERE: BinaryCounts(4, 1, 4, 3), THERE: BinaryCounts(0, 0, 4, 3)}}


def test_others_may_add_to_what_counts(desk: Desk) -> None:
    """Under the ledger's lock."""
    desk.ledger.update(lambda totals: totals.add_failing("judge", 0.05, [(1, True)]))
    assert list(desk.ledger.snapshot().failing) == ["judge"]


def test_a_snapshot_is_a_copy(desk: Desk) -> None:
    """A store that keeps it sees nothing of what comes later."""
    desk.serve(1)
    snapshot = desk.settle()
    kept = snapshot.copy()
    desk.serve(2, outcome=FAILED)
    desk.settle()
    assert snapshot == kept


def test_memory_is_relieved_without_ticks(desk: Desk) -> None:
    """Where nobody ticks, the request that finds more than 512 waiting folds them."""
    for number in range(512):
        desk.serve(number)
    desk.ledger.relieve()
    assert (desk.ledger.waiting(), desk.booked) == (512, [])
    desk.serve(512)
    desk.ledger.relieve()
    assert desk.ledger.waiting() == 0
    assert desk.sums().succeeded == 513
    assert not desk.ledger._lock.locked()


def test_a_request_never_waits_for_a_fold(desk: Desk) -> None:
    """While another thread folds, the one that would relieve goes on."""
    for number in range(513):
        desk.serve(number)
    with desk.ledger._lock:
        desk.ledger.relieve()
    assert desk.ledger.waiting() == 513


def test_with_many_open_requests_folds_are_rarer(desk: Desk) -> None:
    """Each fold looks at all that is open, so it waits for twice as many arrivals."""
    for number in range(5000):
        desk.begin(number)
    desk.ledger.fold()
    assert desk.ledger.fold_at == 512 + 2 * 5000
    assert desk.ledger.open_count == 5000


def test_an_end_during_a_fold_is_neither_lost_nor_counted_twice(desk: Desk) -> None:
    """A request that ends between two looks of a fold is booked by this fold or the next, once."""

    class Ending(Request):
        looks: itertools.count[int]

        def __getattribute__(self, name: str) -> object:
            if name == "outcome" and next(looks) >= 1:
                return SUCCEEDED
            return super().__getattribute__(name)

    looks = itertools.count()
    desk.ledger.push(Ending(desk.traffic, 1, False, desk.clock.monotonic(), ended_at=desk.clock.monotonic()))
    desk.ledger.fold()
    desk.ledger.fold()
    assert desk.sums().succeeded == 1
    assert (desk.ledger.open_count, desk.ledger.waiting()) == (0, 0)


def finish(request: Request) -> None:
    """End a request at once; every tenth unit fails."""
    request.ended_at = request.started_at
    request.outcome = FAILED if (request.unit or 0) % 10 == 0 else SUCCEEDED


def serve_three_at_a_time(desk: Desk, units: range, start: threading.Barrier) -> None:
    """Assign a request for each unit, and end it while the next ones are open."""
    start.wait(timeout=10)
    behind: list[Request] = []
    for unit in units:
        behind.append(desk.begin(unit, is_canary=unit % 4 == 0))
        desk.ledger.relieve()
        if len(behind) > 3:
            finish(behind.pop(0))
    for request in behind:
        finish(request)


def tick_until(done: threading.Event, desk: Desk, start: threading.Barrier) -> None:
    """Cut and settle as fast as possible."""
    start.wait(timeout=10)
    while not done.is_set():
        desk.traffic = Traffic(1, desk.ledger.cut(HERE, desk.clock.wall()))
        desk.ledger.settle()


def test_threads_are_counted_exactly(desk: Desk) -> None:
    """Six threads assign and end 30,000 requests while two fold and settle: each is counted once, none is lost."""
    start, done = threading.Barrier(8), threading.Event()
    workers = [
        threading.Thread(target=serve_three_at_a_time, args=(desk, range(first, first + 5000), start))
        for first in range(0, 30_000, 5000)
    ]
    tickers = [threading.Thread(target=tick_until, args=(done, desk, start)) for _ in range(2)]
    for thread in [*workers, *tickers]:
        thread.start()
    for thread in workers:
        thread.join(timeout=60)
    done.set()
    for thread in tickers:
        thread.join(timeout=60)
    desk.settle()
    assert (desk.sums().succeeded, desk.sums().failed) == (27_000, 3_000)
    assert sum(len(window) for _, _, window in desk.booked) == 30_000
    assert desk.ledger.open_count == 0

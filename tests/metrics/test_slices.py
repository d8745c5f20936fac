"""Slices: what is counted of the answers of a stretch of time, by cluster, and above which limits."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_canary.metrics import Outcome
from agent_canary.metrics.arms import SliceKey
from agent_canary.metrics.clusters import ClusterSums
from agent_canary.metrics.evidence import Evidence
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.metrics.watch import Watch
from tests.metrics.desk import CANCELLED, FAILED, HERE, HORIZON, SUCCEEDED, THERE, Desk, Request, Told

P50, P95 = Watch("latency_p50", "latency", 100.0, 110.0), Watch("latency_p95", "latency", 400.0, 440.0)
FIRST_TOKEN = Watch("first_token_p95", "first_token", 50.0, 60.0)
COST, TOKENS = Watch("cost_p95", "cost", 0.5, 0.75), Watch("tokens_p50", "tokens", 100.0, 200.0)


@pytest.fixture
def desk() -> Desk:
    """One whose slice in force watches nothing."""
    return Desk()


def serve(desk: Desk, unit: int, is_canary: bool, milliseconds: float, outcome: Outcome = SUCCEEDED) -> Request:
    """Assign a request that takes its time, to the last bit."""
    request = desk.begin(unit, is_canary)
    request.ended_at = request.started_at + milliseconds / 1000.0
    request.outcome = outcome
    return request


def by_cluster(sums: ClusterSums) -> dict[int, tuple[float, float]]:
    """Answers and bad ones, of clusters that have any."""
    return {cluster: pair for cluster, pair in enumerate(zip(sums.n, sums.y, strict=True)) if any(pair)}


def test_failures_are_counted_by_cluster(desk: Desk) -> None:
    """All answers that succeeded or failed, of each arm; cancelled ones are none."""
    for unit, is_canary, outcome in (
        (1, True, FAILED),
        (65, True, SUCCEEDED),
        (1, True, FAILED),
        (3, True, CANCELLED),
        (3, False, SUCCEEDED),
        (127, False, FAILED),
    ):
        serve(desk, unit, is_canary, 10.0, outcome)
    arms = desk.settle().clusters["failures"][HERE]
    assert by_cluster(arms.canary) == {1: (3, 2)}
    assert by_cluster(arms.stable) == {3: (1, 0), 63: (1, 1)}


def test_a_slice_without_a_watch_counts_failures_only(desk: Desk) -> None:
    """No limit, no exceedance."""
    serve(desk, 1, True, 10_000.0)
    totals = desk.settle()
    assert list(totals.clusters) == ["failures"]
    assert totals.failing == {}


def test_each_arm_has_its_own_limit(desk: Desk) -> None:
    """Above it, not at it."""
    desk.cut(HERE, (replace(P50, stable_limit=125.0, canary_limit=250.0),))
    for unit, milliseconds in enumerate((124.0, 125.0, 126.0, 250.0, 251.0)):
        serve(desk, unit, False, milliseconds)
        serve(desk, unit + 10, True, milliseconds)
    totals = desk.settle()
    arms = totals.clusters["latency_p50"][HERE]
    assert by_cluster(arms.stable) == {0: (1, 0), 1: (1, 0), 2: (1, 1), 3: (1, 1), 4: (1, 1)}
    assert by_cluster(arms.canary) == {10: (1, 0), 11: (1, 0), 12: (1, 0), 13: (1, 0), 14: (1, 1)}
    assert sorted(totals.failing["latency_p50"]) == [2, 3, 4, 14]


def test_a_failed_answer_took_its_time(desk: Desk) -> None:
    """It counts with it, and one that has timed out took the whole horizon: it is above the limit."""
    desk.cut(HERE, (P95,))
    serve(desk, 1, True, 10.0, FAILED)
    serve(desk, 2, True, 1000.0, FAILED)
    serve(desk, 3, True, 1000.0, CANCELLED)
    desk.begin(4, is_canary=True)
    desk.clock.advance(HORIZON + 1.0)
    totals = desk.settle()
    assert by_cluster(totals.clusters["latency_p95"][HERE].canary) == {1: (1, 0), 2: (1, 1), 4: (1, 1)}
    assert sorted(totals.failing["latency_p95"]) == [2, 4]


def test_amounts_count_where_answers_tell_of_them(desk: Desk) -> None:
    """Those that report nothing are neither above a limit nor below it."""
    desk.cut(HERE, (FIRST_TOKEN, COST, TOKENS))
    start = desk.clock.monotonic()
    for unit, told in enumerate(
        (
            Told(start + 0.055, input_tokens=100, output_tokens=100, cost_usd=0.75),
            Told(start + 0.065, input_tokens=100, output_tokens=101, cost_usd=0.76),
            Told(None, input_tokens=500),
            Told(start + 0.01),
            None,
        )
    ):
        for is_canary in (False, True):
            serve(desk, unit, is_canary, 100.0).details = told
    totals = desk.settle()
    clusters = {metric: slices[HERE] for metric, slices in totals.clusters.items()}
    assert by_cluster(clusters["first_token_p95"].canary) == {0: (1, 0), 1: (1, 1), 3: (1, 0)}
    assert by_cluster(clusters["first_token_p95"].stable) == {0: (1, 1), 1: (1, 1), 3: (1, 0)}
    assert by_cluster(clusters["cost_p95"].canary) == {0: (1, 0), 1: (1, 1)}
    assert by_cluster(clusters["cost_p95"].stable) == {0: (1, 1), 1: (1, 1)}
    assert by_cluster(clusters["tokens_p50"].canary) == {0: (1, 0), 1: (1, 1), 2: (1, 1)}
    assert by_cluster(clusters["tokens_p50"].stable) == {0: (1, 1), 1: (1, 1), 2: (1, 1)}
    assert clusters["failures"].canary.answers == 5


def test_what_is_watched_changes_with_the_next_slice(desk: Desk) -> None:
    """An answer is compared with the limit that was in force when its request was assigned, however late it ends."""
    late = desk.begin(1)
    desk.cut(THERE, (P50,))
    serve(desk, 2, False, 300.0)
    desk.end(late, after=1.0)
    desk.cut(THERE, (replace(P50, stable_limit=500.0),))
    serve(desk, 3, False, 300.0)
    totals = desk.settle()
    assert list(totals.clusters["latency_p50"]) == [THERE]
    assert by_cluster(totals.clusters["latency_p50"][THERE].stable) == {2: (1, 1), 3: (1, 0)}


def test_only_a_units_first_answer_tells_who_it_is(desk: Desk) -> None:
    """Users who come often would else be above some limit at some time, whatever the version."""
    desk.cut(HERE, (P50,))
    for unit, milliseconds in ((1, 200.0), (1, 10.0), (2, 10.0), (2, 200.0), (3, 200.0)):
        serve(desk, unit, unit == 3, milliseconds)
        desk.ledger.fold()
    desk.cut(HERE, (P50,))
    serve(desk, 2, False, 200.0)
    totals = desk.settle()
    assert dict(totals.failing["latency_p50"].items()) == {1: (0.05, None), 3: (0.0, 0.05)}
    assert totals.clusters["latency_p50"][HERE].stable.total == 3


def test_a_second_answer_of_the_same_fold_is_no_first(desk: Desk) -> None:
    """However many are folded together."""
    desk.cut(HERE, (P50,))
    for unit, milliseconds in ((1, 200.0), (1, 10.0), (2, 10.0), (2, 200.0)):
        serve(desk, unit, False, milliseconds)
    assert list(desk.settle().failing["latency_p50"]) == [1]


def test_who_came_before_there_was_a_limit_is_not_asked_again(desk: Desk) -> None:
    """The first answer was of a slice without a watch."""
    serve(desk, 1, False, 200.0)
    desk.cut(HERE, (P50,))
    serve(desk, 1, False, 200.0)
    assert desk.settle().failing == {}


def test_nothing_of_an_open_slice_counts(desk: Desk) -> None:
    """Neither sums nor units, until all of the slice has ended; first outcomes are told by their time."""
    desk.cut(HERE, (P50, COST))
    serve(desk, 1, True, 500.0, FAILED).details = Told(cost_usd=9.0)
    open_one = desk.begin(2)
    totals = desk.settle()
    assert (totals.clusters, totals.failing, totals.keyed) == ({}, {}, {})
    assert list(totals.first) == [1]
    open_one.ended_at, open_one.outcome = open_one.started_at, SUCCEEDED
    totals = desk.settle()
    assert sorted(totals.clusters) == ["cost_p95", "failures", "latency_p50"]
    assert {metric: dict(table.items()) for metric, table in totals.failing.items()} == {
        metric: {1: (0.0, 0.05)} for metric in ("cost_p95", "failures", "latency_p50")
    }


def test_many_answers_are_counted_in_between(desk: Desk) -> None:
    """A slice that nobody ends for long keeps sums, not a byte for each answer: here 9,000 of them in 18 folds."""
    desk.cut(HERE, (P50, COST))
    slice_ = desk.ledger.current
    for number in range(9000):
        request = serve(desk, number % 64, number % 64 == 5, 500.0, FAILED if number % 9 == 0 else SUCCEEDED)
        request.details = Told(cost_usd=1.0)
        if number % 500 == 499:
            desk.ledger.fold()
            assert sum(len(waiting) for waiting in (*slice_._told.values(), *slice_._bad.values())) <= 5 * 4600
    evidence = Evidence([desk.settle()], 1)
    assert evidence.counts("failures")[HERE].to_json() == [141, 16, 8859, 984]
    for metric in ("latency_p50", "cost_p95"):
        assert evidence.counts(metric)[HERE].to_json() == [141, 141, 8859, 8859]


class Answered(NamedTuple):
    """A request as a property test draws it; a cut or a fold may come after it."""

    unit: int
    milliseconds: float
    outcome: Outcome
    first_token: float | None
    tokens: int
    cost: float
    then: str

    @property
    def is_canary(self) -> bool:
        return self.unit % 3 == 0


ANSWERED = st.builds(
    Answered,
    unit=st.integers(0, 200),
    milliseconds=st.sampled_from([0.0, 100.0, 105.0, 110.0, 300.0, 430.0, 500.0, 40_000.0]),
    outcome=st.sampled_from([SUCCEEDED, FAILED, CANCELLED]),
    first_token=st.none() | st.sampled_from([0.0, 49.0, 55.0, 61.0]),
    tokens=st.sampled_from([0, 50, 75, 100, 101]),
    cost=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    then=st.sampled_from(["", "fold", "cut", "share", "settle"]),
)
WATCHES = st.permutations([P50, P95, FIRST_TOKEN, COST, TOKENS, replace(P50, metric="latency_p60")])


def booked(answers: list[Answered], watches: list[Watch], *, quietly: bool = False) -> tuple[RunTotals, list[Request]]:
    """What counts of requests at last, and the requests; *quietly*, all of a share are folded at once."""
    desk, key, requests = Desk(), HERE, list[Request]()
    desk.cut(key, tuple(watches))
    for each in answers:
        requests.append(request := serve(desk, each.unit, each.is_canary, each.milliseconds, each.outcome))
        if each.first_token is not None or each.tokens or each.cost:
            first = None if each.first_token is None else request.started_at + each.first_token / 1000.0
            request.details = Told(first, each.tokens, each.tokens, each.cost)
        if each.then == "share":
            key = THERE if key == HERE else HERE
        if each.then in ("cut", "share", "settle") and (not quietly or each.then == "share"):
            desk.cut(key, tuple(watches))
        if each.then in ("fold", "settle") and not quietly:
            getattr(desk.ledger, each.then)()
    return desk.settle(), requests


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERED, max_size=40), WATCHES)
@example([Answered(3, 500.0, FAILED, None, 0, 1.0, "fold")] * 3, [P50, P95, COST])
def test_counts_are_those_of_a_plain_look_at_each_answer(answers: list[Answered], watches: list[Watch]) -> None:
    """Whatever was folded together, and in whatever order the limits stand."""
    totals, requests = booked(answers, watches)
    expected: dict[tuple[str, SliceKey, bool], dict[int, tuple[int, int]]] = {}
    for each, request in zip(answers, requests, strict=True):
        for metric, is_bad in _looked_at(request, watches).items():
            sums = expected.setdefault((metric, request.traffic.slice.key, each.is_canary), {})
            answered, bad = sums.get(each.unit % 64, (0, 0))
            sums[each.unit % 64] = (answered + 1, bad + is_bad)
    evidence = Evidence([totals], 1)
    found = {
        (metric, slice_, is_canary): sums
        for metric in ("failures", *(watch.metric for watch in watches))
        for slice_, arms in evidence.clusters(metric).items()
        for is_canary in (False, True)
        if (sums := by_cluster(arms.of(is_canary)))
    }
    assert found == expected


def _looked_at(request: Request, watches: list[Watch]) -> dict[str, bool]:
    """By metric, whether an answer is a bad one; what it does not tell of is left out."""
    if request.outcome is CANCELLED:
        return {}
    told, start = request.details or Told(), request.started_at
    amounts: dict[str, float | None] = {
        "latency": (request.ended_at - start) * 1000.0,
        "first_token": None if told.first_token_at is None else (told.first_token_at - start) * 1000.0,
        "cost": told.cost_usd or None,
        "tokens": told.input_tokens + told.output_tokens or None,
    }
    told_of = {watch: amount for watch in watches if (amount := amounts[watch.amount]) is not None}
    above = {watch.metric: amount > watch.limit_of(request.is_canary) for watch, amount in told_of.items()}
    return {"failures": request.outcome is FAILED, **above}


@settings(max_examples=40, deadline=None)
@given(st.lists(ANSWERED, max_size=40), WATCHES)
def test_how_answers_are_folded_and_cut_changes_nothing(answers: list[Answered], watches: list[Watch]) -> None:
    """Folds, ticks and slices of the same share are a matter of speed: what counts at last is the same."""
    often, at_once = (booked(answers, watches, quietly=quietly)[0] for quietly in (False, True))
    assert often.clusters == at_once.clusters
    assert often.failing == at_once.failing
    assert often.keyed.keys() == at_once.keyed.keys()

"""What requests report of first token, cost and tokens, when they hang or report nonsense."""

from __future__ import annotations

import pytest

from agent_canary.metrics.histogram import LARGEST_VALUE
from agent_canary.metrics.watch import Watch
from tests.metrics.desk import HERE, HORIZON, Desk, Told


@pytest.fixture
def desk() -> Desk:
    """An empty one."""
    return Desk()


def test_a_request_that_times_out_has_used_what_it_reported(desk: Desk) -> None:
    """Its tokens are paid for, and its first part was seen, like those of any other failure."""
    start = desk.clock.monotonic()
    desk.begin(1, is_canary=True, details=Told(start + 0.25, input_tokens=10, output_tokens=5, cost_usd=0.5))
    desk.clock.advance(HORIZON + 1.0)
    totals = desk.settle().keyed[HERE].canary
    assert (totals.failed, totals.timed_out, totals.latency.sum) == (1, 1, HORIZON * 1000.0)
    assert (totals.input_tokens, totals.output_tokens, totals.cost_usd) == (10, 5, 0.5)
    assert (totals.first_token.sum, totals.cost.sum, totals.tokens.sum) == (250.0, 500_000.0, 15.0)
    assert desk.sums() == totals


def test_watched_amounts_are_those_that_the_totals_hold(desk: Desk) -> None:
    """The answers that a limit is compared with are those whose quantile the limit is, timed out ones included."""
    watches = tuple(Watch(name, name, 0.0, 0.0) for name in ("first_token", "cost", "tokens"))
    desk.cut(HERE, watches)
    start = desk.clock.monotonic()
    for unit, told in enumerate((None, Told(), Told(start + 0.1), Told(cost_usd=0.1), Told(output_tokens=1))):
        desk.serve(unit, details=told)
        desk.begin(unit, details=told)
    desk.clock.advance(HORIZON + 1.0)
    totals = desk.settle()
    stable = totals.keyed[HERE].stable
    for watch in watches:
        assert totals.clusters[watch.metric][HERE].stable.answers == getattr(stable, watch.amount).count == 2


def test_what_timed_out_took_longer_than_any_limit(desk: Desk) -> None:
    """Also where a tolerance lies beyond the horizon: a canary that hangs is slow."""
    desk.cut(HERE, (Watch("latency_p99", "latency", HORIZON * 900.0, HORIZON * 9000.0),))
    desk.begin(1, is_canary=True)
    desk.begin(2)
    desk.clock.advance(HORIZON + 1.0)
    totals = desk.settle()
    arms = totals.clusters["latency_p99"][HERE]
    assert (arms.canary.answers, arms.canary.total, arms.stable.answers, arms.stable.total) == (1, 1, 1, 1)
    assert dict(totals.failing["latency_p99"].items()) == {1: (0.0, 0.05), 2: (0.05, None)}


@pytest.mark.parametrize("told", [Told(cost_usd=1e308), Told(input_tokens=10**400)], ids=["cost", "tokens"])
def test_an_amount_beyond_all_bounds_breaks_no_book(desk: Desk, told: Told) -> None:
    """It counts as the largest that a histogram knows, and the requests beside it as what they are."""
    desk.serve(1, details=told)
    desk.serve(2, details=Told(input_tokens=1, cost_usd=1e-6))
    totals = desk.settle().keyed[HERE].stable
    assert totals.succeeded == 2
    amounts = totals.cost if told.cost_usd else totals.tokens
    assert (amounts.count, amounts.quantile(1.0)) == (2, pytest.approx(LARGEST_VALUE, rel=0.0055))

"""0/1 scores as evidence: booked to their assignment's slice, and only when their horizon has passed."""

from __future__ import annotations

import random
import threading

import pytest

from agent_canary.metrics.arms import SliceKey
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.metrics.scores import ScoreBook, ScoreRule

HERE, THERE = SliceKey(1, 0.05), SliceKey(2, 0.25)


@pytest.fixture
def book() -> ScoreBook:
    """One with a judge whose zeros are bad for 30 seconds, and complaints whose ones are bad for 5."""
    return ScoreBook({"judge": ScoreRule(bad=0.0, horizon=30.0), "complaint": ScoreRule(bad=1.0, horizon=5.0)})


def settled(book: ScoreBook, now: float) -> RunTotals:
    """What has been settled at a time, into new totals."""
    totals = RunTotals(1)
    book.settle(now, totals)
    return totals


def test_scores_count_when_their_horizon_has_passed(book: ScoreBook) -> None:
    """Not a moment sooner, and then once."""
    assert book.put("judge", 0.0, HERE, unit=7, assigned_at=100.0, is_canary=True)
    assert book.put("judge", 1.0, HERE, unit=8, assigned_at=100.9, is_canary=False)
    assert settled(book, 130.9) == RunTotals(1)
    totals = settled(book, 131.0)
    assert {key: counts.to_json() for key, counts in totals.scored["judge"].items()} == {HERE: [1, 1, 1, 0]}
    assert dict(totals.failing["judge"].items()) == {7: (0.0, 0.05)}
    assert settled(book, 1000.0) == RunTotals(1)


def test_both_arms_wait_alike(book: ScoreBook) -> None:
    """A score that came at once and one that came late, of the same second, count together."""
    book.put("judge", 0.0, HERE, unit=1, assigned_at=100.1, is_canary=True)
    assert settled(book, 129.0).scored == {}
    book.put("judge", 0.0, HERE, unit=2, assigned_at=100.2, is_canary=False)
    assert settled(book, 131.0).scored["judge"][HERE].to_json() == [1, 1, 1, 1]


def test_each_second_of_assignment_has_its_own_time(book: ScoreBook) -> None:
    """Later assignments wait longer."""
    book.put("judge", 0.0, HERE, unit=1, assigned_at=100.5, is_canary=True)
    book.put("judge", 0.0, HERE, unit=2, assigned_at=101.5, is_canary=True)
    assert settled(book, 131.5).scored["judge"][HERE].canary_total == 1
    assert settled(book, 132.0).scored["judge"][HERE].canary_total == 1


def test_each_name_has_its_own_horizon_and_its_own_bad_value(book: ScoreBook) -> None:
    """A complaint is bad where it is 1, and needs less time."""
    book.put("complaint", 1.0, HERE, unit=1, assigned_at=100.0, is_canary=True)
    book.put("complaint", 0.0, HERE, unit=2, assigned_at=100.0, is_canary=True)
    book.put("judge", 1.0, HERE, unit=3, assigned_at=100.0, is_canary=True)
    first = settled(book, 106.0)
    assert list(first.scored) == ["complaint"]
    assert first.scored["complaint"][HERE].to_json() == [2, 1, 0, 0]
    assert list(first.failing["complaint"]) == [1]
    last = settled(book, 131.0)
    assert last.scored["judge"][HERE].to_json() == [1, 0, 0, 0]
    assert "judge" not in last.failing


def test_slices_are_kept_apart(book: ScoreBook) -> None:
    """The score belongs to the stage and share of its assignment, also in the same second."""
    book.put("judge", 0.0, HERE, unit=1, assigned_at=100.0, is_canary=True)
    book.put("judge", 0.0, THERE, unit=1, assigned_at=100.5, is_canary=False)
    totals = settled(book, 131.0)
    assert {key: counts.to_json() for key, counts in totals.scored["judge"].items()} == {
        HERE: [1, 1, 0, 0],
        THERE: [0, 0, 1, 1],
    }
    assert dict(totals.failing["judge"].items()) == {1: (0.25, 0.05)}


def test_settling_adds_to_what_counts_already(book: ScoreBook) -> None:
    """Nothing is replaced."""
    totals = RunTotals(1)
    for unit, second in ((1, 100.0), (2, 110.0)):
        book.put("judge", 0.0, HERE, unit=unit, assigned_at=second, is_canary=True)
        book.settle(second + 31.0, totals)
    assert totals.scored["judge"][HERE].to_json() == [2, 2, 0, 0]
    assert list(totals.failing["judge"]) == [1, 2]


def test_a_score_after_its_horizon_is_no_evidence(book: ScoreBook) -> None:
    """Its second has been settled; the answer says so."""
    settled(book, 131.0)
    assert not book.put("judge", 0.0, HERE, unit=1, assigned_at=100.9, is_canary=True)
    assert book.put("judge", 0.0, HERE, unit=1, assigned_at=101.0, is_canary=True)
    assert book.put("complaint", 1.0, HERE, unit=1, assigned_at=126.0, is_canary=True)


def test_a_clock_that_goes_back_opens_nothing_again(book: ScoreBook) -> None:
    """What was settled stays settled."""
    settled(book, 131.0)
    settled(book, 50.0)
    assert not book.put("judge", 0.0, HERE, unit=1, assigned_at=100.0, is_canary=True)


def test_units_that_the_sample_has_no_room_for_are_not_kept(book: ScoreBook) -> None:
    """They count as answers, and wait for nothing: of 20,000 bad scores most need no memory once a sample is full."""
    totals, chance = RunTotals(1), random.Random(1)

    def score(second: float) -> int:
        for _ in range(10_000):
            book.put("judge", 0.0, HERE, chance.getrandbits(64), second, is_canary=True)
        waiting = sum(len(units) for cell in book._cells.values() for units in cell.bad.values())
        book.settle(second + 31.0, totals)
        return waiting

    assert score(100.0) == 10_000
    limit = totals.failing["judge"].limit
    assert score(200.0) == pytest.approx(10_000 * limit / 2**64, rel=0.1)
    assert totals.scored["judge"][HERE].to_json() == [20_000, 20_000, 0, 0]
    assert totals.failing["judge"].estimated_count == pytest.approx(20_000, rel=0.1)
    assert book._cells == {}


def test_a_name_without_a_rule_is_no_evidence(book: ScoreBook) -> None:
    """It is shown elsewhere, and judged nowhere."""
    assert not book.put("length", 1.0, HERE, unit=1, assigned_at=100.0, is_canary=True)
    assert settled(book, 1000.0) == RunTotals(1)


def test_rules_are_copied() -> None:
    """A change of the caller's mapping changes nothing."""
    rules = {"judge": ScoreRule(0.0, 30.0)}
    book = ScoreBook(rules)
    rules.clear()
    assert book.put("judge", 0.0, HERE, unit=1, assigned_at=100.0, is_canary=True)


def test_the_first_score_of_a_name_is_new_and_a_repeat_is_not(book: ScoreBook) -> None:
    """A repeat is of the same unit, assignment and name; anything else is another score."""
    assert book.is_new(7, 100.000001, "judge")
    assert not book.is_new(7, 100.000001, "judge")
    assert book.is_new(7, 100.000001, "complaint")
    assert book.is_new(8, 100.000001, "judge")
    assert book.is_new(7, 100.000002, "judge")
    assert book.is_new(None, 100.000001, "judge")


def test_a_repeat_is_known_by_the_microsecond(book: ScoreBook) -> None:
    """An assignment's id keeps its time to the microsecond, the assignment itself to the last bit."""
    assert book.is_new(7, 1700000000.1234567, "judge")
    assert not book.is_new(7, 1700000000.123457, "judge")


def test_at_least_the_last_4096_scores_are_remembered(book: ScoreBook) -> None:
    """And at most about twice as many, whatever the traffic."""
    for number in range(20_000):
        assert book.is_new(number, 100.0, "judge")
        assert number < 4096 or not book.is_new(number - 4096, 100.0, "judge")
    assert len(book._recent) + len(book._older) <= 2 * 4096 + 1
    assert book.is_new(0, 100.0, "judge")


def test_threads_count_exactly(book: ScoreBook) -> None:
    """Scores of four threads, settled by a fifth meanwhile, add up."""
    totals, done, start = RunTotals(1), threading.Event(), threading.Barrier(5)
    chance = random.Random(1)
    times = [100.0 + chance.random() * 50.0 for _ in range(2000)]

    def score(first_unit: int) -> None:
        start.wait(timeout=10)
        for number, assigned_at in enumerate(times):
            book.put("judge", float(number % 2), HERE, first_unit + number, assigned_at, is_canary=True)

    def settle() -> None:
        start.wait(timeout=10)
        while not done.is_set():
            book.settle(90.0, totals)

    threads = [threading.Thread(target=score, args=(2000 * number,)) for number in range(4)]
    settling = threading.Thread(target=settle)
    for thread in [*threads, settling]:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    done.set()
    settling.join(timeout=30)
    book.settle(1000.0, totals)
    assert totals.scored["judge"][HERE].to_json() == [8000, 4000, 0, 0]

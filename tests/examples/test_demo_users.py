"""The demo's users: very unequal, and the same in every run."""

from __future__ import annotations

from itertools import islice

import pytest

from examples.demo.users import FEEDBACK_SECONDS, FEEDBACK_SHARE, User, busiest_share, crowd, visits

SCANS = 899


def test_crowd_has_the_pace_that_was_asked_for() -> None:
    """The users' own paces add up to the pace of all."""
    users = crowd(4000, 240.0, "seed")
    assert sum(user.pace for user in users) == pytest.approx(240.0)
    assert len({user.name for user in users}) == 4000


def test_crowd_is_very_unequal() -> None:
    """The busiest hundredth makes about a fifth of the visits, and still no user dominates."""
    users = crowd(4000, 240.0, "seed")
    assert 0.12 < busiest_share(users) < 0.35
    assert max(user.pace for user in users) < 0.1 * 240.0


def test_crowd_follows_from_its_seed() -> None:
    """Equal seeds give equal users, other seeds others."""
    assert crowd(50, 10.0, "one") == crowd(50, 10.0, "one")
    assert crowd(50, 10.0, "one") != crowd(50, 10.0, "two")


def test_busiest_share_of_equal_users_is_their_number() -> None:
    """A hundredth of equal users makes a hundredth of the visits."""
    assert busiest_share([User(str(number), 1.0) for number in range(200)]) == pytest.approx(0.01)


def test_visits_follow_from_user_and_seed() -> None:
    """A user makes the same visits in every run, others in another rollout, and other users others."""
    ann, bob = User("ann", 1.0), User("bob", 1.0)

    def first(user: User, seed: str) -> list[tuple[float, int]]:
        return [(visit.at, visit.scan) for visit in islice(visits(user, seed, SCANS), 20)]

    assert first(ann, "better") == first(ann, "better")
    assert first(ann, "better") != first(ann, "raises")
    assert first(ann, "better") != first(bob, "better")


def test_visits_are_in_order_and_have_ids_of_their_own() -> None:
    """Times only grow, ids never repeat, and every scan exists."""
    some = list(islice(visits(User("ann", 2.0), "seed", SCANS), 500))
    assert [visit.at for visit in some] == sorted(visit.at for visit in some)
    assert len({visit.request_id for visit in some}) == 500
    assert {visit.user for visit in some} == {"ann"}
    assert all(0 <= visit.scan < SCANS for visit in some)


def test_visits_come_at_the_users_pace() -> None:
    """Two thousand visits at two a second take about a thousand seconds."""
    last = list(islice(visits(User("ann", 2.0), "seed", SCANS), 2000))[-1]
    assert last.at == pytest.approx(1000.0, rel=0.1)


def test_feedback_comes_as_often_and_as_late_as_told() -> None:
    """Half of the answers are judged, each within the seconds that were promised."""
    delays = [visit.feedback_after for visit in islice(visits(User("ann", 2.0), "seed", SCANS), 2000)]
    given = [delay for delay in delays if delay is not None]
    assert len(given) / len(delays) == pytest.approx(FEEDBACK_SHARE, abs=0.05)
    assert min(given) >= FEEDBACK_SECONDS[0]
    assert max(given) <= FEEDBACK_SECONDS[1]

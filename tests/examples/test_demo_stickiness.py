"""The check that no user flaps."""

from __future__ import annotations

from agent_canary import Event, EventKind, Stage
from examples.demo.stickiness import Stickiness, check
from examples.demo.traffic import Answer

STAGES = [Stage(0.1), Stage(0.5), Stage(1.0)]
BUCKETS = {"early": 0.05, "late": 0.3, "never": 0.9}


def event(revision: int, at: float, kind: EventKind, stage: int | None = None) -> Event:
    """Return an event of the rollout."""
    data = {} if stage is None else {"stage": stage}
    return Event(revision, f"id-{revision}", at, kind, 1, "auto", "because", data=data)


STARTED = event(1, 100.0, EventKind.STARTED)
PROMOTED = event(2, 110.0, EventKind.PROMOTED, stage=1)
ROLLED_BACK = event(3, 120.0, EventKind.ROLLED_BACK)


def saw(user: str, *versions: tuple[float, str]) -> list[Answer]:
    """Return a user's answers, by the time at which they were sent and the version."""
    return [Answer(f"{user} {at}", user, 0, at, at + 0.01, 200, version, 0) for at, version in versions]


def look(*answers: list[Answer], events: tuple[Event, ...] = (STARTED, PROMOTED, ROLLED_BACK)) -> Stickiness:
    """Check all of *answers*."""
    return check([one for own in answers for one in own], "v2", events, STAGES, BUCKETS.__getitem__)


def test_users_who_stay_did_not_change() -> None:
    """Somebody on stable all the time, and somebody seen once, changed nothing."""
    never = saw("never", (101, "v1"), (115, "v1"), (125, "v1"))
    assert look(never, saw("early", (105, "v2"))) == Stickiness(users=2, promoted=0, rolled_back=0, flapped=0)


def test_a_promotion_that_reaches_the_users_bucket_explains_the_canary() -> None:
    """And the rollback explains stable again."""
    late = saw("late", (105, "v1"), (112, "v2"), (130, "v1"))
    assert look(late) == Stickiness(users=1, promoted=1, rolled_back=1, flapped=0)


def test_a_promotion_explains_nobody_whose_bucket_it_does_not_reach() -> None:
    """A user above the new share has no business on the canary."""
    assert look(saw("never", (105, "v1"), (112, "v2"))).flapped == 1


def test_a_promotion_explains_nobody_who_had_the_canary_before() -> None:
    """A user below the old share should have had it from the first request on."""
    assert look(saw("early", (105, "v1"), (112, "v2"))).flapped == 1


def test_a_change_without_a_move_in_its_time_is_a_flap() -> None:
    """The promotion at 110 s does not explain what changed between 101 s and 105 s, nor a way back between moves."""
    assert look(saw("late", (101, "v1"), (105, "v2"))).flapped == 1
    assert look(saw("late", (112, "v2"), (115, "v1"))).flapped == 1


def test_one_move_explains_one_change_of_a_user() -> None:
    """Whoever returns to the canary after the rollback flaps, however soon that is after the promotion."""
    rolled_back = event(3, 110.3, EventKind.ROLLED_BACK)
    back_and_forth = saw("late", (109.9, "v1"), (110.2, "v2"), (110.4, "v1"), (110.5, "v2"))
    sticky = look(back_and_forth, events=(STARTED, PROMOTED, rolled_back))
    assert sticky == Stickiness(users=1, promoted=1, rolled_back=1, flapped=1)


def test_a_move_explains_changes_in_its_own_direction_only() -> None:
    """A promotion takes nobody off the canary."""
    assert look(saw("late", (109.9, "v2"), (110.5, "v1")), events=(STARTED, PROMOTED)).flapped == 1


def test_a_request_on_its_way_while_the_app_learns_of_a_move_is_no_flap() -> None:
    """The move is booked a moment before the app routes by it."""
    late = saw("late", (110.2, "v1"), (110.4, "v2"))
    assert look(late) == Stickiness(users=1, promoted=1, rolled_back=0, flapped=0)

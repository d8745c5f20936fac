"""The rules of others, as pure functions of the traffic, are theirs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from agent_canary import Rollout, Stage, VersionMetrics
from agent_canary.testing import ManualClock
from validation.amounts import Constant
from validation.arm import Arm, Failing
from validation.cell import Cell
from validation.fixed_rules import fixed_threshold, original
from validation.outcome import Outcome
from validation.schedules import RAMP, STANDARD, by_time
from validation.traffic import Traffic, draw, generator
from validation.users import Users

SECONDS, TICK = 6000.0, 10.0
HALF = by_time((0.5, 3000.0))


def traffic_of(stable: Arm, canary: Arm | None = None, *, run: int = 0, per_second: float = 5.0) -> Traffic:
    """Return a run's traffic of 2,000 users."""
    cell = Cell("rules", Users(2_000), stable, canary, per_second=per_second, seconds=SECONDS)
    return draw(cell, generator(cell, run))


def failing(rate: float) -> Arm:
    """Return a version of which so many answers fail."""
    return Arm(failing=Failing(rate))


BUCKETS = np.random.default_rng(3).random(2_000)


def by_the_originals_own_parts(traffic: Traffic, stages: Sequence[Stage]) -> tuple[str, float, int, int]:
    """Return end, time, canary answers and failures of the rule by the original's classes, request by request."""
    clock = ManualClock(0.0)
    rollout = Rollout(stages, clock=clock)
    stable, canary = VersionMetrics(1000), VersionMetrics(1000)
    answers, index = [0, 0], 0
    for turn in range(1, int(SECONDS / TICK) + 1):
        while index < len(traffic) and traffic.at[index] < turn * TICK:
            on_canary = BUCKETS[traffic.who[index]] < rollout.traffic_share
            failed = bool((traffic.canary if on_canary else traffic.stable).failed[index])
            (canary if on_canary else stable).record(not failed, 0.0)
            if on_canary:
                answers[0] += 1
                answers[1] += failed
            index += 1
        clock.advance(TICK)
        if canary.total >= 50 and canary.success_rate < stable.success_rate - 0.05:
            return "rolled back", turn * TICK, *answers
        if rollout.can_promote(canary):
            rollout.promote()
            if rollout.is_complete:
                return "completed", turn * TICK, *answers
    return "going", SECONDS, *answers


@pytest.mark.parametrize("run", range(4))
@pytest.mark.parametrize(
    ("stable", "canary"), [(0.001, 0.001), (0.001, 0.01), (0.02, 0.08), (0.2, 0.2)], ids=lambda rate: f"{rate:g}"
)
def test_the_originals_rule_is_the_one_of_its_own_classes(stable: float, canary: float, run: int) -> None:
    """Told request by request of the same traffic, they end at the same time with the same counts."""
    traffic = traffic_of(failing(stable), failing(canary), run=run)
    ours = original(traffic, BUCKETS, STANDARD, SECONDS, TICK)
    theirs = by_the_originals_own_parts(traffic, STANDARD)
    assert (ours.end, ours.seconds, ours.answers, ours.failed) == theirs


def test_the_originals_rule_asks_for_its_own_samples_and_success() -> None:
    """Where the ramp's stages ask for time alone, 99 % success and its samples are asked for all the same."""
    assert original(traffic_of(failing(0.02)), BUCKETS, RAMP, SECONDS, TICK).end == "going"
    assert original(traffic_of(failing(0.0)), BUCKETS, RAMP, SECONDS, TICK).end == "completed"


def test_the_originals_rule_needs_fifty_answers() -> None:
    """A canary that always fails is gone at the first look after its fiftieth answer."""
    outcome = original(traffic_of(failing(0.0), failing(1.0)), BUCKETS, STANDARD, SECONDS, TICK)
    assert outcome.end == "rolled back"
    assert 50 <= outcome.answers == outcome.failed < 60


def test_the_originals_rule_sees_an_answer_when_it_ends() -> None:
    """Failures that take 40 s are seen 40 s later."""

    def ends(seconds: float) -> float:
        late = Arm(failing=Failing(1.0), seconds=Constant(seconds))
        return original(traffic_of(failing(0.0), late), BUCKETS, HALF, SECONDS, TICK).seconds

    assert ends(40.0) - ends(0.0) == pytest.approx(40.0, abs=TICK)


def test_the_fixed_threshold_rolls_back_at_the_tenth_failed_check() -> None:
    """A canary that always fails fails a check each minute."""
    outcome = fixed_threshold(traffic_of(failing(0.0), failing(1.0)), BUCKETS, HALF, SECONDS)
    assert (outcome.end, outcome.seconds) == ("rolled back", 600.0)


def test_the_fixed_threshold_does_not_look_at_stable() -> None:
    """A canary like stable, which fails in 5 % of the answers, is rolled back."""
    assert fixed_threshold(traffic_of(failing(0.05)), BUCKETS, RAMP, SECONDS).end == "rolled back"


def test_the_fixed_threshold_promotes_by_time_while_checks_pass() -> None:
    """A canary that never fails goes to everybody when the stages' times are over."""
    outcome = fixed_threshold(traffic_of(failing(0.0)), BUCKETS, RAMP, SECONDS)
    assert (outcome.end, outcome.seconds) == ("completed", 3000.0)


def test_a_failed_check_holds_the_fixed_thresholds_ramp() -> None:
    """An outage of the canary's in the minute in which it would be promoted delays that by a minute."""
    course = ((2939.0, 1e-9), (2940.0, 1.0), (3000.0, 1.0), (3001.0, 1e-9))
    outcome = fixed_threshold(traffic_of(failing(0.0), Arm(failing=Failing(1e-9, course))), BUCKETS, HALF, SECONDS)
    assert (outcome.end, outcome.seconds) == ("completed", 3060.0)


def test_a_minute_without_the_canary_is_no_failed_check() -> None:
    """Nobody is on it: nothing has failed."""
    outcome = fixed_threshold(traffic_of(failing(1.0)), BUCKETS + 1.0, RAMP, SECONDS)
    assert (outcome.end, outcome.answers) == ("completed", 0)


@pytest.mark.parametrize("rule", ["original", "fixed"])
def test_only_users_below_the_share_meet_the_canary(rule: str) -> None:
    """In a stage of 50 % half of the users do."""
    traffic = traffic_of(failing(0.0), per_second=20.0)

    def ended(buckets: np.ndarray) -> Outcome:
        if rule == "original":
            return original(traffic, buckets, HALF, SECONDS, TICK)
        return fixed_threshold(traffic, buckets, HALF, SECONDS)

    outcome = ended(BUCKETS)
    assert outcome.end == "completed"
    assert outcome.users == (BUCKETS < 0.5).sum()
    assert ended(np.ones(2_000)).users == 0


def test_a_lost_user_is_served_by_no_rule() -> None:
    """Requests that are not made count for nobody."""
    traffic = traffic_of(failing(0.0), Arm(failing=Failing(0.0), kept=0.0))
    assert fixed_threshold(traffic, BUCKETS, HALF, SECONDS).answers == 0

"""Making a canary: the original's arguments, what is refused, and what its text says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent_canary import (
    AgentCanary,
    Cohort,
    FailureRate,
    IllegalMoveError,
    Latency,
    MemoryStore,
    Plan,
    Rollout,
    SafetyMargin,
    SampleRatio,
    Stage,
)
from agent_canary.clock import SystemClock
from agent_canary.testing import ManualClock
from tests.canary.kit import users

Make = Callable[..., AgentCanary]


def test_the_originals_arguments_may_be_given_by_position() -> None:
    """Stable and canary version, rollout, safety margin and its minimum of samples."""
    canary = AgentCanary("agent-v1", "agent-v2", Rollout([Stage(0.1), Stage(1.0)]), 0.05, 30)
    assert (canary.stable_version, canary.canary_version) == ("agent-v1", "agent-v2")
    assert canary.versions == ("agent-v1", "agent-v2")
    assert canary.rollout.plan.rollback_on == (FailureRate(), Latency(), SampleRatio(), SafetyMargin(0.05, 30))


def test_two_versions_are_enough() -> None:
    """The standard stages, in memory, without the fixed rule."""
    canary = AgentCanary("v1", "v2")
    assert canary.rollout.plan == Plan(Rollout.standard().stages)
    assert canary.name == "default"


def test_the_rest_is_by_keyword() -> None:
    """A sixth argument by position is an error."""
    with pytest.raises(TypeError):
        AgentCanary("v1", "v2", None, None, 50, "name")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"canary_version": "v1"}, "stable_version and canary_version must differ, both are 'v1'"),
        ({"canary_version": ""}, "canary_version must be a non-empty str, got ''"),
        ({"stable_version": 1}, "stable_version must be a non-empty str, got 1"),
        ({"name": ""}, "name must be a non-empty str, got ''"),
        ({"name": None}, "name must be a non-empty str, got None"),
        ({"alpha": 0}, "alpha must be a number inside (0, 1), got 0"),
        ({"alpha": 1.0}, "alpha must be a number inside (0, 1), got 1.0"),
        ({"alpha": 5}, "alpha must be a number in [0, 1], got 5"),
        ({"rollback_safety_margin": 5}, "rollback_safety_margin must be a number in [0, 1], got 5"),
        ({"rollback_min_samples": -1}, "rollback_min_samples must be an integer >= 0, got -1"),
        (
            {"rollout": [Stage(0.1)]},
            "rollout must be a Rollout, such as Rollout([Stage(0.05), Stage(1.0)]), got [",
        ),
        ({"store": "sqlite:///x.db"}, "store must be a Store, such as MemoryStore(), got 'sqlite:///x.db'"),
        ({"store": MemoryStore}, "store must be a Store, such as MemoryStore(), got <class"),
        ({"autopilot": "no"}, "autopilot must be True, False or None, got 'no'"),
        ({"on_event": 5}, "on_event must be a function of an Event, or None, got 5"),
        (
            {"secret": 123},
            "or a non-empty sequence of them (newest first), got int",
        ),
        ({"secret": ["new", 1]}, "secret must be a non-empty str or bytes, or a non-empty sequence of them"),
        (
            {"overrides": {3.5: "v1"}},
            "overrides must have sticky keys as keys: a sticky key is a str, an int or a ",
        ),
        (
            {"rollback_safety_margin": 0.05, "rollback_min_samples": -1},
            "rollback_min_samples must be an integer >= 0, got -1",
        ),
        ({"interval": 0}, "interval must be a finite number > 0, got 0"),
        ({"outcome_horizon": 0}, "outcome_horizon must be a finite number > 0, got 0"),
        ({"outcome_horizon": timedelta(seconds=-1)}, "outcome_horizon must be finite seconds >= 0 or a timedelta"),
        ({"stale_after": float("nan")}, "stale_after must be finite seconds >= 0 or a timedelta, got nan"),
        ({"id_max_age": 0.0}, "id_max_age must be a finite number > 0, got 0.0"),
        ({"clock": 5}, "clock must be a Clock"),
        ({"secret": ""}, "secret must be a non-empty str or bytes"),
        ({"secret": []}, "secret must be a non-empty str or bytes"),
        ({"secret": ["new", ""]}, "secret must be a non-empty str or bytes"),
        ({"overrides": {"ada": "v3"}}, "an override must be one of ('v1', 'v2'), got 'v3'"),
    ],
)
def test_a_bad_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    """At construction, with the parameter, the allowed range and the value."""
    with pytest.raises(ValueError, match=re.escape(message)):
        AgentCanary(**{"stable_version": "v1", "canary_version": "v2", **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"), [({"overrides": 5}, "overrides"), ({"cohorts": ["staff"]}, "Cohort")]
)
def test_an_argument_of_a_wrong_type_is_refused(arguments: dict[str, Any], message: str) -> None:
    """Where a type is meant, a TypeError or ValueError names it."""
    with pytest.raises((TypeError, ValueError), match=message):
        AgentCanary("v1", "v2", **arguments)


def test_durations_may_be_timedeltas(clock: ManualClock) -> None:
    """Each of them."""
    canary = AgentCanary(
        "v1",
        "v2",
        clock=clock,
        outcome_horizon=timedelta(seconds=5),
        stale_after=timedelta(minutes=1),
        id_max_age=timedelta(days=1),
    )
    canary.assign("a")
    clock.advance(6)
    canary.tick()
    assert canary.status()["open_assignments"] == 0


def test_a_callable_is_a_clock() -> None:
    """Any that returns wall-clock seconds, as the original's tests had it."""
    now = [1_000_000.0]
    canary = AgentCanary("v1", "v2", Rollout([Stage(0.5)]), clock=lambda: now[0])
    now[0] += 90
    assert canary.status()["time_in_stage_s"] == 90
    assert canary.rollout.history[0].at == 1_000_000.0


def test_nothing_but_the_clock_is_asked_for_the_time(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an injected one a whole rollout passes without a look at the host's, and no module has another way to it."""

    def no_time() -> float:
        raise AssertionError("the host's time was read")

    monkeypatch.setattr(SystemClock, "wall", staticmethod(no_time))
    monkeypatch.setattr(SystemClock, "monotonic", staticmethod(no_time))
    rollout = Rollout.standard(clock=clock)
    canary = AgentCanary("v1", "v2", rollout, clock=clock, autopilot=False, secret="s")
    for user in users(4):
        assignment = canary.assign(user)
        assignment.first_token()
        canary.score(assignment.id, "judge", 1)
        assignment.succeed()
        canary.record("v1", True, 10)
        canary.tick()
        canary.status()
        canary.rollout.promote()
    canary.rollout.rollback()
    assert canary.status()["errors"] == {}
    modules = Path(inspect.getfile(AgentCanary)).parent.rglob("*.py")
    reading = {
        path.name for path in modules if re.search(r"^\s*(import|from) time\b|\.now\(tz|utcnow", path.read_text(), re.M)
    }
    assert reading == {"clock.py"}


def test_a_rollout_is_for_one_canary(make_canary: Make) -> None:
    """Giving it to a second one is refused."""
    canary = make_canary()
    with pytest.raises(IllegalMoveError, match="make a Rollout for each canary"):
        AgentCanary("v1", "v2", canary.rollout)


def test_its_text_says_where_it_is(make_canary: Make) -> None:
    """For logs and debuggers."""
    canary = make_canary(name="support-agent")
    assert repr(canary) == (
        "<AgentCanary 'support-agent': 'v1' -> 'v2', "
        "<Rollout 'support-agent': run 1 running, stage 1 of 4, revision 1>>"
    )


def test_versions_may_be_any_text(make_canary: Make) -> None:
    """Image tags, prompt hashes, or whatever names a version."""
    canary = make_canary("registry/agent:1.0", "päivitetty ✓", overrides={"ada": "päivitetty ✓"})
    assert canary.route("ada") == "päivitetty ✓"


def test_a_cohort_is_checked(make_canary: Make) -> None:
    """Its share is a fraction."""
    with pytest.raises(ValueError, match=r"traffic_share must be a number in \[0, 1\], got 5"):
        make_canary(cohorts=[Cohort("staff", bool, 5)])

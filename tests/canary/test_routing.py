"""Who gets which version from a canary."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from agent_canary import AgentCanary, CanaryRouter, Cohort, Decision, Reason, Stage
from agent_canary.testing import ManualClock, disabled, force_version
from tests.canary.kit import counted, key_on, let_run, serve, users

Make = Callable[..., AgentCanary]
HALF = (Stage(0.5, 0, 0), Stage(1.0, 0, 0))


def on_canary(canary: AgentCanary, keys: list[str]) -> set[str]:
    """Return the keys that get the canary."""
    return {key for key in keys if canary.route(key) == "v2"}


# Sticky


def test_a_key_stays_on_its_version(canary: AgentCanary, clock: ManualClock) -> None:
    """However often it comes, whatever time it is, and whatever others do."""
    first = on_canary(canary, users(2000))
    let_run(canary, clock, 5, users(50))
    assert on_canary(canary, users(2000)) == first


def test_a_share_is_a_share_of_keys(make_canary: Make) -> None:
    """About half of the keys at 50 %, nobody at 0, everybody at 100 %."""
    assert 4800 < len(on_canary(make_canary(stages=HALF), users(10_000))) < 5200
    assert on_canary(make_canary(stages=[Stage(0.0)]), users(10_000)) == set()
    assert on_canary(make_canary(stages=[Stage(1.0)]), users(10_000)) == set(users(10_000))


def test_a_growing_share_only_adds_keys(canary: AgentCanary) -> None:
    """Nobody goes back to stable when the rollout goes on."""
    shares = [on_canary(canary, users(2000))]
    while canary.rollout.promote():
        shares.append(on_canary(canary, users(2000)))
    assert [len(share) for share in shares] == sorted(len(share) for share in shares)
    assert all(smaller < larger for smaller, larger in pairwise(shares))
    assert shares[-1] == set(users(2000))


def test_every_process_agrees(make_canary: Make) -> None:
    """A new interpreter, with other hash randomisation, routes the same keys to the canary."""
    script = """
import json, sys
from agent_canary import AgentCanary, Rollout, Stage
canary = AgentCanary("v1", "v2", Rollout([Stage(0.5)]), name="agent")
print(json.dumps([canary.route(key) for key in json.load(sys.stdin)]))
"""
    keys = [*users(200), "", "ключ", "🦆", "\ud800", "x" * 10_000]
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(keys),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONHASHSEED": "12345"},
    )
    canary = make_canary(stages=[Stage(0.5)], name="agent")
    assert json.loads(done.stdout) == [canary.route(key) for key in keys]


def test_the_salt_is_name_version_and_run(make_canary: Make) -> None:
    """It is not always the same users who try new things."""
    canary = make_canary(stages=HALF, name="agent")
    router = CanaryRouter(0.5, salt="agent:v2:1")
    assert [canary.route(key) == "v2" for key in users(500)] == [
        router.decide(key) is Decision.CANARY for key in users(500)
    ]
    assert on_canary(canary, users(500)) != on_canary(make_canary(stages=HALF, name="other"), users(500))
    assert on_canary(canary, users(500)) != on_canary(make_canary("v2", "v3", stages=HALF, name="agent"), users(500))


def test_assign_agrees_with_route(make_canary: Make) -> None:
    """With and without anything that makes the way longer."""
    plain = make_canary(stages=HALF)
    targeted = make_canary(stages=HALF, overrides={"user-1": "v1", "user-2": "v2"})
    for canary in (plain, targeted):
        for key in [*users(500), 7, UUID(int=7), "ключ", "\ud800", ""]:
            assert canary.assign(key).version == canary.route(key)


def test_numbers_and_uuids_are_keys_by_their_text(canary: AgentCanary) -> None:
    """A user id is the same user whether the app has parsed it or not."""
    ids: list[Any] = [*range(500), UUID(int=5)]
    assert [canary.route(key) for key in ids] == [canary.route(str(key)) for key in ids]


@pytest.mark.parametrize("key", [b"bytes", 1.5, True, ["list"], {"a": 1}, object()])
def test_a_key_of_a_wrong_type_gets_stable(make_canary: Make, key: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Counted and logged; no request fails."""
    canary = make_canary(stages=[Stage(1.0)])
    assert canary.route(key) == "v1"
    assignment = canary.assign(key)
    assert (assignment.version, assignment.reason, assignment.is_evidence) == ("v1", Reason.ERROR, False)
    assert canary.status()["errors"] == {"routing": 2}
    assert "a sticky key is a str, an int or a UUID, got" in caplog.text


def test_an_error_of_routing_does_not_tell_the_key(canary: AgentCanary, caplog: pytest.LogCaptureFixture) -> None:
    """A raw sticky key is never logged."""
    canary.route(b"ada@example.org")
    assert "routing failed" in caplog.text
    assert "ada@example.org" not in caplog.text


# Without a key


def test_route_without_a_key_is_a_coin(make_canary: Make) -> None:
    """A fresh one at each call: about the share of calls, by no pattern."""
    canary = make_canary(stages=[Stage(0.3)])
    tosses = [canary.route() == "v2" for _ in range(5000)]
    assert 1300 < sum(tosses) < 1700
    assert len({tuple(tosses[start : start + 12]) for start in range(0, 4800, 12)}) > 200


def test_assign_without_a_key_is_stable(make_canary: Make) -> None:
    """Adapters never toss coins; such requests are counted, and no evidence."""
    canary = make_canary(stages=[Stage(0.5)])
    assignments = [canary.assign() for _ in range(50)]
    assert {(one.version, one.reason, one.is_evidence) for one in assignments} == {("v1", Reason.DEFAULT, False)}
    for assignment in assignments:
        assignment.succeed()
    assert counted(canary, "v1") == (50, 0, 0)


def test_the_coin_falls_by_the_share_of_now(canary: AgentCanary) -> None:
    """Nobody after a rollback, everybody when completed."""
    canary.rollout.promote_full()
    assert {canary.route() for _ in range(100)} == {"v2"}
    canary.rollout.rollback()
    assert {canary.route() for _ in range(100)} == {"v1"}


# Overrides and cohorts


def test_an_override_decides(make_canary: Make) -> None:
    """By key, or by a function of key and context; it is served and counted, and no evidence."""
    by_key = make_canary(overrides={"ada": "v2", 7: "v2"})
    assignment = by_key.assign("ada")
    assert (assignment.version, assignment.reason, assignment.is_evidence) == ("v2", Reason.TARGETING_MATCH, False)
    assert by_key.route(7) == "v2"

    def choose(key: object, context: Mapping[str, Any]) -> str | None:
        return "v2" if context.get("staff") else None

    by_function = make_canary(stages=[Stage(0.0)], overrides=choose)
    assert by_function.route("ada", {"staff": True}) == "v2"
    assert by_function.route("ada") == "v1"
    assert by_function.assign("ada").reason is Reason.SPLIT


def test_a_cohort_has_a_share_of_its_own(make_canary: Make) -> None:
    """The first that matches counts; members are on their version by the same hash."""
    canary = make_canary(
        stages=[Stage(0.05)],
        cohorts=[
            Cohort("banks", lambda context: context.get("bank"), 0.0),
            Cohort("staff", lambda context: context.get("staff"), 0.5),
            Cohort("all staff", lambda context: context.get("staff"), 1.0),
        ],
    )
    assert {canary.route(key, {"bank": True, "staff": True}) for key in users(500)} == {"v1"}
    staff = {key for key in users(1000) if canary.route(key, {"staff": True}) == "v2"}
    assert 440 < len(staff) < 560
    assert on_canary(canary, users(1000)) < staff


def test_the_targeted_are_counted_and_no_evidence(make_canary: Make, clock: ManualClock) -> None:
    """Forty failures of people who were put on the canary roll nothing back, and promote nothing."""
    canary = make_canary(overrides=dict.fromkeys(users(40), "v2"))
    serve(canary, users(40), lambda version, user: True)
    serve(canary, [f"other-{number}" for number in range(100)])
    clock.advance(60)
    verdict = canary.tick()
    assert counted(canary, "v2")[1] == 40
    assert verdict is not None
    assert verdict.action.value == "hold"
    assert verdict.findings[0].canary_bad == 0


def test_targeting_ends_with_the_trial(make_canary: Make) -> None:
    """Nobody is on the canary by an override when all are on stable, nor kept from it when it is completed."""
    canary = make_canary(overrides={"ada": "v2", "bob": "v1"})
    canary.rollout.pause(to_stable=True)
    assert (canary.route("ada"), canary.route("bob")) == ("v1", "v1")
    canary.rollout.resume()
    assert (canary.route("ada"), canary.route("bob")) == ("v2", "v1")
    canary.rollout.promote_full()
    assert (canary.route("ada"), canary.route("bob")) == ("v2", "v2")
    canary.rollout.rollback()
    assert (canary.route("ada"), canary.route("bob")) == ("v1", "v1")


def broken(*arguments: object) -> Any:
    """Raise what a user's function may raise."""
    raise LookupError("no directory")


@pytest.mark.parametrize(
    "options",
    [
        {"overrides": broken},
        {"overrides": lambda key, context: "v3"},
        {"cohorts": [Cohort("broken", broken, 1.0)]},
    ],
    ids=["a raising override", "an unknown version", "a raising cohort"],
)
def test_a_broken_hook_gives_stable(
    make_canary: Make, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Counted, and logged once."""
    canary = make_canary(stages=[Stage(1.0), Stage(1.0)], **options)
    assert canary.route("ada") == "v1"
    assert canary.assign("ada").reason is Reason.ERROR
    assert canary.status()["errors"] == {"routing": 2}
    assert len(caplog.records) == 1


# Switches


def test_the_kill_switch_sends_everything_to_stable(make_canary: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """AGENT_CANARY_DISABLED=1 in the environment; overrides, cohorts and a completed rollout too."""
    for value in ("1", "true", "YES", " on "):
        monkeypatch.setenv("AGENT_CANARY_DISABLED", value)
        canary = make_canary(stages=[Stage(1.0)], overrides={"ada": "v2"}, cohorts=[Cohort("all", lambda c: True, 1.0)])
        assert {canary.route(key) for key in ["ada", *users(50)]} == {"v1"}
        assert canary.route() == "v1"
        assert canary.assign("ada").reason is Reason.DISABLED
        assert canary.status()["is_disabled"] is True


@pytest.mark.parametrize("value", ["", "0", "false", "no", "off"])
def test_the_kill_switch_may_be_off(make_canary: Make, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Words that say no."""
    monkeypatch.setenv("AGENT_CANARY_DISABLED", value)
    canary = make_canary(stages=[Stage(1.0)])
    assert canary.route("ada") == "v2"
    assert canary.status()["is_disabled"] is False


def test_the_kill_switch_is_read_at_each_tick(canary: AgentCanary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its own environment is heard."""
    key = key_on(canary, "v2")
    monkeypatch.setenv("AGENT_CANARY_DISABLED", "1")
    canary.tick()
    assert canary.route(key) == "v1"
    monkeypatch.delenv("AGENT_CANARY_DISABLED")
    canary.tick()
    assert canary.route(key) == "v2"


def test_a_test_may_disable_everything(make_canary: Make) -> None:
    """For a block, at once, in all canaries; blocks may be nested."""
    canary = make_canary(stages=[Stage(1.0)])
    with disabled():
        with disabled():
            assert canary.route("ada") == "v1"
        assert canary.assign("ada").reason is Reason.DISABLED
        assert make_canary(stages=[Stage(1.0)], name="made within").route("ada") == "v1"
    assert canary.route("ada") == "v2"


def test_a_test_may_force_a_version(make_canary: Make) -> None:
    """Everybody gets it in all threads, whatever the rollout says, and no evidence; the innermost block wins."""
    canary = make_canary(stages=[Stage(0.0)], overrides={"bob": "v1"})
    canary.rollout.rollback()
    with force_version("v2"):
        assert [canary.route(key) for key in ("ada", "bob", None)] == ["v2"] * 3
        assignment = canary.assign("ada")
        assert (assignment.version, assignment.reason, assignment.is_evidence) == ("v2", Reason.TARGETING_MATCH, False)
        assert canary.status()["forced_version"] == "v2"
        in_thread: list[str] = []
        thread = threading.Thread(target=lambda: in_thread.append(canary.route("ada")))
        thread.start()
        thread.join(timeout=10)
        assert in_thread == ["v2"]
        with force_version("v1"):
            assert canary.route("ada") == "v1"
        with disabled():
            assert canary.route("ada") == "v2"
        assert canary.route("ada") == "v2"
    assert canary.route("ada") == "v1"
    assert canary.status()["forced_version"] is None


def test_one_version_may_be_forced_twice(make_canary: Make) -> None:
    """What is in force after an inner block is what was before it, also when an outer one forces the same."""
    canary = make_canary(stages=[Stage(0.5)])
    with force_version("v2"), force_version("v1"):
        with force_version("v2"):
            assert canary.route("ada") == "v2"
        assert canary.route("ada") == "v1"


def test_an_override_is_for_the_key_however_it_is_written(make_canary: Make) -> None:
    """The number 8 and the text "8" are one user."""
    canary = make_canary(stages=[Stage(1.0)], overrides={8: "v1", "9": "v1"})
    assert [canary.route(key) for key in (8, "8", 9, "9", "10")] == ["v1", "v1", "v1", "v1", "v2"]


def test_a_version_that_a_canary_does_not_know_is_not_forced_on_it(make_canary: Make) -> None:
    """Other rollouts of the app are left alone."""
    canary = make_canary(stages=[Stage(1.0)])
    with force_version("tool-v7"):
        assert canary.route("ada") == "v2"


def test_a_switch_comes_back_after_an_exception(make_canary: Make) -> None:
    """A failing test does not change the next one."""
    canary = make_canary(stages=[Stage(1.0)])
    with pytest.raises(RuntimeError), force_version("v1"), disabled():
        raise RuntimeError
    assert canary.route("ada") == "v2"

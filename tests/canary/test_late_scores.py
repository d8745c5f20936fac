"""Scores that come later, by the assignment's id, also on another host."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from agent_canary import AgentCanary, FindingStatus, MemoryStore, Rate, Rollout, Stage
from agent_canary.testing import ManualClock
from tests.canary.kit import counted, key_on

Make = Callable[..., AgentCanary]
THUMBS = Rate("thumbs_up", higher_is_better=True, horizon=60)


@pytest.fixture
def hosts(make_canary: Make) -> tuple[AgentCanary, AgentCanary]:
    """Return two hosts with one store and one secret: the first routes, the second takes feedback."""
    store = MemoryStore()
    options: dict[str, Any] = {
        "store": store,
        "secret": "of the team",
        "rollback_on": [THUMBS],
        "stages": [Stage(0.5, 0, 0), Stage(0.6, 0, 0), Stage(1.0)],
    }
    return make_canary(**options), make_canary(**options)


def scores(canary: AgentCanary, version: str) -> dict[str, Any]:
    """Return what was scored."""
    scored: dict[str, Any] = canary.metrics(version).snapshot()["scores"]
    return scored


def errors(canary: AgentCanary) -> dict[str, int]:
    """Return what was refused."""
    refused: dict[str, int] = canary.status()["errors"]
    return refused


def test_a_score_by_id_is_booked(canary: AgentCanary) -> None:
    """In this process, also without a secret, while the answer is open and after it has gone."""
    with canary.assign(key_on(canary, "v2")) as assignment:
        assert canary.score(assignment.id, "judge", 0.5) is True
    assert canary.score(assignment.id, "thumbs_up", 1) is True
    assert scores(canary, "v2") == {"judge": {"count": 1, "mean": 0.5}, "thumbs_up": {"count": 1, "mean": 1.0}}
    assert scores(canary, "v1") == {}


def test_another_host_books_it(hosts: tuple[AgentCanary, AgentCanary], clock: ManualClock) -> None:
    """Nothing is looked up: the id says it all. Once its horizon has passed it is evidence for all workers."""
    here, there = hosts
    ids = [here.assign(key_on(here, version, number)).id for number in range(60) for version in ("v1", "v2")]
    for index, assignment_id in enumerate(ids):
        assert there.score(assignment_id, "thumbs_up", index % 2 == 0 or index % 5 == 0)
    assert scores(there, "v2")["thumbs_up"]["count"] == 60
    clock.advance(59)
    there.tick()
    assert there.explain().findings[0].status is FindingStatus.NO_DATA
    clock.advance(3)
    there.tick()
    here.tick()
    (finding,) = there.explain().findings
    assert (finding.canary_total, finding.stable_total, finding.stable_bad) == (60, 60, 0)
    assert finding.status is FindingStatus.FAIL
    assert here.rollout.status.value == "rolled_back"


def test_a_score_belongs_to_the_stage_of_its_assignment(
    hosts: tuple[AgentCanary, AgentCanary], clock: ManualClock
) -> None:
    """It comes after two promotions: compared at the share that decided, and no number of the present stage."""
    here, there = hosts
    ids = [here.assign(key_on(here, version, number)).id for number in range(60) for version in ("v1", "v2")]
    here.rollout.promote()
    there.tick()
    for assignment_id in ids:
        assert there.score(assignment_id, "thumbs_up", 1)
    assert scores(there, "v2") == {}
    clock.advance(62)
    there.tick()
    (finding,) = there.explain().findings
    assert (finding.canary_total, finding.stable_total, finding.ratio) == (60, 60, None)


def test_the_id_tells_nobody_the_key(canary: AgentCanary) -> None:
    """It travels through browsers."""
    assignment_id = canary.assign("ada@example.org").id
    _, payload, _ = assignment_id.split(".")
    decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    assert "ada" not in assignment_id + decoded
    assert assignment_id.isascii()
    assert not set(assignment_id) & set("+/=&?#% ")
    assert len(assignment_id) < 200


# Repeated


def test_the_first_value_of_a_name_counts(hosts: tuple[AgentCanary, AgentCanary]) -> None:
    """A real-valued score that is repeated is recognised, a second opinion is not taken."""
    here, there = hosts
    assignment_id = here.assign("ada").id
    version = here.route("ada")
    for value in (0.25, 0.25, 1.0):
        assert there.score(assignment_id, "judge", value) is True
    assert scores(there, version) == {"judge": {"count": 1, "mean": 0.25}}


def test_a_repeated_0_1_score_changes_nothing(hosts: tuple[AgentCanary, AgentCanary], clock: ManualClock) -> None:
    """Which users met a bad one is a set, over all hosts."""
    here, there = hosts
    ids = [here.assign(key_on(here, "v2", number)).id for number in range(5)]
    for canary in (there, here, there):
        for assignment_id in ids:
            canary.score(assignment_id, "thumbs_up", 0)
    clock.advance(62)
    here.tick()
    there.tick()
    (finding,) = there.explain().findings
    assert finding.canary_bad_users == 5


def test_assignments_of_one_user_are_scored_apart(canary: AgentCanary, clock: ManualClock) -> None:
    """Two answers, two scores."""
    key = key_on(canary, "v2")
    first = canary.assign(key).id
    clock.advance(0.001)
    second = canary.assign(key).id
    assert first != second
    for assignment_id in (first, second, first):
        canary.score(assignment_id, "judge", 1)
    assert scores(canary, "v2")["judge"]["count"] == 2


# Refused


def tampered(assignment_id: str) -> str:
    """Return the id with the other arm in it."""
    version, payload, mac = assignment_id.split(".")
    fields = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    fields[2] = 1 - fields[2]
    changed = base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).rstrip(b"=").decode()
    return f"{version}.{changed}.{mac}"


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (tampered, "forged"),
        (lambda good: good[:-1] + ("A" if good[-1] != "A" else "B"), "forged"),
        (lambda good: good[: good.rindex(".") + 1], "forged"),
        (lambda good: good[: good.rindex(".") + 1] + "ключ", "forged"),
        (lambda good: "v2" + good[2:], "forged"),
        (lambda good: "", "malformed"),
        (lambda good: "v1.x", "malformed"),
        (lambda good: good + ".x", "malformed"),
        (lambda good: good * 10, "malformed"),
        (lambda good: None, "malformed"),
        (lambda good: 7, "malformed"),
        (lambda good: good.encode(), "malformed"),
        (lambda good: "." * 2, "forged"),
        (lambda good: "\ud800.\ud800.\ud800", "forged"),
    ],
)
def test_a_spoilt_id_is_refused(
    canary: AgentCanary, spoil: Callable[[str], Any], cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted by its cause, logged once, False, and never an exception."""
    spoilt = spoil(canary.assign("ada").id)
    assert canary.score(spoilt, "judge", 1) is False
    assert canary.score(spoilt, "judge", 1) is False
    assert errors(canary) == {f"score ({cause})": 2}
    assert len(caplog.records) == 1


def test_an_id_that_was_signed_and_cannot_be_read_is_refused(make_canary: Make) -> None:
    """Somebody with the secret signed another text."""
    canary = make_canary(secret="s")
    for text in ("v1.notbase64!", "v1.e30", "v1.WzFd", "v9." + canary.assign("a").id.split(".")[1]):
        assert canary.score(canary.sign(text), "judge", 1) is False
    assert errors(canary) == {"score (malformed)": 4}


def test_without_a_secret_ids_from_outside_are_refused(make_canary: Make) -> None:
    """Two hosts that were not given one do not take each other's, nor one made before a restart."""
    store = MemoryStore()
    here, there = make_canary(store=store), make_canary(store=store)
    assert there.score(here.assign("ada").id, "judge", 1) is False
    assert errors(there) == {"score (forged)": 1}


def test_another_secret_is_refused(make_canary: Make) -> None:
    """Text and bytes of the same letters are the same secret; another one is not."""
    here = make_canary(secret="one")
    assert make_canary(secret=b"one").score(here.assign("ada").id, "judge", 1) is True
    assert make_canary(secret="two").score(here.assign("ada").id, "judge", 1) is False


def test_an_id_of_another_rollout_is_refused(make_canary: Make) -> None:
    """Even under the same secret."""
    here, other = make_canary(secret="one", name="agent"), make_canary(secret="one", name="tool")
    assert other.score(here.assign("ada").id, "judge", 1) is False
    assert errors(other) == {"score (forged)": 1}


def test_secrets_may_be_rotated(make_canary: Make) -> None:
    """The newest signs, all are accepted, and one that was taken from the list is refused."""
    before, between, after = make_canary(secret="old"), make_canary(secret=["new", "old"]), make_canary(secret="new")
    old_id, new_id = before.assign("ada").id, between.assign("ada").id
    assert between.score(old_id, "judge", 1) is True
    assert after.score(new_id, "judge", 1) is True
    assert before.score(new_id, "judge", 1) is False
    assert after.score(old_id, "judge", 1) is False


def test_an_id_may_be_too_old(make_canary: Make, clock: ManualClock) -> None:
    """After a week by default, or what is said."""
    canary, quick = make_canary(secret="s"), make_canary(secret="s", id_max_age=timedelta(hours=1))
    assignment_id = canary.assign("ada").id
    clock.advance(3600)
    assert quick.score(assignment_id, "judge", 1) is True
    clock.advance(1)
    assert quick.score(assignment_id, "tone", 1) is False
    assert errors(quick) == {"score (too old)": 1}
    clock.advance(7 * 24 * 3600 - 3601)
    assert canary.score(assignment_id, "judge", 1) is True
    clock.advance(1)
    assert canary.score(assignment_id, "tone", 1) is False


def test_a_score_of_another_run_is_refused(canary: AgentCanary) -> None:
    """Its users were others, and its evidence is over."""
    assignment = canary.assign("ada")
    canary.rollout.restart()
    assert canary.score(assignment.id, "judge", 1) is False
    assert errors(canary) == {"score (other run)": 1}
    assignment.score("judge", 1)
    assert scores(canary, "v1") == scores(canary, "v2") == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, [1]])
def test_a_bad_value_is_refused(canary: AgentCanary, value: Any) -> None:
    """False; a good value may still follow."""
    assignment = canary.assign("ada")
    assert canary.score(assignment.id, "judge", value) is False
    assert errors(canary) == {"score (bad value)": 1}
    assert canary.score(assignment.id, "judge", 1) is True


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_bad_name_is_refused(canary: AgentCanary, name: Any) -> None:
    """The same."""
    assert canary.score(canary.assign("ada").id, name, 1) is False
    assert errors(canary) == {"score (bad value)": 1}


# Evidence


def test_a_watched_score_must_be_0_or_1(
    hosts: tuple[AgentCanary, AgentCanary], clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Another value is shown, and no evidence; it is said once."""
    here, _ = hosts
    key = key_on(here, "v2")
    here.score(here.assign(key).id, "thumbs_up", 0.5)
    clock.advance(62)
    here.tick()
    assert here.explain().findings[0].status is FindingStatus.NO_DATA
    assert "score 'thumbs_up' is watched as a rate: its values must be 0 or 1, got 0.5" in caplog.text


def test_a_score_after_its_horizon_is_shown_and_no_evidence(
    hosts: tuple[AgentCanary, AgentCanary], clock: ManualClock
) -> None:
    """What comes sooner in one arm must not look like more."""
    here, there = hosts
    ids = {version: here.assign(key_on(here, version)).id for version in ("v1", "v2")}
    clock.advance(70)
    there.tick()
    for assignment_id in ids.values():
        assert there.score(assignment_id, "thumbs_up", 0) is True
    clock.advance(70)
    there.tick()
    assert there.explain().findings[0].status is FindingStatus.NO_DATA
    assert scores(there, "v2")["thumbs_up"]["count"] == 1


def test_scores_of_the_targeted_are_no_evidence(make_canary: Make, clock: ManualClock) -> None:
    """An override's user was not randomised; the id says so on every host."""
    options: dict[str, Any] = {"secret": "s", "rollback_on": [THUMBS], "overrides": {"ada": "v2"}}
    here, there = make_canary(**options), make_canary(**options)
    assert there.score(here.assign("ada").id, "thumbs_up", 0) is True
    assert there.score(here.assign().id, "thumbs_up", 0) is True
    clock.advance(62)
    there.tick()
    (finding,) = there.explain().findings
    assert (finding.canary_total, finding.stable_total, finding.canary_bad_users) == (0, 0, 0)
    assert scores(there, "v2")["thumbs_up"]["count"] == 1
    assert counted(there, "v2") == (0, 0, 0)


def test_a_score_without_a_guardrail_is_only_shown(canary: AgentCanary, clock: ManualClock) -> None:
    """There is no finding about it."""
    canary.score(canary.assign(key_on(canary, "v2")).id, "judge", 0)
    clock.advance(62)
    canary.tick()
    assert [finding.guardrail for finding in canary.explain().findings] == ["failures", "latency", "sample_ratio"]
    assert scores(canary, "v2") == {"judge": {"count": 1, "mean": 0.0}}


# What is signed


def test_texts_may_be_signed_for_cookies(make_canary: Make) -> None:
    """What a canary signed it knows again, and nobody else's."""
    canary, other = make_canary(secret="s"), make_canary(secret="t")
    assert canary.has_secret
    assert not make_canary().has_secret
    assert canary.unsign(canary.sign("a.text")) == "a.text"
    assert canary.unsign(other.sign("a.text")) is None
    assert canary.unsign("a.text") is None
    assert canary.unsign("") is None


def test_a_score_for_other_versions_is_refused(make_canary: Make) -> None:
    """After a deploy of the next canary under one name and secret, nothing said of the last one is held against it."""
    before = make_canary(name="dep", secret="s", stages=[Stage(1.0)])
    after = AgentCanary("v2", "v3", Rollout([Stage(1.0)]), name="dep", secret="s", autopilot=False)
    assert not after.score(before.assign("ada").id, "judge", 1)
    assert after.status()["errors"] == {"score (other versions)": 1}


def test_a_score_of_an_assignment_of_another_run_is_refused(canary: AgentCanary) -> None:
    """It is counted, as it is by id."""
    assignment = canary.assign("ada")
    canary.rollout.restart()
    assignment.score("judge", 1)
    assert canary.status()["errors"] == {"score (other run)": 1}


def test_a_score_after_its_horizon_is_shown_counted_and_no_evidence() -> None:
    """Nobody has to wonder why a guardrail has no data."""
    clock = ManualClock()
    rollout = Rollout([Stage(0.5)], rollback_on=[Rate("thumbs_down")])
    canary = AgentCanary("v1", "v2", rollout, clock=clock, autopilot=False)
    with canary.assign("user-1") as assignment:
        pass
    clock.advance(70)
    canary.tick()
    assert canary.score(assignment.id, "thumbs_down", 1) is True
    assert canary.metrics(assignment.version).snapshot()["scores"]["thumbs_down"]["count"] == 1
    assert canary.status()["errors"] == {"score thumbs_down (after its horizon)": 1}

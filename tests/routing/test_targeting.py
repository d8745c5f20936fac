"""Overrides and cohorts: who gets a version for another reason than the stage's share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from agent_canary import Cohort
from agent_canary.routing.targeting import Overrides, Targeting
from agent_canary.sticky_key import bucket_of, digest_of


def targeting(overrides: Overrides | None = None, *cohorts: Cohort) -> Targeting:
    """Targeting between v1, the stable version, and v2, the canary."""
    return Targeting(overrides, cohorts, "v1", "v2")


def decided(aim: Targeting, key: Any, context: Mapping[str, Any] | None = None) -> bool | None:
    """What is decided of a key that is hashed without a salt."""
    return aim.is_canary(key, None if key is None else digest_of(b"", key), context)


def is_staff(context: Mapping[str, Any]) -> object:
    """A cohort's condition."""
    return context.get("staff")


def test_without_overrides_and_cohorts_there_is_no_targeting() -> None:
    """It is false, so that the request path can skip it, and leaves every key to the share."""
    assert not targeting()
    assert not targeting({})
    assert decided(targeting(), "user") is None


def test_overrides_and_cohorts_make_it_true() -> None:
    """A mapping, a callable or a cohort each count."""
    assert targeting({"user": "v2"})
    assert targeting(lambda key, context: None)
    assert targeting(None, Cohort("staff", is_staff, 1.0))


def test_an_override_by_key_sends_that_key_only() -> None:
    """Both arms can be forced, and everybody else is left to the share."""
    aim = targeting({"tester": "v2", "important": "v1", 42: "v2"})
    assert decided(aim, "tester") is True
    assert decided(aim, "important") is False
    assert decided(aim, 42) is True
    assert decided(aim, "somebody") is None
    assert decided(aim, None) is None


def test_a_mapping_is_copied() -> None:
    """A change of the caller's mapping after construction, unchecked as it is, changes no routing."""
    overrides = {"tester": "v2"}
    aim = targeting(overrides)
    overrides["tester"] = "v3"
    assert decided(aim, "tester") is True


def test_a_callable_override_sees_key_and_context() -> None:
    """It returns a version, or None for no opinion, and gets an empty mapping where there is no context."""
    seen: list[tuple[Any, Mapping[str, Any]]] = []

    def choose(key: Any, context: Mapping[str, Any]) -> str | None:
        seen.append((key, context))
        return context.get("version")

    aim = targeting(choose)
    assert decided(aim, "user", {"version": "v2"}) is True
    assert decided(aim, "user", {"version": "v1"}) is False
    assert decided(aim, "user") is None
    assert decided(aim, None) is None
    assert seen == [("user", {"version": "v2"}), ("user", {"version": "v1"}), ("user", {}), (None, {})]


def test_a_cohort_gets_its_own_share() -> None:
    """Members at 100 % are on the canary, at 0 % on stable; others are left to the stage's share."""
    aim = targeting(None, Cohort("staff", is_staff, 1.0), Cohort("paying", lambda context: context.get("paying"), 0.0))
    assert decided(aim, "user", {"staff": True}) is True
    assert decided(aim, "user", {"paying": 1}) is False
    assert decided(aim, "user", {"staff": False}) is None
    assert decided(aim, "user") is None


def test_a_cohorts_share_goes_by_the_same_bucket() -> None:
    """At half a cohort, its members on the canary are those whose bucket is below a half."""
    aim = targeting(None, Cohort("beta", lambda context: True, 0.5))
    keys = [f"user-{number}" for number in range(200)]
    assert [decided(aim, key) for key in keys] == [bucket_of(digest_of(b"", key)) < 0.5 for key in keys]


def test_the_first_matching_cohort_counts() -> None:
    """A staff member who pays is staff if staff stands first."""
    staff, paying = Cohort("staff", is_staff, 1.0), Cohort("paying", lambda context: True, 0.0)
    assert decided(targeting(None, staff, paying), "user", {"staff": True}) is True
    assert decided(targeting(None, paying, staff), "user", {"staff": True}) is False


def test_an_override_comes_before_a_cohort() -> None:
    """A single user's version is meant more than a group's."""
    aim = targeting({"boss": "v1"}, Cohort("staff", is_staff, 1.0))
    assert decided(aim, "boss", {"staff": True}) is False
    assert decided(aim, "clerk", {"staff": True}) is True


def test_a_member_without_a_key_is_on_the_canary_only_of_a_whole_cohort() -> None:
    """Without a key nothing can be sticky: a part of a cohort means stable, the whole of it the canary."""
    assert decided(targeting(None, Cohort("all", lambda context: True, 1.0)), None) is True
    assert decided(targeting(None, Cohort("most", lambda context: True, 0.99)), None) is False
    assert decided(targeting(None, Cohort("none", lambda context: True, 0.0)), None) is False


def test_an_unknown_version_of_a_callable_is_an_error() -> None:
    """The canary counts and logs it, and sends the request to stable; the error names both versions."""
    with pytest.raises(ValueError, match=r"an override must be one of \('v1', 'v2'\), got 'v3'"):
        decided(targeting(lambda key, context: "v3"), "user")


def test_what_a_condition_raises_is_not_hidden() -> None:
    """It reaches the canary, which counts and logs it."""
    with pytest.raises(ZeroDivisionError):
        decided(targeting(None, Cohort("broken", lambda context: 1 / 0, 1.0)), "user")


def test_an_unknown_version_in_a_mapping_is_refused_at_construction() -> None:
    """A typing mistake is found when the app starts, not at the user's request."""
    with pytest.raises(ValueError, match=r"an override must be one of \('v1', 'v2'\), got 'v3'"):
        targeting({"user": "v2", "other": "v3"})


def test_overrides_of_another_type_are_refused_without_showing_keys() -> None:
    """A list of keys is a plausible mistake; the error does not print the users."""
    wrong: Any = ["alice@example.com"]
    with pytest.raises(
        ValueError, match=r"overrides must be a mapping of sticky keys to versions, .*got a list"
    ) as caught:
        targeting(wrong)
    assert "alice" not in str(caught.value)


@pytest.mark.parametrize("cohorts", [Cohort("staff", is_staff, 1.0), [("staff", is_staff, 1.0)], None])
def test_cohorts_that_are_no_sequence_of_cohorts_are_refused(cohorts: Any) -> None:
    """A single cohort without brackets and a tuple of its parts are plausible mistakes."""
    with pytest.raises(ValueError, match="cohorts must be a sequence of Cohort objects, got"):
        Targeting(None, cohorts, "v1", "v2")


@pytest.mark.parametrize("share", [-0.1, 1.5, 25, float("nan"), "1", None])
def test_a_cohorts_share_outside_of_zero_to_one_is_refused(share: Any) -> None:
    """25 for 25 % is a mistake."""
    with pytest.raises(ValueError, match=r"traffic_share must be a number in \[0, 1\], got"):
        Cohort("staff", is_staff, share)


def test_a_cohorts_condition_must_be_callable() -> None:
    """A condition that is no callable is found at construction."""
    wrong: Any = {"staff": True}
    with pytest.raises(ValueError, match="when must be a callable of the context, got"):
        Cohort("staff", wrong, 1.0)


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_cohort_must_have_a_name(name: Any) -> None:
    """Reports show it."""
    with pytest.raises(ValueError, match="name must be a non-empty str, got"):
        Cohort(name, is_staff, 1.0)


def test_a_cohort_cannot_be_changed() -> None:
    """What was agreed at construction holds."""
    cohort = Cohort("staff", is_staff, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        cohort.traffic_share = 0.0  # type: ignore[misc]

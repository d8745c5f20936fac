"""The router: who gets the canary, for ever the same, and no more of them than the share says."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary import CanaryRouter, Decision
from agent_canary.sticky_key import cluster_of, digest_of, salt_prefix

KEYS = st.one_of(st.text(), st.integers(-(2**70), 2**70), st.uuids())
SHARES = st.floats(0.0, 1.0)


def chi_square(observed: Counter[int], cells: int) -> float:
    """Pearson's statistic against equal chances of all cells."""
    expected = observed.total() / cells
    return sum((observed[cell] - expected) ** 2 / expected for cell in range(cells))


@given(KEYS, st.text(), SHARES)
def test_a_key_is_on_the_canary_while_its_bucket_is_below_the_share(key: Any, salt: str, share: float) -> None:
    """The decision is the comparison of the published bucket with the share."""
    router = CanaryRouter(share, salt=salt)
    assert router.decide(key) is (Decision.CANARY if router.bucket(key) < share else Decision.STABLE)


@given(KEYS, st.text(), SHARES)
def test_a_key_gets_the_same_arm_again_and_from_another_router(key: Any, salt: str, share: float) -> None:
    """Nothing but key, salt and share decides: no state, no process, no earlier call."""
    router = CanaryRouter(share, salt=salt)
    assert router.decide(key) is router.decide(key) is CanaryRouter(share, salt=salt).decide(key)


@given(st.lists(KEYS), SHARES, SHARES)
def test_the_canarys_keys_only_grow_with_the_share(keys: list[Any], one: float, other: float) -> None:
    """After an update to a larger share, whoever was on the canary still is."""
    small, large = sorted((one, other))
    router = CanaryRouter(small)
    before = [key for key in keys if router.decide(key) is Decision.CANARY]
    router.update_percent(large)
    assert all(router.decide(key) is Decision.CANARY for key in before)


@given(KEYS)
def test_a_share_of_zero_is_nobody_and_of_one_everybody(key: Any) -> None:
    """0 means 0, also without a key, and 1 means all."""
    assert CanaryRouter(0.0).decide(key) is CanaryRouter(0.0).decide() is Decision.STABLE
    assert CanaryRouter(1.0).decide(key) is CanaryRouter(1.0).decide() is Decision.CANARY


def test_buckets_are_uniform() -> None:
    """A hundred thousand keys fill a thousand cells evenly: chi-square below its 99.9 % quantile, 1,143.9."""
    router = CanaryRouter(0.5, salt="uniform")
    cells = Counter(int(router.bucket(f"user-{number}") * 1000) for number in range(100_000))
    assert chi_square(cells, 1000) < 1143.9


def test_clusters_are_uniform_and_independent_of_the_bucket() -> None:
    """Among keys of the canary at 10 % the 64 clusters are as even as among all: 99.9 % quantile at 63 is 103.4."""
    prefix = salt_prefix("clusters")
    digests = [digest_of(prefix, f"user-{number}") for number in range(100_000)]
    canary = [digest for digest in digests if CanaryRouter(0.1, salt="clusters")._threshold > digest]
    assert 9_500 < len(canary) < 10_500
    assert chi_square(Counter(map(cluster_of, digests)), 64) < 103.4
    assert chi_square(Counter(map(cluster_of, canary)), 64) < 103.4


def test_another_salt_chooses_other_users() -> None:
    """Two rollouts at 5 % share about one canary user in twenty, not all of them."""
    one, other = CanaryRouter(0.05, salt="one"), CanaryRouter(0.05, salt="other")
    users = [f"user-{number}" for number in range(20_000)]
    first = {user for user in users if one.decide(user) is Decision.CANARY}
    second = {user for user in users if other.decide(user) is Decision.CANARY}
    assert 800 < len(first) < 1200
    assert 20 < len(first & second) < 90


def test_without_a_key_each_call_tosses_a_fresh_coin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unkeyed traffic is split by the share, call by call."""
    monkeypatch.setattr(random, "random", random.Random(7).random)
    decisions = Counter(CanaryRouter(0.25).decide() for _ in range(10_000))
    assert 2_300 < decisions[Decision.CANARY] < 2_700


def test_a_coin_of_exactly_zero_is_not_the_canary_of_a_share_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 means 0, whatever falls."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    assert CanaryRouter(0.0).decide() is Decision.STABLE


def test_an_empty_key_is_a_key() -> None:
    """The empty text is somebody, who stays on one version; only None is nobody."""
    router = CanaryRouter(0.8286)
    assert {router.decide("") for _ in range(50)} == {Decision.CANARY}
    assert {CanaryRouter(0.8285).decide("") for _ in range(50)} == {Decision.STABLE}


def test_a_zero_is_a_key() -> None:
    """User number 0 is hashed as the text "0", not taken for no key."""
    assert CanaryRouter(0.5).bucket(0) == CanaryRouter(0.5).bucket("0")
    assert len({CanaryRouter(0.5).decide(0) for _ in range(50)}) == 1


def test_decisions_are_texts() -> None:
    """Decisions compare with, and are serialised as, the original's texts."""
    assert Decision.STABLE == "stable"
    assert Decision.CANARY == "canary"
    assert json.dumps([Decision.STABLE, Decision.CANARY]) == '["stable", "canary"]'


def test_the_original_calls_work() -> None:
    """`CanaryRouter(canary_percent).decide(sticky_key=...)` and `update_percent(...)`, as before."""
    router = CanaryRouter(canary_percent=0.0)
    assert router.decide(sticky_key="user-2") is Decision.STABLE
    router.update_percent(0.25)
    assert router.canary_percent == 0.25
    assert router.decide(sticky_key="user-2") is Decision.CANARY
    assert router.bucket("user-2") == 0.23963630944490433


def test_a_router_shows_what_it_is() -> None:
    """Its representation could be typed back in."""
    assert repr(CanaryRouter(0.05, salt="s")) == "CanaryRouter(0.05, salt='s')"


@pytest.mark.parametrize("percent", [-0.01, 1.01, 5, float("nan"), float("inf"), "0.1", None, True])
def test_a_percent_outside_of_zero_to_one_is_refused(percent: Any) -> None:
    """The error names the parameter, the range and the value, and the router keeps its share."""
    with pytest.raises(ValueError, match=r"canary_percent must be a number in \[0, 1\], got"):
        CanaryRouter(percent)
    router = CanaryRouter(0.5)
    with pytest.raises(ValueError, match=r"^percent must be a number in \[0, 1\], got"):
        router.update_percent(percent)
    assert (router.canary_percent, router.decide("user-2")) == (0.5, Decision.CANARY)


@pytest.mark.parametrize("salt", [None, 5, b"salt"])
def test_a_salt_that_is_no_text_is_refused(salt: Any) -> None:
    """A salt of bytes would fail at the first request; it fails at construction."""
    with pytest.raises(ValueError, match="salt must be a str, got"):
        CanaryRouter(0.5, salt=salt)


@pytest.mark.parametrize("key", [True, 1.5, b"user", ["user"]])
def test_a_key_that_is_none_of_str_int_and_uuid_is_refused(key: Any) -> None:
    """The error says what a key is."""
    with pytest.raises(TypeError, match="a sticky key is a str, an int or a UUID"):
        CanaryRouter(0.5).decide(key)
    with pytest.raises(TypeError, match="a sticky key is a str, an int or a UUID"):
        CanaryRouter(0.5).bucket(key)


def test_a_uuid_is_routed_as_its_text() -> None:
    """A UUID object and its text are the same user."""
    key = uuid.UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479")
    assert CanaryRouter(0.5, salt="s").bucket(key) == CanaryRouter(0.5, salt="s").bucket(str(key))

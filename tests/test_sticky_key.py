"""The hash of a sticky key: what keys are, how a digest is read, and the threshold that spares the number."""

from __future__ import annotations

import enum
import hashlib
import uuid
from math import ceil, nextafter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_canary.sticky_key import (
    CLUSTERS,
    bucket_of,
    cluster_of,
    digest_of,
    key_bytes,
    salt_prefix,
    text_bytes,
    threshold_of,
    unit_of,
)

DIGESTS = st.binary(min_size=16, max_size=16)
SHARES = st.one_of(
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0**-30),
    st.integers(0, 2**32).map(lambda bound: bound / 2**32),
    st.integers(0, 2**34).map(lambda bound: bound / 2**34),
)
TEXTS = st.text(st.characters(codec=None, categories=None, exclude_categories=()))


@given(st.text())
def test_text_is_hashed_as_utf8(text: str) -> None:
    """Any text without lone surrogates has the bytes of its UTF-8."""
    assert text_bytes(text) == text.encode()


def test_lone_surrogates_do_not_raise_and_stay_apart() -> None:
    """Half a surrogate pair, as broken clients send it, has bytes of its own."""
    keys = ["\ud800", "\udfff", "a\ud83d", "?", "\ufffd"]
    assert len({text_bytes(key) for key in keys}) == len(keys)
    assert text_bytes("\ud800") == b"\xed\xa0\x80"


@given(TEXTS, TEXTS)
def test_different_texts_have_different_bytes(one: str, other: str) -> None:
    """No two keys are confused before they are hashed, surrogates included."""
    assert (text_bytes(one) == text_bytes(other)) == (one == other)


@given(st.integers(-(10**30), 10**30))
def test_an_integer_is_its_text(number: int) -> None:
    """A user id is on the same version whether it comes as 42 or as "42"."""
    assert key_bytes(number) == key_bytes(str(number)) == str(number).encode()


@given(st.uuids())
def test_a_uuid_is_its_text(key: uuid.UUID) -> None:
    """A UUID is on the same version whether it comes as an object or as its usual text."""
    assert key_bytes(key) == str(key).encode()


def test_a_subclass_of_str_or_int_is_a_key() -> None:
    """Enumerations and frameworks' own kinds of text are hashed as what they are."""

    class Tenant(enum.IntEnum):
        ACME = 7

    class Name(str):
        __slots__ = ()

    assert key_bytes(Tenant.ACME) == b"7"
    assert key_bytes(Name("acme")) == b"acme"


@pytest.mark.parametrize("key", [None, True, 1.5, b"user", ("user",), object()], ids=lambda key: type(key).__name__)
def test_a_key_of_another_type_is_refused(key: object) -> None:
    """The error names the type and never the key itself, which may be personal."""
    with pytest.raises(TypeError, match=f"str, an int or a UUID, got {type(key).__name__}; pass str") as caught:
        digest_of(b"", key)
    assert "user" not in str(caught.value)


def test_the_digest_is_md5_of_salt_separator_and_key() -> None:
    """Between salt and key stands the byte 0x1F; without a salt there is only the key."""
    assert salt_prefix("") == b""
    assert salt_prefix("sälz") == "sälz".encode() + b"\x1f"
    assert digest_of(salt_prefix("salt"), "key") == hashlib.md5(b"salt\x1fkey").digest()
    assert digest_of(salt_prefix(""), "key") == hashlib.md5(b"key").digest()


def test_salt_and_key_do_not_run_into_each_other() -> None:
    """Moving a letter from the salt to the key makes another digest."""
    assert digest_of(salt_prefix("ab"), "c") != digest_of(salt_prefix("a"), "bc")


def test_a_salt_may_have_lone_surrogates() -> None:
    """A rollout with a broken name routes all the same."""
    assert digest_of(salt_prefix("\ud800"), "key") != digest_of(salt_prefix("\udc00"), "key")


def test_the_digest_is_read_as_documented() -> None:
    """Bytes 0 to 3 are the bucket, the lower six bits of byte 4 the cluster, bytes 8 to 15 the unit."""
    digest = bytes.fromhex("80000001 ff 010203 0011223344556677")
    assert bucket_of(digest) == 0.5 + 2.0**-32
    assert cluster_of(digest) == 63
    assert unit_of(digest) == 0x0011223344556677


@given(DIGESTS)
def test_bucket_cluster_and_unit_are_in_their_ranges(digest: bytes) -> None:
    """The bucket is a multiple of 2^-32 in [0, 1), the cluster below 64, the unit a 64-bit number."""
    assert 0.0 <= bucket_of(digest) <= 1.0 - 2.0**-32
    assert (bucket_of(digest) * 2**32).is_integer()
    assert 0 <= cluster_of(digest) < CLUSTERS == 64
    assert 0 <= unit_of(digest) < 2**64


@given(DIGESTS, SHARES)
@example(bytes(16), 0.0)
@example(bytes(16), 5e-324)
@example(b"\x00\x00\x00\x01" + bytes(12), 2.0**-32)
@example(b"\xff" * 16, 1.0)
@example(b"\xff" * 16, 1.0 - 2.0**-32)
@example(b"\xff" * 16, 1.0 - 2.0**-33)
@example(b"\xff" * 16, nextafter(1.0 - 2.0**-32, 1.0))
def test_a_digest_is_below_the_threshold_exactly_when_its_bucket_is_below_the_share(
    digest: bytes, share: float
) -> None:
    """Comparing bytes and comparing numbers is the same for every share."""
    assert (digest < threshold_of(share)) == (bucket_of(digest) < share)


@given(SHARES, st.binary(min_size=12, max_size=12))
def test_the_threshold_is_exact_at_its_own_edge(share: float, rest: bytes) -> None:
    """The first bucket that is not below the share, and the last one that is, fall on the right sides."""
    bound = ceil(share * 2**32)
    for number in {max(0, bound - 1), min(2**32 - 1, bound)}:
        digest = number.to_bytes(4, "big") + rest
        assert (digest < threshold_of(share)) == (number / 2**32 < share)


@given(DIGESTS, SHARES, SHARES)
def test_a_larger_share_keeps_every_key(digest: bytes, one: float, other: float) -> None:
    """Who is on the canary at a share is on it at each larger one."""
    small, large = sorted((one, other))
    assert (digest < threshold_of(small)) <= (digest < threshold_of(large))


@given(DIGESTS)
def test_no_share_is_nobody_and_the_whole_share_is_everybody(digest: bytes) -> None:
    """0 means 0 and 1 means all, to the last digest."""
    assert not digest < threshold_of(0.0)
    assert not digest < threshold_of(-0.0)
    assert digest < threshold_of(1.0)

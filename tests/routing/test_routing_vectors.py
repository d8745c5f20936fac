"""The published vectors freeze the hash for ever: this file may grow, and no line of it may change."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_canary import AgentCanary, CanaryRouter
from agent_canary.sticky_key import StickyKey, bucket_of, cluster_of, digest_of, salt_prefix, unit_of

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))["vectors"]
KINDS: dict[str, Callable[[str], StickyKey]] = {"str": str, "int": int, "uuid": uuid.UUID}

MANY_BUCKETS = """
import sys
from agent_canary import CanaryRouter

router = CanaryRouter(0.05, salt="support-agent agent-v1.1.0")
sys.stdout.write(" ".join(repr(router.bucket(f"user-{number}")) for number in range(1000)))
"""


def key_of(vector: dict[str, Any]) -> StickyKey:
    """The sticky key of a vector."""
    return KINDS[vector["kind"]](vector["key"] * vector.get("times", 1))


def named(vector: dict[str, Any]) -> str:
    """A name for a test of one vector."""
    return ascii(f"{vector['salt'][:7]}|{vector['kind']}|{vector['key']}")


def test_every_kind_of_key_has_a_vector() -> None:
    """ASCII, Unicode, empty, very long, lone surrogates, integers and UUIDs, with a salt and without."""
    for salt in ("", "support-agent agent-v1.1.0"):
        keys = [key_of(vector) for vector in VECTORS if vector["salt"] == salt]
        texts = [key for key in keys if isinstance(key, str)]
        assert {type(key) for key in keys} == {str, int, uuid.UUID}
        assert "" in texts
        assert any(len(text) > 100_000 for text in texts)
        assert any(text.isascii() and text for text in texts)
        assert any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)
        assert any(letter > "\uffff" for text in texts for letter in text)


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_the_vectors_are_md5(vector: dict[str, Any]) -> None:
    """Each vector follows from a few lines of hashlib that share nothing with the library."""
    salt, key = vector["salt"], vector["key"] * vector.get("times", 1)
    hashed = f"{salt}\x1f{key}" if salt else key
    digest = hashlib.md5(hashed.encode("utf-8", "surrogatepass")).hexdigest()
    assert vector["bucket"] == int(digest[:8], 16) / 0x100000000
    assert vector["cluster"] == int(digest[8:10], 16) % 64
    assert vector["unit"] == digest[16:]


@pytest.mark.parametrize("vector", VECTORS, ids=named)
def test_the_library_gives_the_vectors(vector: dict[str, Any]) -> None:
    """Bucket, cluster and unit of each key are the published ones."""
    digest = digest_of(salt_prefix(vector["salt"]), key_of(vector))
    assert bucket_of(digest) == vector["bucket"]
    assert cluster_of(digest) == vector["cluster"]
    assert f"{unit_of(digest):016x}" == vector["unit"]
    assert CanaryRouter(0.5, salt=vector["salt"]).bucket(key_of(vector)) == vector["bucket"]


@pytest.mark.parametrize(
    "key", sorted({key_of(vector) for vector in VECTORS}, key=ascii), ids=lambda key: ascii(key)[:20]
)
def test_a_canary_hashes_as_the_vectors_do(key: StickyKey) -> None:
    """The request path, which has its own copy of the hash, puts a key where the vectors' hash puts it."""
    canary = AgentCanary("v1", "v2", autopilot=False)
    with canary.assign(key) as assignment:
        digest = digest_of(salt_prefix(canary.rollout.state.salt), key)
    assert assignment.digest == digest
    assert (assignment.bucket, assignment.cluster, assignment.unit) == (
        bucket_of(digest),
        cluster_of(digest),
        unit_of(digest),
    )


@pytest.mark.parametrize(
    ("key", "first_bits"), [("", 0xD41D8CD9), ("a", 0x0CC175B9), ("abc", 0x90015098), ("message digest", 0xF96B697D)]
)
def test_without_a_salt_the_bucket_is_the_first_32_bits_of_md5(key: str, first_bits: int) -> None:
    """The original's buckets: the digests are those of RFC 1321's own test suite."""
    assert CanaryRouter(0.5).bucket(key) == first_bits / 2**32


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_gives_the_same_buckets(hash_seed: str) -> None:
    """A process with another hash seed of Python's own puts a thousand keys into the same buckets."""
    router = CanaryRouter(0.05, salt="support-agent agent-v1.1.0")
    printed = subprocess.run(
        [sys.executable, "-c", MANY_BUCKETS],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
        timeout=60,
        encoding="utf-8",
    ).stdout
    assert printed.split() == [repr(router.bucket(f"user-{number}")) for number in range(1000)]

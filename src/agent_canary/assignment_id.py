"""The text that names an assignment: self-contained, signed, without a sticky key.

``v1.<payload>.<mac>``: the payload is URL-safe base64 of a JSON array, the mac the first 16 bytes of HMAC-SHA256
(RFC 2104) over the rollout's name and the payload. Whoever holds the secret can read and book it; nothing is looked up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

_VERSION = "v1"
_MAC_BYTES = 16
_MAX_LENGTH = 1024

Secret = str | bytes


class RefusedIdError(Exception):
    """An assignment id that is not ours, is damaged or is too old; ``cause`` is one of malformed, forged, too_old."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class AssignmentRecord:
    """What an assignment's id says.

    Attributes:
        run: The rollout's run, from 1.
        versions: A hash of the two versions, see :func:`hash_of`.
        is_canary: Whether the canary answered.
        is_evidence: Whether the key's hash against the share decided.
        stage_idx: The stage, from 0.
        share: The share that decided, in [0, 1].
        unit: The key's 64-bit hash; None without a key.
        cluster: The key's cluster, 0 to 63; None without a key.
        started_at: When it was assigned, wall-clock seconds, to the microsecond.
    """

    run: int
    versions: str
    is_canary: bool
    is_evidence: bool
    stage_idx: int
    share: float
    unit: int | None
    cluster: int | None
    started_at: float


class Signer:
    """Signs texts with a canary's secret.

    Args:
        name: The rollout's name; a text signed for one rollout is refused by another.
        secrets_: The secret, or several, newest first: the first signs, all are accepted (rotation). Without one a
            random secret of this process signs, so that texts from outside are refused.

    Raises:
        ValueError: A secret is empty, or the list is.
    """

    def __init__(self, name: str, secrets_: Secret | Sequence[Secret] | None) -> None:
        self.has_secret = secrets_ is not None
        if secrets_ is None:
            secrets_ = secrets.token_bytes(32)
        listed = _listed(secrets_)
        found = [type(one).__name__ for one in listed]
        if not listed or not all(listed) or not {"str", "bytes"}.issuperset(found):
            raise ValueError(
                "secret must be a non-empty str or bytes, or a non-empty sequence of them (newest first), "
                f"got {found or type(secrets_).__name__}; make one with secrets.token_hex(32)"
            )
        purpose = b"agent_canary\x1f" + name.encode("utf-8", "surrogatepass") + b"\x1f"
        self._keys = [hashlib.sha256(purpose + _as_bytes(one)).digest() for one in listed]

    def sign(self, text: str) -> str:
        """Return *text*, a dot, and its mac."""
        return f"{text}.{self._mac(self._keys[0], text)}"

    def unsign(self, signed: str) -> str | None:
        """Return the text that was signed, or None when the mac is not by any of our secrets."""
        text, dot, mac = signed.rpartition(".")
        if not dot:
            return None
        given = mac.encode("utf-8", "replace")
        matches = [hmac.compare_digest(self._mac(key, text).encode(), given) for key in self._keys]
        return text if any(matches) else None

    @staticmethod
    def _mac(key: bytes, text: str) -> str:
        mac = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")[:_MAC_BYTES]
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def hash_of(versions: tuple[str, str]) -> str:
    """Return eight hexadecimal digits for a stable and a canary version."""
    return hashlib.sha256("\x1f".join(versions).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def encode(record: AssignmentRecord, signer: Signer) -> str:
    """Return the signed text of *record*."""
    fields = [
        record.run,
        record.versions,
        int(record.is_canary),
        int(record.is_evidence),
        record.stage_idx,
        record.share,
        None if record.unit is None else f"{record.unit:x}",
        record.cluster,
        round(record.started_at * 1e6),
    ]
    payload = base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).rstrip(b"=").decode()
    return signer.sign(f"{_VERSION}.{payload}")


def decode(text: object, signer: Signer) -> AssignmentRecord:
    """Read an assignment's id.

    Raises:
        RefusedIdError: It is malformed, or not signed by one of our secrets.
    """
    if not isinstance(text, str) or len(text) > _MAX_LENGTH or text.count(".") != 2:
        raise RefusedIdError("malformed", "an assignment id is the text of assignment.id")
    signed = signer.unsign(text)
    if signed is None:
        raise RefusedIdError("forged", "the assignment id is not signed by a secret of this canary")
    version, _, payload = signed.partition(".")
    try:
        fields = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        run, versions, is_canary, is_evidence, stage_idx, share, unit, cluster, microseconds = fields
        unit = None if unit is None else int(unit, 16)
    except (binascii.Error, ValueError, TypeError) as error:
        raise RefusedIdError("malformed", f"the assignment id cannot be read: {error}") from error
    if version != _VERSION:
        raise RefusedIdError("malformed", f"the assignment id is of format {version!r}, {_VERSION!r} can be read")
    return AssignmentRecord(
        run, versions, bool(is_canary), bool(is_evidence), stage_idx, share, unit, cluster, microseconds / 1e6
    )


def _listed(secret: object) -> list[Secret]:
    if isinstance(secret, str | bytes):
        return [secret]
    return list(cast("Iterable[Secret]", secret)) if isinstance(secret, Iterable) else []


def _as_bytes(secret: Secret) -> bytes:
    return secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")

"""Who gets a version for another reason than the stage's share: overrides first, then cohorts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..sticky_key import key_bytes, threshold_of
from .cohort import Cohort

Overrides = Mapping[Any, str] | Callable[[Any, Mapping[str, Any]], str | None]

_NO_CONTEXT: Mapping[str, Any] = {}


class Targeting:
    """Overrides and cohorts of a canary.

    Args:
        overrides: Versions by sticky key, or a callable of key and context that returns a version or None.
        cohorts: The first one whose ``when`` is true of the context counts.
        stable: The stable version.
        canary: The canary version.

    Raises:
        ValueError: An override names another version, *overrides* is neither a mapping nor a callable, or *cohorts*
            is no sequence of cohorts.
    """

    def __init__(self, overrides: Overrides | None, cohorts: Sequence[Cohort], stable: str, canary: str) -> None:
        self._versions = (stable, canary)
        self._mapping: dict[bytes, str] = {}
        self._choose: Callable[[Any, Mapping[str, Any]], str | None] | None = None
        if isinstance(overrides, Mapping):
            mapping = cast("Mapping[object, str]", overrides)
            self._mapping = {_bytes_of(key): version for key, version in mapping.items()}
        elif overrides is not None:
            if not callable(overrides):
                raise ValueError(
                    "overrides must be a mapping of sticky keys to versions, a callable of key and context, or None, "
                    f"got a {type(overrides).__name__}"
                )
            self._choose = overrides
        for version in self._mapping.values():
            self._checked(version)
        if not isinstance(cohorts, Sequence) or not all(map(_is_cohort, cohorts)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"cohorts must be a sequence of Cohort objects, got {cohorts!r}")
        self._cohorts = tuple(cohorts)

    def __bool__(self) -> bool:
        return bool(self._mapping or self._choose or self._cohorts)

    def is_canary(self, key: Any, digest: bytes | None, context: Mapping[str, Any] | None) -> bool | None:
        """Return which arm *key* is targeted to; None when the stage's share decides.

        Raises:
            Exception: Whatever a user's callable raises, or ValueError for a version that is neither of the two.
        """
        context = _NO_CONTEXT if context is None else context
        version = self._mapping.get(key_bytes(key)) if self._mapping and key is not None else None
        if version is None and self._choose is not None:
            version = self._choose(key, context)
        if version is not None:
            return self._checked(version) == self._versions[1]
        for cohort in self._cohorts:
            if cohort.when(context):
                if digest is None:
                    return cohort.traffic_share >= 1.0
                return digest < threshold_of(cohort.traffic_share)
        return None

    def _checked(self, version: str) -> str:
        if version not in self._versions:
            raise ValueError(f"an override must be one of {self._versions!r}, got {version!r}")
        return version


def _bytes_of(key: object) -> bytes:
    """The key as it is hashed: 8 and "8" are one user."""
    try:
        return key_bytes(key)
    except TypeError as error:
        raise ValueError(f"overrides must have sticky keys as keys: {error}") from None


def _is_cohort(value: object) -> bool:
    return isinstance(value, Cohort)

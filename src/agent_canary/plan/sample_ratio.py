"""The guardrail of the split itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SampleRatio:
    """Whether the canary's share of first-seen users is the share that was meant for it.

    A share that is not tells of lost or doubled records, and then no other comparison can be trusted. It counts users
    with a sticky key, never requests.
    """

    @property
    def name(self) -> str:
        """``sample_ratio``."""
        return "sample_ratio"

    def to_json(self) -> dict[str, Any]:
        """Return type and name."""
        return {"type": "sample_ratio", "name": self.name}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SampleRatio:
        """Read what :meth:`to_json` wrote; there is nothing in it to refuse."""
        del data
        return cls()

"""One entry of a rollout's append-only history, and its JSON."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from numbers import Integral, Real
from typing import Any

from ..errors import require_count
from ..plan.reading import is_array, is_mapping, require_entry, require_mapping, require_text


class EventKind(str, Enum):
    """What happened to the rollout."""

    STARTED = "started"
    PROMOTED = "promoted"
    PAUSED = "paused"
    RESUMED = "resumed"
    ROLLED_BACK = "rolled_back"
    COMPLETED = "completed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, init=False)
class Event:
    """What happened, when, by whom and why.

    Attributes:
        revision: Place in the history: 1, 2, … without a gap.
        id: Random hex digits, made when the event is.
        at: When it was decided, seconds since the Unix epoch.
        kind: What happened.
        run: The run it belongs to: 1, 2, ….
        actor: A person's name, or ``auto`` for the library.
        reason: A sentence.
        evidence: JSON object with the numbers behind the reason; None without.
        effective_at: From when on users feel it, seconds since the Unix epoch; *at* by default. Only a rise of the
            traffic share waits for it.
        data: JSON object that depends on the kind. started: ``stable_version``, ``canary_version``, ``plan``, ``salt``;
            promoted: ``stage``, the index that is entered; paused: ``to_stable``; empty otherwise.
    """

    revision: int
    id: str
    at: float
    kind: EventKind
    run: int
    actor: str
    reason: str
    evidence: Mapping[str, Any] | None
    effective_at: float
    data: Mapping[str, Any]

    def __init__(
        self,
        revision: int,
        id: str,  # noqa: A002
        at: float,
        kind: EventKind,
        run: int,
        actor: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        effective_at: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Check the parts and keep them; *evidence* and *data* are copied as :func:`as_json` has them.

        Raises:
            ValueError: A part is of the wrong type or out of its range.
        """
        accept = object.__setattr__
        accept(self, "revision", require_count("revision", revision, at_least=1))
        accept(self, "id", require_text("id", id))
        accept(self, "at", _require_time("at", at))
        accept(self, "kind", _require_kind(kind))
        accept(self, "run", require_count("run", run, at_least=1))
        accept(self, "actor", require_text("actor", actor))
        accept(self, "reason", _require_string("reason", reason))
        accept(self, "evidence", None if evidence is None else _require_object("evidence", evidence))
        accept(self, "effective_at", self.at if effective_at is None else _require_time("effective_at", effective_at))
        accept(self, "data", {} if data is None else _require_object("data", data))

    def __hash__(self) -> int:
        return hash((self.revision, self.id))

    def to_json(self) -> dict[str, Any]:
        """Return every part under its own name."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_json(cls, data: object) -> Event:
        """Read what :meth:`to_json` wrote. Unknown keys, as a later release may write, are ignored.

        Raises:
            ValueError: Not a JSON object, a part is missing, or it is of the wrong type or out of its range.
        """
        entries = require_mapping("event", data)
        required = ("revision", "id", "at", "kind", "run", "actor", "reason")
        optional = ("evidence", "effective_at", "data")
        return cls(
            **{key: require_entry("event", entries, key) for key in required},
            **{key: entries[key] for key in optional if key in entries},
        )


def new_event_id() -> str:
    """Return 32 random hex digits, from the operating system, so that forked processes never share any."""
    return uuid.uuid4().hex


def as_json(value: object) -> Any:
    """Return a copy of *value* that has a place in JSON, whatever it is.

    Evidence may hold an infinite e-value or a foreign number type, and no rollback may fail for that: what JSON does
    not have becomes its text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return as_json(value.value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else str(float(value))
    if is_mapping(value):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if is_array(value):
        return [as_json(item) for item in value]
    return str(value)


def _require_object(name: str, value: object) -> dict[str, Any]:
    if not is_mapping(value):
        raise ValueError(f"{name} must be a mapping, got {value!r}")
    return {str(key): as_json(entry) for key, entry in value.items()}


def _require_time(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be finite seconds since the Unix epoch, got {value!r}")
    return float(value)


def _require_kind(value: object) -> EventKind:
    known = [kind.value for kind in EventKind]
    if value not in known:
        raise ValueError(f"kind must be one of {known}, got {value!r}: a later release may have written it, so upgrade")
    return EventKind(value)


def _require_string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {value!r}")
    return value

"""What is watched for regression: specifications with a name, a direction and a tolerance. They judge nothing."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Guardrail(Protocol):
    """A metric that is tested all the time; under ``hold_on`` the same specification is a signal, which only holds."""

    @property
    def name(self) -> str:
        """Unique within a plan; findings and explanations carry it."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object with ``type``, as registered for reading it back, ``name`` and the parameters."""
        ...

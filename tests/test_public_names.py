"""The public names, frozen: a new one is added here on purpose, and one that goes is a breaking change."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

import agent_canary
import agent_canary.testing

PUBLIC = [
    "AgentCanary",
    "AgentCanaryError",
    "ArmSummary",
    "Assignment",
    "AutoAction",
    "CanaryRouter",
    "Clock",
    "Cohort",
    "Comparison",
    "Cost",
    "Decision",
    "Event",
    "EventKind",
    "FailureRate",
    "Finding",
    "FindingStatus",
    "FirstToken",
    "Guardrail",
    "IllegalMoveError",
    "Latency",
    "MemoryStore",
    "MissingExtraError",
    "Outcome",
    "Plan",
    "Rate",
    "Reason",
    "RevisionConflictError",
    "Rollout",
    "RolloutStatus",
    "SafetyMargin",
    "SampleRatio",
    "Score",
    "ShadowDeployment",
    "ShadowOutcome",
    "ShadowResult",
    "Stage",
    "Store",
    "StoreError",
    "Threshold",
    "Tokens",
    "Verdict",
    "VersionMetrics",
    "current_assignment",
    "is_shadow",
    "register_guardrail",
    "treat_as_cancellation",
]
TESTING = ["ManualClock", "disabled", "force_version"]


def test_the_public_names_are_these() -> None:
    """`agent_canary.__all__` is sorted and is exactly this list."""
    assert agent_canary.__all__ == PUBLIC == sorted(PUBLIC)


def test_the_public_names_for_tests_are_these() -> None:
    """`agent_canary.testing.__all__` is sorted and is exactly this list."""
    assert agent_canary.testing.__all__ == TESTING == sorted(TESTING)


def test_every_public_name_exists() -> None:
    """`from agent_canary import *` works."""
    for name in PUBLIC:
        assert hasattr(agent_canary, name)
    for name in TESTING:
        assert hasattr(agent_canary.testing, name)


def documented() -> Iterator[tuple[str, object]]:
    """Yield every public name, and every public method and property of its own, that must have a docstring."""
    for module, names in ((agent_canary, PUBLIC), (agent_canary.testing, TESTING)):
        for name in names:
            value = getattr(module, name)
            yield name, value
            if inspect.isclass(value):
                for attribute, member in vars(value).items():
                    if not attribute.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
                        yield f"{name}.{attribute}", member


@pytest.mark.parametrize(("name", "value"), list(documented()), ids=lambda part: part if isinstance(part, str) else "")
def test_every_public_name_has_a_docstring(name: str, value: object) -> None:
    """What a user can call says what it does."""
    assert inspect.getdoc(value), f"{name} has no docstring"

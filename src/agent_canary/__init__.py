"""Progressive rollout, shadow mode and auto-rollback for AI agents, inside your own Python app."""

from .assignment import Assignment
from .canary import AgentCanary
from .clock import Clock
from .context import current_assignment, is_shadow
from .deciding.custom import ArmSummary, Comparison
from .deciding.finding import Finding, FindingStatus
from .deciding.verdict import AutoAction, Verdict
from .ending import treat_as_cancellation
from .errors import AgentCanaryError, IllegalMoveError, MissingExtraError, RevisionConflictError, StoreError
from .metrics import Outcome, VersionMetrics
from .plan import (
    Cost,
    FailureRate,
    FirstToken,
    Guardrail,
    Latency,
    Plan,
    Rate,
    SafetyMargin,
    SampleRatio,
    Score,
    Stage,
    Threshold,
    Tokens,
    register_guardrail,
)
from .rollout import Event, EventKind, Rollout, RolloutStatus
from .routing.cohort import Cohort
from .routing.router import CanaryRouter, Decision
from .shadow import ShadowDeployment, ShadowOutcome, ShadowResult
from .stores import MemoryStore, Store
from .traffic import Reason

__version__ = "0.1.0"

__all__ = [
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

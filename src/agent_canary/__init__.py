"""Progressive rollout, shadow mode and auto-rollback for AI agents, inside your own Python app."""

from .assignment import Assignment
from .canary import AgentCanary
from .clock import Clock
from .context import current_assignment, is_shadow
from .deciding.finding import Finding, FindingStatus
from .deciding.verdict import AutoAction, Verdict
from .ending import treat_as_cancellation
from .errors import AgentCanaryError, IllegalMoveError, MissingExtraError, RevisionConflictError, StoreError
from .metrics import Outcome, VersionMetrics
from .plan import FailureRate, Guardrail, Plan, Rate, SafetyMargin, Stage
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
    "Assignment",
    "AutoAction",
    "CanaryRouter",
    "Clock",
    "Cohort",
    "Decision",
    "Event",
    "EventKind",
    "FailureRate",
    "Finding",
    "FindingStatus",
    "Guardrail",
    "IllegalMoveError",
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
    "ShadowDeployment",
    "ShadowOutcome",
    "ShadowResult",
    "Stage",
    "Store",
    "StoreError",
    "Verdict",
    "VersionMetrics",
    "current_assignment",
    "is_shadow",
    "treat_as_cancellation",
]

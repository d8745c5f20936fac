"""What was agreed: stages, guardrails and policies of a rollout; frozen and compared as canonical JSON."""

from .canonical import canonical_json
from .guardrail import FailureRate, Guardrail, Rate, SafetyMargin
from .plan import Plan
from .registry import UnknownGuardrail, guardrail_from_json, register_guardrail
from .stage import Stage

__all__ = [
    "FailureRate",
    "Guardrail",
    "Plan",
    "Rate",
    "SafetyMargin",
    "Stage",
    "UnknownGuardrail",
    "canonical_json",
    "guardrail_from_json",
    "register_guardrail",
]

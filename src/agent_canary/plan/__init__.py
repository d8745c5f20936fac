"""What was agreed: stages, guardrails and policies of a rollout; frozen and compared as canonical JSON."""

from .amounts import Cost, FirstToken, Latency, Tokens
from .canonical import canonical_json
from .fixed_rules import SafetyMargin, Threshold
from .guardrail import Guardrail
from .plan import Plan
from .policies import Policies
from .rates import FailureRate, Rate
from .registry import UnknownGuardrail, guardrail_from_json, register_guardrail
from .sample_ratio import SampleRatio
from .score import Score
from .stage import Stage

__all__ = [
    "Cost",
    "FailureRate",
    "FirstToken",
    "Guardrail",
    "Latency",
    "Plan",
    "Policies",
    "Rate",
    "SafetyMargin",
    "SampleRatio",
    "Score",
    "Stage",
    "Threshold",
    "Tokens",
    "UnknownGuardrail",
    "canonical_json",
    "guardrail_from_json",
    "register_guardrail",
]

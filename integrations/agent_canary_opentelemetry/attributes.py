"""Every name of an attribute or event that this adapter writes or reads, and how stable it is.

OpenTelemetry's names are those of its semantic conventions, version 1.44. They may still change; the names under
``agent_canary.`` are ours and stay: query these. A sticky key is never an attribute.
"""

from __future__ import annotations

# Written, ours: stable.

ROLLOUT = "agent_canary.rollout"
"""Name of the rollout."""
VERSION = "agent_canary.version"
"""Version that answers the request."""
STAGE_INDEX = "agent_canary.stage.index"
"""Stage of the rollout that the request was assigned in, from 0."""
ASSIGNMENT_ID = "agent_canary.assignment.id"
"""``assignment.id``: by it a score can be given later, ``canary.score(id, …)``. It holds a hash of the sticky key."""
SHADOW = "agent_canary.shadow"
"""True on spans of shadow calls, which have no other tag: nobody gets their answers."""

# Written, OpenTelemetry's: release candidate.

FEATURE_FLAG_KEY = "feature_flag.key"
"""Name of the rollout."""
FEATURE_FLAG_PROVIDER = "feature_flag.provider.name"
"""``agent_canary``."""
FEATURE_FLAG_VARIANT = "feature_flag.result.variant"
"""``stable`` or ``canary``."""
FEATURE_FLAG_REASON = "feature_flag.result.reason"
"""Why: a value of :class:`agent_canary.Reason`."""

FEATURE_FLAG = frozenset({FEATURE_FLAG_KEY, FEATURE_FLAG_PROVIDER, FEATURE_FLAG_VARIANT, FEATURE_FLAG_REASON})
"""The four that tell of one flag together."""

# Written, OpenTelemetry's: development.

AGENT_VERSION = "gen_ai.agent.version"
"""Version that answers the request."""

# Read, OpenTelemetry's: development.

INPUT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
"""Tokens read by the model; the second name is deprecated and still written by instrumentations."""
OUTPUT_TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
"""Tokens written by the model; the second name is deprecated and still written by instrumentations."""
EVALUATION_EVENT = "gen_ai.evaluation.result"
"""Span event that carries the two attributes below; a span may carry them itself."""
EVALUATION_NAME = "gen_ai.evaluation.name"
"""Name of the score."""
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
"""Its value, a number. An evaluation that has a label only is no score."""

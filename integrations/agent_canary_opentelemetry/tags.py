"""What a span says of the version that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import attributes as names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

    from agent_canary import AgentCanary, Assignment

Tags = Mapping[str, str | int]


def tags_of(canary: AgentCanary, assignment: Assignment) -> Tags:
    """Return the tags of spans that belong to *assignment*."""
    return {
        **_version_tags(canary, assignment.version),
        names.FEATURE_FLAG_REASON: assignment.reason.value,
        names.STAGE_INDEX: assignment.stage_idx,
        names.ASSIGNMENT_ID: assignment.id,
    }


def tags_of_routed(canary: AgentCanary, version: str) -> Tags:
    """Return the tags of spans that belong to a request of *version* without an assignment."""
    return _version_tags(canary, version)


def write(span: Span, tags: Tags) -> None:
    """Tag *span*. What it says already of an agent's version, or of a feature flag, stays: those are shared names."""
    said = span.attributes or {}
    if names.AGENT_VERSION in said:
        tags = {name: value for name, value in tags.items() if name != names.AGENT_VERSION}
    if names.FEATURE_FLAG_KEY in said:
        tags = {name: value for name, value in tags.items() if name not in names.FEATURE_FLAG}
    span.set_attributes(tags)


def version_in(attributes: Mapping[str, object], rollout: str) -> object:
    """Return the version of *rollout* that a span's attributes name; None when they name none."""
    if attributes.get(names.ROLLOUT) == rollout:
        return attributes.get(names.VERSION)
    if attributes.get(names.FEATURE_FLAG_KEY) == rollout:
        return attributes.get(names.AGENT_VERSION)
    return None


def _version_tags(canary: AgentCanary, version: str) -> dict[str, str | int]:
    return {
        names.ROLLOUT: canary.name,
        names.VERSION: version,
        names.AGENT_VERSION: version,
        names.FEATURE_FLAG_KEY: canary.name,
        names.FEATURE_FLAG_PROVIDER: "agent_canary",
        names.FEATURE_FLAG_VARIANT: "canary" if version == canary.canary_version else "stable",
    }

"""What differs between two plans, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .canonical import canonical_json, normalised

_DURATIONS = frozenset({"horizon", "patience", "score_patience", "warm_up"})
"""Parameters in seconds whose names do not say so."""

_ROLES = {"rollback_on": "rolls back", "hold_on": "only holds"}


def differences(here: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Compare two plans as JSON; empty exactly when they are the same plan.

    Args:
        here: This process's plan, called "here" in the sentences.
        stored: The other plan, called "the stored plan".
    """
    ours, theirs = normalised(here), normalised(stored)
    return [
        *_policies(ours, theirs),
        *_stages(ours["stages"], theirs["stages"]),
        *_guardrails(_by_name(ours), _by_name(theirs)),
    ]


def _policies(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    listed = {"stages", *_ROLES}
    yield from _values(
        "",
        {key: value for key, value in ours.items() if key not in listed},
        {key: value for key, value in theirs.items() if key not in listed},
    )


def _stages(ours: list[Any], theirs: list[Any]) -> Iterator[str]:
    if len(ours) != len(theirs):
        yield f"the number of stages is {len(ours)} here, {len(theirs)} in the stored plan"
    for number, (our_stage, their_stage) in enumerate(zip(ours, theirs, strict=False), start=1):
        yield from _values(f"stage {number}: ", our_stage, their_stage)


def _guardrails(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            yield f"guardrail {name!r} is only here, not in the stored plan"
        elif name not in ours:
            yield f"guardrail {name!r} is only in the stored plan, not here"
        else:
            yield from _guardrail(name, *ours[name], *theirs[name])


def _guardrail(name: str, our_role: str, ours: Any, their_role: str, theirs: Any) -> Iterator[str]:
    if our_role != their_role:
        yield f"guardrail {name!r} {_ROLES[our_role]} here, {_ROLES[their_role]} in the stored plan"
    yield from _values(f"guardrail {name!r}: ", ours, theirs)


def _by_name(plan: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    return {guardrail["name"]: (role, guardrail) for role in _ROLES for guardrail in plan[role]}


def _values(where: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(ours.keys() | theirs.keys()):
        # As text, because True == 1 in Python and not in JSON.
        if key not in ours or key not in theirs or canonical_json(ours[key]) != canonical_json(theirs[key]):
            yield f"{where}{key} is {_shown(ours, key)} here, {_shown(theirs, key)} in the stored plan"


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "absent"
    unit = " s" if key in _DURATIONS and isinstance(values[key], int | float) else ""
    return f"{values[key]!r}{unit}"

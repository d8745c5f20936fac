"""What a plan says beside its stages, as keywords that every maker of a rollout takes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, TypedDict, get_args

from .guardrail import Guardrail

Promote = Literal["when_not_failing", "when_not_worse"]
"""What leads out of a stage whose own gates are met."""

Unsettled = Literal["hold", "promote", "pause", "rollback"]
"""What is done about findings that nothing can be concluded from, once patience is over."""

PROMOTE_WORDS: tuple[Promote, ...] = get_args(Promote)
UNSETTLED_WORDS: tuple[Unsettled, ...] = get_args(Unsettled)


class Policies(TypedDict, total=False):
    """The keywords of :class:`~agent_canary.Plan` that are choices of the user's; each may be left out."""

    rollback_on: Iterable[Guardrail] | None
    hold_on: Iterable[Guardrail]
    keep_salt: bool
    promote: Promote
    delta: float
    on_no_data: Unsettled
    on_inconclusive: Unsettled
    patience: float | timedelta

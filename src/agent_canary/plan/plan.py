"""The whole agreement on how a canary is rolled out, as every worker of it must read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast

from ..errors import seconds
from .amounts import Cost, FirstToken, Latency, Tokens
from .canonical import canonical_json
from .difference import differences
from .fixed_rules import SafetyMargin, Threshold
from .guardrail import Guardrail
from .policies import PROMOTE_WORDS, UNSETTLED_WORDS, Promote, Unsettled
from .ranges import require_positive_fraction, require_word
from .rates import FailureRate
from .reading import require_entry, require_flag, require_items, require_mapping
from .registry import guardrail_from_json
from .sample_ratio import SampleRatio
from .stage import Stage

DEFAULT_GUARDRAILS: tuple[Guardrail, ...] = (FailureRate(), Latency(), SampleRatio())
"""What rolls back when nobody says what should."""

_BESIDE_DEFAULTS = (
    ": FailureRate(), Latency() and SampleRatio() roll back by default, give rollback_on= to choose others"
)

_WITHOUT_DATA_TOO = (SafetyMargin, SampleRatio, Threshold)
"""Guardrails that never hold a rollout for want of data, also where the user named them."""

_ADDED_LATER = ("promote", "delta", "on_no_data", "on_inconclusive", "patience")
"""Policies that plans of the first release do not have; they had what is now the default."""


@dataclass(frozen=True, init=False, eq=False)
class Plan:
    """Stages, guardrails and policies. Two plans are equal when their canonical JSON is, whatever process made them.

    Attributes:
        stages: The steps in their order; percents never decrease.
        rollback_on: Guardrails: one that fails rolls back. Their order means nothing.
        hold_on: Signals: one that fails holds the rollout where it is. Their order means nothing.
        keep_salt: True: a new run puts the same users on the canary as the run before it. False (default): others.
        default_guardrails: Whether *rollback_on* is what the library chose: such a guardrail does not hold the rollout
            while it has no data; one that the user named does.
        promote: ``when_not_failing`` (default): a stage whose own gates are met is left when no guardrail or signal
            fails. ``when_not_worse``: when each of them has passed, that is, is shown to be no worse than tolerated.
        delta: How much worse, as a share of answers, must be excluded before ``when_not_worse`` takes a rate as passed;
            in (0, 1], 0.01 by default.
        on_no_data: What is done, once patience is over, while too little has come: a guardrail or signal that the user
            named has no data, or the stage's samples or scores are not in. ``hold`` (default), ``promote`` (without
            them), ``pause`` (until a person resumes) or ``rollback``.
        on_inconclusive: The same where ``when_not_worse`` waits for a guardrail or signal that is inconclusive.
        patience: Seconds >= 0 after a stage's *min_duration_seconds* before these two act; 24 hours by default. Before,
            the rollout holds.
    """

    stages: tuple[Stage, ...]
    rollback_on: tuple[Guardrail, ...]
    hold_on: tuple[Guardrail, ...]
    keep_salt: bool
    default_guardrails: bool
    promote: Promote
    delta: float
    on_no_data: Unsettled
    on_inconclusive: Unsettled
    patience: float

    def __init__(
        self,
        stages: Iterable[Stage],
        rollback_on: Iterable[Guardrail] | None = None,
        hold_on: Iterable[Guardrail] = (),
        keep_salt: bool = False,
        default_guardrails: bool | None = None,
        *,
        promote: Promote = "when_not_failing",
        delta: float = 0.01,
        on_no_data: Unsettled = "hold",
        on_inconclusive: Unsettled = "hold",
        patience: float | timedelta = timedelta(hours=24),
    ) -> None:
        """Check and keep the parts; without *rollback_on* the library's default guardrails roll back.

        Raises:
            ValueError: No stages, decreasing percents, two guardrails of one name or metric, something that is no stage
                or no guardrail, or a policy out of its range.
        """
        chosen = DEFAULT_GUARDRAILS if rollback_on is None else rollback_on
        is_default = rollback_on is None if default_guardrails is None else default_guardrails
        accept = object.__setattr__
        accept(self, "stages", _require_stages(stages))
        accept(self, "rollback_on", _require_guardrails("rollback_on", chosen))
        accept(self, "hold_on", _require_guardrails("hold_on", hold_on))
        accept(self, "keep_salt", require_flag("keep_salt", keep_salt))
        accept(self, "default_guardrails", require_flag("default_guardrails", is_default))
        accept(self, "promote", require_word("promote", promote, PROMOTE_WORDS))
        accept(self, "delta", require_positive_fraction("delta", delta))
        accept(self, "on_no_data", require_word("on_no_data", on_no_data, UNSETTLED_WORDS))
        accept(self, "on_inconclusive", require_word("on_inconclusive", on_inconclusive, UNSETTLED_WORDS))
        accept(self, "patience", seconds("patience", patience))
        _require_unique(self)

    def __eq__(self, other: object) -> bool:
        return self.canonical_json() == other.canonical_json() if isinstance(other, Plan) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.canonical_json())

    def to_json(self) -> dict[str, Any]:
        """Return every part under its own name, guardrails in the order in which they were given."""
        return {
            "stages": [stage.to_json() for stage in self.stages],
            "rollback_on": [_guardrail_to_json(guardrail) for guardrail in self.rollback_on],
            "hold_on": [_guardrail_to_json(guardrail) for guardrail in self.hold_on],
            "keep_salt": self.keep_salt,
            "default_guardrails": self.default_guardrails,
            **{key: getattr(self, key) for key in _ADDED_LATER},
        }

    @classmethod
    def from_json(cls, data: object) -> Plan:
        """Read what :meth:`to_json` wrote.

        Unknown keys and types of guardrails, as a later release may write, do not fail: see
        :func:`~agent_canary.plan.guardrail_from_json`. Nor do policies that are missing, as in what an earlier release
        wrote: they have their defaults.

        Raises:
            ValueError: Not a JSON object, a part is missing, or the constructor refuses it.
        """
        entries = require_mapping("plan", data)
        stages, rollback_on, hold_on = (
            require_items(key, require_entry("plan", entries, key)) for key in ("stages", "rollback_on", "hold_on")
        )
        return cls(
            stages=[Stage.from_json(stage) for stage in stages],
            rollback_on=[guardrail_from_json(guardrail) for guardrail in rollback_on],
            hold_on=[guardrail_from_json(guardrail) for guardrail in hold_on],
            keep_salt=require_entry("plan", entries, "keep_salt"),
            default_guardrails=require_entry("plan", entries, "default_guardrails"),
            **{key: entries[key] for key in _ADDED_LATER if key in entries},
        )

    @property
    def guardrails(self) -> tuple[Guardrail, ...]:
        """All that is watched: guardrails first, then signals."""
        return (*self.rollback_on, *self.hold_on)

    @property
    def required(self) -> frozenset[str]:
        """Names of the guardrails and signals that hold the rollout while they have no data."""
        named = () if self.default_guardrails else self.rollback_on
        watched = (*named, *self.hold_on)
        return frozenset(guardrail.name for guardrail in watched if not isinstance(guardrail, _WITHOUT_DATA_TOO))

    def with_guardrail(self, guardrail: Guardrail) -> Plan:
        """Return the same plan with one more guardrail.

        Raises:
            ValueError: The plan has one of its name or metric already.
        """
        return replace(self, rollback_on=(*self.rollback_on, guardrail))

    def canonical_json(self) -> str:
        """Return the same text for every plan that means the same."""
        data = self.to_json()
        for role in ("rollback_on", "hold_on"):
            data[role] = sorted(data[role], key=_name_in_json)
        return canonical_json(data)

    def difference(self, other: Plan) -> list[str]:
        """Return a sentence for each point in which this plan, "here", differs from *other*, "the stored plan".

        Stages are counted from 1. Empty exactly when the plans are equal.
        """
        return differences(self.to_json(), other.to_json())


def _require_stages(value: object) -> tuple[Stage, ...]:
    stages = require_items("stages", value)
    if not stages:
        raise ValueError("stages must have at least one Stage, got none")
    for stage in stages:
        if not isinstance(stage, Stage):
            raise ValueError(f"stages must hold Stage objects, got {stage!r}")
    for number, (before, after) in enumerate(pairwise(stages), start=1):
        if after.percent < before.percent:
            raise ValueError(
                f"stages must be non-decreasing in percent, got {after.percent} in stage {number + 1} after "
                f"{before.percent} in stage {number}: put them in rising order"
            )
    return cast("tuple[Stage, ...]", stages)


def _require_guardrails(name: str, value: object) -> tuple[Guardrail, ...]:
    guardrails = require_items(name, value)
    for guardrail in guardrails:
        # A class has the attributes that the protocol asks for just as its instances do.
        if isinstance(guardrail, type) or not isinstance(guardrail, Guardrail):
            raise ValueError(f"{name} must hold guardrails such as FailureRate() or Rate(...), got {guardrail!r}")
    return guardrails


def _require_unique(plan: Plan) -> None:
    names = _repeated(guardrail.name for guardrail in plan.guardrails)
    metrics = _repeated(metric for guardrail in plan.guardrails for metric in _metrics_of(guardrail))
    if names:
        told = f"guardrails must have unique names over rollback_on and hold_on, got {names} repeated"
    elif metrics:
        told = f"guardrails must watch different quantiles over rollback_on and hold_on, got {metrics} repeated"
    else:
        return
    raise ValueError(f"{told}{_BESIDE_DEFAULTS if plan.default_guardrails else ''}")


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _metrics_of(guardrail: Guardrail) -> Iterable[str]:
    if isinstance(guardrail, Cost | FirstToken | Latency | Tokens):
        return map(guardrail.metric_of, guardrail.quantiles)
    return ()


def _guardrail_to_json(guardrail: Guardrail) -> dict[str, Any]:
    return {**guardrail.to_json(), "name": guardrail.name}


def _name_in_json(guardrail: dict[str, Any]) -> str:
    return str(guardrail["name"])

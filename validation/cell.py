"""One setting whose error rate, or power, is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent_canary import Guardrail, Stage

from .arm import Arm
from .schedules import RAMP
from .users import Users

Deed = Literal["pause", "pause to stable", "resume", "roll back", "restart"]
Aim = Literal["caught", "completed", "failed answers", "canary answers", "canary users"]

HARMLESS_ALPHAS = (0.05, 0.01)
"""The larger one has the smaller Monte-Carlo error in its ratio, the other is the library's default."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person does during the rollout.

    Attributes:
        at: Seconds from the start.
        deed: What.
    """

    at: float
    deed: Deed


@dataclass(frozen=True, slots=True)
class Goal:
    """What is promised of a cell.

    Attributes:
        aim: ``caught`` and ``completed``: the share of runs, at least *value*. ``failed answers``: of the canary, on
            average over the runs that were caught, at most *value*. ``canary answers`` and ``canary users``: at the
            rollback, in the median run, at most *value*.
        value: In [0, 1] for shares.
    """

    aim: Aim
    value: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A setting, and how a rollout goes about it.

    Attributes:
        name: What it is, unique among all cells: the seeds come from it.
        users: Who comes.
        stable: What stable does.
        canary: What the canary does; None: the same.
        harmless: Whether the canary is no worse than tolerated, so that each rollback is an error.
        guardrails: What rolls back; None: the library's default.
        stages: The ramp.
        policies: What else the plan says.
        per_second: Requests a second, at the use of 1.
        seconds: For how long at most it is watched.
        tick: Seconds between two analyses.
        horizon: The canary's outcome horizon, seconds.
        keyed: Whether requests have a sticky key; else each is routed by a coin and recorded without one.
        alphas: The probabilities of a false rollback that are asked for, the largest first.
        acts: What people do meanwhile, in order of time.
        again: Whether a person restarts the rollout, once, after it was rolled back by itself; then the error is the
            share of restarted runs that are rolled back again.
        goals: What is promised.
        quick: Whether it is part of the quick run.
        effort: How many times as many runs as others it takes.
        rules: Whether the fixed rules are tried on the same traffic.
        note: What a reader should know; why its error is above alpha, if it is.
    """

    name: str
    users: Users
    stable: Arm
    canary: Arm | None = None
    harmless: bool = True
    guardrails: tuple[Guardrail, ...] | None = None
    stages: tuple[Stage, ...] = RAMP
    policies: Mapping[str, Any] = field(default_factory=dict)
    per_second: float = 5.0
    seconds: float = 3100.0
    tick: float = 10.0
    horizon: float = 60.0
    keyed: bool = True
    alphas: tuple[float, ...] = HARMLESS_ALPHAS
    acts: tuple[Act, ...] = ()
    again: bool = False
    goals: tuple[Goal, ...] = ()
    quick: bool = False
    effort: float = 1.0
    rules: bool = False
    note: str = ""

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """What stable does, and what the canary does."""
        return self.stable, self.stable if self.canary is None else self.canary

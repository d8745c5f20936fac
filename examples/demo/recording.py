"""What there is to see of a rollout while it is played, and what is left of it afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_canary import Event, Stage, Verdict

from .scenes import Scene
from .traffic import Traffic


@dataclass(frozen=True)
class Moment:
    """What there is to see of a rollout now.

    Attributes:
        scene: Which rollout.
        seconds: How long it has lasted.
        stages: Its stages.
        status: What ``canary.status()`` says.
        verdict: What ``canary.explain()`` says.
        events: What has happened.
    """

    scene: Scene
    seconds: float
    stages: Sequence[Stage]
    status: Mapping[str, Any]
    verdict: Verdict
    events: Sequence[Event]


@dataclass(frozen=True)
class Recording:
    """What is left of a scene when it has been played.

    Attributes:
        scene: Which.
        stages: The rollout's stages.
        events: What happened; the first is the rollout's begin.
        traffic: What the users saw.
        salt: What the rollout hashed its users with.
        errors: What the library noted, by place. Nothing, unless something is broken.
    """

    scene: Scene
    stages: Sequence[Stage]
    events: tuple[Event, ...]
    traffic: Traffic
    salt: str
    errors: Mapping[str, int]

    @property
    def began_at(self) -> float:
        """When the rollout began, seconds since the Unix epoch."""
        return self.events[0].at

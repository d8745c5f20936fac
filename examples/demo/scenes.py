"""The three rollouts: what changes in each, and how it should end."""

from __future__ import annotations

from dataclasses import dataclass

from agent_canary import EventKind, FailureRate, Rate, Rollout, Stage

TRAFFIC_SECONDS = 20.0
"""How long users visit at least. It goes on after a rollback, which is how one sees that users are safe."""

LIMIT_SECONDS = 60.0
"""After how long a rollout that has not ended has failed. Fast machines are far from it."""

INTERVAL = 0.5
"""Seconds between two decisions."""

FEEDBACK_HORIZON = 3.0
"""Seconds after which an answer that no user has judged counts as not judged. Users need 2 at most."""


@dataclass(frozen=True)
class Scene:
    """One rollout of the demo.

    Attributes:
        name: A word for it.
        stable: What users have.
        canary: What is to replace it.
        change: What changes, as a sentence.
        ends: How it should end.
        guardrail: Which guardrail should roll it back; None where none should.
    """

    name: str
    stable: str
    canary: str
    change: str
    ends: EventKind
    guardrail: str | None = None

    @property
    def expectation(self) -> str:
        """How it should end, as a sentence."""
        if self.guardrail is None:
            return "It should reach everybody."
        return f"It should be rolled back by the guardrail “{self.guardrail}”."


SCENES = (
    Scene("better", "v1", "v2", "v2 is a better model, trained on more scans.", EventKind.COMPLETED),
    Scene("raises", "v2", "v3", "v3 raises in 4 % of its requests.", EventKind.ROLLED_BACK, "failures"),
    Scene(
        "careless",
        "v2",
        "v4",
        "v4 shrinks each scan before it reads it: always HTTP 200, and more often wrong.",
        EventKind.ROLLED_BACK,
        "wrong",
    ),
)


def stages() -> list[Stage]:
    """Return the steps of each rollout: minutes and hours elsewhere, seconds here."""
    return [
        Stage(0.10, min_duration_seconds=9, min_samples=60),
        Stage(0.25, min_duration_seconds=4, min_samples=80),
        Stage(0.50, min_duration_seconds=4, min_samples=120),
        Stage(1.00, min_duration_seconds=2, min_samples=60),
    ]


def new_rollout() -> Rollout:
    """Return the plan of each rollout: failures and the users' feedback are watched."""
    return Rollout(stages(), rollback_on=[FailureRate(), Rate("wrong", horizon=FEEDBACK_HORIZON)])

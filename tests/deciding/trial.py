"""A rollout by hand, from requests to verdicts, on a clock that is moved."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Unpack

from agent_canary import AgentCanary, Assignment, Finding, Rollout, Stage, Verdict
from agent_canary.plan.policies import Policies
from agent_canary.testing import ManualClock

ALL_TIME = Stage(0.5, 1e6)
"""A stage that is never left: what moves the rollout is the evidence."""


@dataclass(frozen=True)
class Answer:
    """What one request met."""

    failed: bool = False
    cancelled: bool = False
    latency_ms: float = 100.0
    first_token_ms: float | None = None
    cost_usd: float = 0.0
    tokens: int = 0
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    covariate: float | None = None


Behaviour = Callable[[random.Random, bool, int], Answer]
"""What a request of a user (third) meets, on the canary or not (second)."""


class Trial:
    """Serves users in turn, each at most once in a second, and ticks after each second.

    Args:
        stages: One of a share of a half that is never left by default.
        users: How many there are.
        per_second: How many of them come in a second.
        alpha: As AgentCanary's.
        **policies: As Rollout's.
    """

    def __init__(
        self,
        stages: Sequence[Stage] = (ALL_TIME,),
        *,
        users: int = 2000,
        per_second: int = 100,
        alpha: float = 0.01,
        seed: int = 0,
        **policies: Unpack[Policies],
    ) -> None:
        self.clock = ManualClock()
        rollout = Rollout(stages, **policies)
        self.canary = AgentCanary("v1", "v2", rollout, clock=self.clock, autopilot=False, alpha=alpha)
        self.draw = random.Random(seed)
        self._users, self._per_second, self._next = users, per_second, 0

    @property
    def kinds(self) -> list[str]:
        """What has happened so far."""
        return [event.kind.value for event in self.canary.rollout.history]

    @property
    def verdict(self) -> Verdict:
        """The last one, after a way through JSON."""
        verdict = self.canary.explain()
        read = Verdict.from_json(json.loads(json.dumps(verdict.to_json(), allow_nan=False)))
        assert read == verdict
        return read

    def finding(self, name: str) -> Finding:
        """The last finding of a guardrail, after a way through JSON."""
        finding = next(each for each in self.verdict.findings if each.guardrail == name)
        assert Finding.from_json(json.loads(json.dumps(finding.to_json(), allow_nan=False))) == finding
        return finding

    def run(self, seconds: int, behaviour: Behaviour = lambda draw, is_canary, user: Answer()) -> Trial:
        """Serve for so many seconds, or until the rollout is over."""
        for _ in range(seconds):
            if self.canary.rollout.state.is_finished:
                break
            self._serve(behaviour)
            self.canary.tick()
        return self

    def wait(self, seconds: int) -> Trial:
        """Let time pass without a request."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.canary.tick()
        return self

    def record(self, seconds: int, behaviour: Behaviour) -> Trial:
        """Record answers without a key, half of them of the canary."""
        for _ in range(seconds):
            if self.canary.rollout.state.is_finished:
                break
            for user in range(self._per_second):
                is_canary = self.draw.random() < 0.5
                answer = behaviour(self.draw, is_canary, user)
                version = self.canary.versions[is_canary]
                self.canary.record(version, not answer.failed, answer.latency_ms, scores=answer.scores)
            self.clock.advance(1)
            self.canary.tick()
        return self

    def _serve(self, behaviour: Behaviour) -> None:
        events: list[tuple[float, Callable[[], None]]] = []
        for _ in range(self._per_second):
            user = self._next = (self._next + 1) % self._users
            assignment = self.canary.assign(f"user-{user}")
            answer = behaviour(self.draw, assignment.is_canary, user)
            if answer.first_token_ms is not None:
                events.append((answer.first_token_ms, assignment.first_token))
            events.append((answer.latency_ms, lambda of=assignment, answer=answer: _end(of, answer)))
        started = self.clock.monotonic()
        for at, happens in sorted(events, key=lambda event: event[0]):
            self.clock.advance(max(0.0, started + at / 1000.0 - self.clock.monotonic()))
            happens()
        self.clock.advance(max(0.0, started + 1.0 - self.clock.monotonic()))


def _end(assignment: Assignment, answer: Answer) -> None:
    for name, value in answer.scores.items():
        assignment.score(name, value, covariate=answer.covariate)
    if answer.cost_usd or answer.tokens:
        assignment.usage(input_tokens=answer.tokens, cost_usd=answer.cost_usd)
    if answer.cancelled:
        assignment.cancel()
    elif answer.failed:
        assignment.fail()
    else:
        assignment.succeed()

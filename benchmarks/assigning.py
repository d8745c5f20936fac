"""``with canary.assign(key)`` as a whole: hash, context variable, clock, outcome, and the folding of it all."""

from __future__ import annotations

from agent_canary import AgentCanary, FailureRate, Latency, Rate, Rollout, SampleRatio, Stage

from .ratios import added, ratios
from .rounds import Contestant, Effort, Samples, measure
from .routing import BARE, CANARY, EMPTY, SHARE, STABLE, bare_function, empty_loop, keys, looped
from .rows import Row, Rows, duration

FOLDED = 8192
"""Assignments per sample are a multiple of this one: sixteen times what a canary lets pile up before it folds."""

REASON = (
    "two thirds are the request's own path (an object, a context variable, two clock readings), one third is folding"
)


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    watched = [FailureRate(), Latency(), SampleRatio(), Rate("grounded", higher_is_better=True)]
    rollout = Rollout([Stage(SHARE)], rollback_on=watched)
    with AgentCanary(STABLE, CANARY, rollout) as canary:
        samples = measure(_contestants(canary, FOLDED if effort.folds else 8), effort)
        booked = canary.metrics(STABLE).total + canary.metrics(CANARY).total
        if booked != canary.metrics(STABLE).successes + canary.metrics(CANARY).successes or not booked:
            raise RuntimeError(f"every assignment must have been booked as a success, got {canary.status()}")
    return [
        _row(samples, "with canary.assign(key), guardrails on, folding included", "assign", at_most=4.0, reason=REASON),
        _row(samples, "for scale: assign and a 0/1 score that a guardrail watches", "assign and score"),
    ]


def _contestants(canary: AgentCanary, batch: int) -> dict[str, Contestant]:
    def fold() -> None:
        canary.metrics(CANARY).success_rate  # noqa: B018 - reading folds whatever waits

    def assign(count: int) -> None:
        for key in keys(count):
            with canary.assign(key) as assignment:
                assignment.version  # noqa: B018 - what everybody asks an assignment for
        fold()

    def assign_and_score(count: int) -> None:
        for key in keys(count):
            with canary.assign(key) as assignment:
                assignment.version  # noqa: B018
                assignment.score("grounded", 1)
        fold()

    return {
        EMPTY: Contestant(empty_loop),
        BARE: Contestant(looped(bare_function(canary))),
        "assign": Contestant(assign, batch, after=canary.tick),
        "assign and score": Contestant(assign_and_score, batch, after=canary.tick),
    }


def _row(samples: Samples, path: str, name: str, at_most: float | None = None, reason: str = "") -> Row:
    times = f"{duration(added(samples[name], samples[EMPTY]))} against {duration(added(samples[BARE], samples[EMPTY]))}"
    value = ratios(samples[name], samples[BARE], less=samples[EMPTY])
    return Row(path, BARE, value, at_most=at_most, absolute=times, reason=reason)

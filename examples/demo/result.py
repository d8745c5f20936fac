"""The result of a scene: how it ended, whether it should have, and what each rule would have meant for users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent_canary import CanaryRouter, Event, EventKind

from .hindsight import Harm, harm_of, look_back
from .original import Replay, replay
from .recording import Recording
from .scenes import INTERVAL, LIMIT_SECONDS, Scene
from .stickiness import Stickiness, check


@dataclass(frozen=True)
class Result:
    """What the report tells of one scene.

    Attributes:
        scene: Which.
        events: What happened, in order.
        shares: The canary's share of users by the stages' order.
        requests: How many requests were answered.
        judged: How many of them users judged.
        ours: What users met.
        original: What the original's rule would have done.
        originals: What users would have met under it.
        stables: What users would have met without any rollout.
        stickiness: Whether users stayed on their version.
        problems: What is not as it should be, a sentence each.
    """

    scene: Scene
    events: tuple[Event, ...]
    shares: tuple[float, ...]
    requests: int
    judged: int
    ours: Harm
    original: Replay
    originals: Harm
    stables: Harm
    stickiness: Stickiness
    problems: tuple[str, ...]

    @property
    def end(self) -> Event | None:
        """The event that ended the rollout; None when it did not end."""
        ends = (event for event in self.events if event.kind in (EventKind.COMPLETED, EventKind.ROLLED_BACK))
        return next(ends, None)

    def seconds_at(self, event: Event) -> float:
        """When *event* was, in seconds after the rollout began."""
        return event.at - self.events[0].at


def result_of(recording: Recording, ask: Callable[[str, int, str], int | None], digits: Sequence[int]) -> Result:
    """Evaluate a recording.

    Args:
        recording: Of a scene that was played.
        ask: Returns a version's digit for a scan and a request's id; None when it fails.
        digits: Of each scan the digit that was written.
    """
    scene, answers = recording.scene, recording.traffic.answers
    bucket_of = CanaryRouter(0.0, salt=recording.salt).bucket
    recorded = look_back(answers, (scene.stable, scene.canary), recording.began_at, bucket_of, ask, digits)
    requests = recorded.requests
    original = replay(requests, recording.stages, INTERVAL)
    stickiness = check(answers, scene.canary, recording.events, recording.stages, bucket_of)
    return Result(
        scene=scene,
        events=recording.events,
        shares=tuple(stage.percent for stage in recording.stages),
        requests=len(requests),
        judged=recording.traffic.judged,
        ours=harm_of(requests, [request.on_canary for request in requests]),
        original=original,
        originals=harm_of(requests, original.served),
        stables=harm_of(requests, [False] * len(requests)),
        stickiness=stickiness,
        problems=(*_wrong_end(scene, recording.events), *_broken(recording, recorded.unlike, stickiness)),
    )


def failing_guardrail(event: Event) -> str | None:
    """Return the guardrail whose failing rolled a rollout back, from the event's evidence; None if none did."""
    findings = (event.evidence or {}).get("findings", ())
    failing = (
        str(found["guardrail"]) for found in findings if (found["role"], found["status"]) == ("rollback", "fail")
    )
    return next(failing, None)


def _wrong_end(scene: Scene, events: Sequence[Event]) -> list[str]:
    kinds = [event.kind for event in events]
    if EventKind.COMPLETED not in kinds and EventKind.ROLLED_BACK not in kinds:
        return [f"the rollout did not end within {LIMIT_SECONDS:g} s"]
    end = events[-1]
    if end.kind is not scene.ends:
        return [f"it ended as {_words(end.kind)}, and should have been {_words(scene.ends)}"]
    if scene.guardrail is not None and failing_guardrail(end) != scene.guardrail:
        return [f"“{failing_guardrail(end)}” rolled it back, and “{scene.guardrail}” should have"]
    return []


def _broken(recording: Recording, unlike: int, stickiness: Stickiness) -> list[str]:
    traffic = recording.traffic
    found = {
        f"{traffic.unanswered:,} requests got no answer": traffic.unanswered,
        f"the app refused {traffic.refused:,} judgements": traffic.refused,
        f"{unlike:,} answers are others when the versions are asked again": unlike,
        f"{stickiness.flapped:,} users changed version without a move of the rollout": stickiness.flapped,
        f"the library noted errors: {dict(recording.errors)}": len(recording.errors),
    }
    return [sentence for sentence, count in found.items() if count]


def _words(kind: EventKind) -> str:
    return kind.value.replace("_", " ")

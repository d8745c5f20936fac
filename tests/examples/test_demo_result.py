"""Whether a rollout of the demo ended as it should, and whether the demo itself may be believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent_canary import Event, EventKind, Stage
from examples.demo.recording import Recording
from examples.demo.result import Result, failing_guardrail, result_of
from examples.demo.scenes import SCENES, Scene
from examples.demo.traffic import Answer, Traffic

BETTER, RAISES, CARELESS = SCENES


def event(revision: int, at: float, kind: EventKind, guardrail: str | None = None) -> Event:
    """Return an event; *guardrail* failed."""
    findings = [
        {"guardrail": name, "role": "rollback", "status": "fail" if name == guardrail else "inconclusive"}
        for name in ("failures", "wrong")
    ]
    evidence: dict[str, Any] = {"findings": findings}
    return Event(revision, f"id-{revision}", 1000.0 + at, kind, 1, "auto", "because", evidence)


STARTED, COMPLETED = event(1, 0.0, EventKind.STARTED), event(2, 19.0, EventKind.COMPLETED)
ON_FAILURES, ON_WRONG = (event(2, 8.0, EventKind.ROLLED_BACK, name) for name in ("failures", "wrong"))


def evaluate(
    scene: Scene, *events: Event, traffic: Traffic | None = None, errors: dict[str, int] | None = None
) -> Result:
    """Evaluate a recording of one answer to one user, who has stable."""
    seen = Traffic([Answer("id", "ann", 0, 1001.0, 1001.1, 200, scene.stable, 7)], judged=1)
    recording = Recording(scene, [Stage(0.0), Stage(1.0)], (STARTED, *events), traffic or seen, "salt", errors or {})
    return result_of(recording, lambda version, scan, request_id: 7, [7])


@pytest.mark.parametrize(
    ("scene", "end"),
    [(BETTER, COMPLETED), (RAISES, ON_FAILURES), (CARELESS, ON_WRONG)],
    ids=["better", "raises", "careless"],
)
def test_the_end_that_should_be_is_no_problem(scene: Scene, end: Event) -> None:
    """Each scene has one good end."""
    result = evaluate(scene, end)
    assert result.problems == ()
    assert result.end is end
    assert result.seconds_at(end) == end.at - 1000.0
    assert (result.requests, result.judged, result.stickiness.users) == (1, 1, 1)


@pytest.mark.parametrize(
    ("scene", "end", "problem"),
    [
        (BETTER, ON_FAILURES, "it ended as rolled back, and should have been completed"),
        (RAISES, COMPLETED, "it ended as completed, and should have been rolled back"),
        (RAISES, ON_WRONG, "“wrong” rolled it back, and “failures” should have"),
        (CARELESS, ON_FAILURES, "“failures” rolled it back, and “wrong” should have"),
        (CARELESS, event(2, 8.0, EventKind.ROLLED_BACK), "“None” rolled it back, and “wrong” should have"),
    ],
)
def test_another_end_is_a_problem(scene: Scene, end: Event, problem: str) -> None:
    """A rollback for the wrong reason is one too."""
    assert evaluate(scene, end).problems == (problem,)


def test_no_end_is_a_problem() -> None:
    """A rollout that hangs has failed."""
    result = evaluate(BETTER)
    assert result.end is None
    assert result.problems == ("the rollout did not end within 60 s",)


def test_what_is_broken_is_a_problem() -> None:
    """Lost requests, refused judgements, answers that cannot be reproduced, flapping users and noted errors all are."""
    seen = [
        Answer("1", "ann", 0, 1001.0, 1001.1, 200, "v1", 7),
        Answer("2", "ann", 0, 1002.0, 1002.1, 200, "v2", 7),
        Answer("3", "bob", 0, 1003.0, 1003.1, 200, "v1", 9),
    ]
    traffic = Traffic(seen, judged=0, unanswered=2, refused=3)
    assert evaluate(BETTER, COMPLETED, traffic=traffic, errors={"tick": 4}).problems == (
        "2 requests got no answer",
        "the app refused 3 judgements",
        "1 answers are others when the versions are asked again",
        "1 users changed version without a move of the rollout",
        "the library noted errors: {'tick': 4}",
    )


def test_the_failing_guardrail_comes_from_the_evidence() -> None:
    """An event without evidence has none."""
    assert failing_guardrail(ON_WRONG) == "wrong"
    assert failing_guardrail(Event(2, "id-2", 1008.0, EventKind.ROLLED_BACK, 1, "ann", "by hand")) is None


def test_scenes_have_names_of_their_own() -> None:
    """So that ``--only`` knows which is meant."""
    assert len({scene.name for scene in SCENES}) == len(SCENES) == 3
    assert replace(BETTER, name="other").expectation == "It should reach everybody."
    assert CARELESS.expectation == "It should be rolled back by the guardrail “wrong”."

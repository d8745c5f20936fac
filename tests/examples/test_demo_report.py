"""The demo's report: what was decided, when, why, and what it meant for users."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("rich")

from rich.console import Console

from agent_canary import Event, EventKind
from examples.demo.hindsight import Harm
from examples.demo.original import Move, Replay
from examples.demo.report import decision, fate, reasons, report, steps, stickiness
from examples.demo.result import Result
from examples.demo.scenes import SCENES
from examples.demo.stickiness import Stickiness

BETTER, RAISES, CARELESS = SCENES
FINDING = {"guardrail": "wrong", "role": "rollback", "status": "fail", "sentence": "wrong: 20 % against 2 %"}


def event(revision: int, at: float, kind: EventKind, reason: str = "because", **data: Any) -> Event:
    """Return an event of a rollout that began at 1,000 s."""
    return Event(revision, f"id-{revision}", 1000.0 + at, kind, 1, "auto", reason, {"findings": [FINDING]}, data=data)


STARTED = event(1, 0.0, EventKind.STARTED)
PROMOTED = event(2, 9.2, EventKind.PROMOTED, stage=1)
ROLLED_BACK = event(3, 11.4, EventKind.ROLLED_BACK, "wrong: 20 % against 2 %: rolled back")
COMPLETED = event(3, 19.7, EventKind.COMPLETED, "stage 4 of 4 (100 %): its time is met")

TO_EVERYBODY = Replay((Move(0, 0.1, 0, 1.0), Move(16.0, 1.0, 900, 0.998)), (), is_rolled_back=False, gap=-0.001)
STILL_SERVING = Replay((Move(0, 0.1, 0, 1.0),), (), is_rolled_back=False, gap=0.038)
BY_CHANCE = Replay((Move(0, 0.1, 0, 1.0), Move(2.5, 0.0, 51, 0.941)), (), is_rolled_back=True, gap=0.036)
FOR_CAUSE = replace(BY_CHANCE, gap=0.2)

RESULT = Result(
    scene=CARELESS,
    events=(STARTED, PROMOTED, ROLLED_BACK),
    shares=(0.1, 0.25, 0.5, 1.0),
    requests=4321,
    judged=2100,
    ours=Harm(users=57, harmed=23, answers=63),
    original=TO_EVERYBODY,
    originals=Harm(users=1199, harmed=1177, answers=1235),
    stables=Harm(users=34, harmed=0, answers=35),
    stickiness=Stickiness(users=1047, promoted=14, rolled_back=30, flapped=0),
    problems=(),
)


def printed(result: Result, width: int = 100) -> str:
    """Return the report as it is printed where there is no terminal."""
    console = Console(width=width, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(report([result]))
    return captured.get()


def test_the_decision_says_what_and_when() -> None:
    """Seconds count from the rollout's begin."""
    assert decision(RESULT) == "rolled back after 11.4 s"
    assert decision(replace(RESULT, events=(STARTED, COMPLETED))) == "promoted to everybody after 19.7 s"
    assert decision(replace(RESULT, events=(STARTED,))) == "not decided"


def test_the_reasons_are_the_librarys_own_sentences() -> None:
    """A rollback's reason has the numbers; a completed rollout's come from its findings."""
    assert list(reasons(RESULT)) == ["wrong: 20 % against 2 %: rolled back"]
    completed = replace(RESULT, events=(STARTED, COMPLETED))
    assert list(reasons(completed)) == ["stage 4 of 4 (100 %): its time is met", "wrong: 20 % against 2 %"]
    assert list(reasons(replace(RESULT, events=(STARTED,)))) == []


def test_the_steps_tell_shares_and_times() -> None:
    """From the first stage to the end."""
    assert steps(RESULT) == "10 % at 0.0 s, 25 % at 9.2 s, rolled back at 11.4 s"


def test_stickiness_names_causes_only_where_there_were_changes() -> None:
    """And always how many users changed without one."""
    assert stickiness(RESULT) == (
        "users who changed version: 14 by a promotion, 30 by the rollback; without a cause: none"
    )
    flapped = replace(RESULT, stickiness=Stickiness(users=10, promoted=0, rolled_back=0, flapped=2))
    assert stickiness(flapped) == "users who changed version: none; without a cause: 2"


def test_the_originals_fate_when_it_does_not_see_the_harm() -> None:
    """It promotes what answers HTTP 200."""
    assert fate(RESULT) == "gives v4 to everybody from 16.0 s to the end: HTTP success is all that it sees"


def test_the_originals_fate_when_it_tolerates_the_harm() -> None:
    """It goes on serving, and the report says by how much the canary is worse."""
    assert fate(replace(RESULT, scene=RAISES, original=STILL_SERVING)) == (
        "gives v3 to 10 % of the users from 0.0 s to the end: over all requests, v3 fails 3.8 points more often, "
        "which it tolerates"
    )
    too_few_to_tell = replace(STILL_SERVING, gap=0.5)
    assert fate(replace(RESULT, scene=RAISES, original=too_few_to_tell)).endswith("v3 fails 50.0 points more often")


def test_the_originals_fate_when_it_rolls_back_by_chance_or_for_cause() -> None:
    """An alarm about less than what the rule tolerates is called what it is."""
    seen = "rolls back after 2.5 s, with 94.1 % success of 51 answers of v3"
    assert fate(replace(RESULT, scene=RAISES, original=BY_CHANCE)) == (
        f"{seen}; over all requests, v3 fails 3.6 points more often, which the rule tolerates: it was chance"
    )
    assert fate(replace(RESULT, scene=RAISES, original=FOR_CAUSE)) == seen


def test_the_originals_fate_when_both_promote() -> None:
    """Nothing is held against it."""
    both = replace(RESULT, scene=BETTER, events=(STARTED, COMPLETED))
    assert fate(both) == "gives v2 to everybody from 16.0 s to the end"


def test_the_report_has_everybodys_numbers_side_by_side() -> None:
    """Users, the canary's fault and answers; here, under the original's rule, and without a rollout."""
    lines = [line.split() for line in printed(RESULT).splitlines()]
    assert ["users", "who", "met", "a", "bad", "answer", "57", "1,199", "34"] in lines
    assert ["…", "the", "canary's", "fault", "23", "1,177", "–"] in lines
    assert ["bad", "answers", "63", "1,235", "35"] in lines
    assert "users     1,047; they judged 2,100 of 4,321 answers" in printed(RESULT)


def test_the_report_says_what_was_computed() -> None:
    """How the counterfactual was made is not left to guess."""
    text = " ".join(printed(RESULT).split())
    for part in ("replayed on the same requests", "more than 5 points below stable's", "from 50 answers on"):
        assert part in text


def test_the_report_says_whether_it_ended_as_it_should() -> None:
    """A problem is told with its sentence."""
    assert "rolled back after 11.4 s, as it should" in printed(RESULT)
    text = printed(replace(RESULT, problems=("it ended as completed",)))
    assert "not as it should" in text
    assert "problem   it ended as completed" in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_report_is_plain_text_of_the_width_it_is_given(width: int) -> None:
    """No control characters, and no line longer than told."""
    text = printed(RESULT, width)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert max(map(len, text.splitlines())) <= width

"""Hindsight: what each version would have answered, and what that did to users."""

from __future__ import annotations

from examples.demo.hindsight import Grade, Harm, Request, harm_of, look_back
from examples.demo.traffic import Answer

DIGITS = [3, 5, 8]
READ = {"v1": [3, 5, 0], "v2": [3, 0, 8]}


def ask(version: str, scan: int, request_id: str) -> int | None:
    """Read like the versions do: the canary fails where the request says so."""
    return None if version == "v2" and request_id.startswith("fails") else READ[version][scan]


def answer(request_id: str, scan: int, version: str, digit: int | None, sent_at: float = 100.0) -> Answer:
    """Return what a user saw."""
    return Answer(request_id, "ann", scan, sent_at, sent_at + 0.01, 200 if digit is not None else 500, version, digit)


def look(*answers: Answer) -> tuple[list[Request], int]:
    """Look back at *answers* of a rollout that began at 100 s."""
    recorded = look_back(answers, ("v1", "v2"), 100.0, lambda user: 0.25, ask, DIGITS)
    return recorded.requests, recorded.unlike


def test_both_versions_are_asked_about_every_request() -> None:
    """A request has the grade of what was served and of what was not."""
    requests, unlike = look(answer("a", 1, "v1", 5, 101.5))
    assert requests == [Request("ann", 0.25, 1.5, False, Grade.GOOD, Grade.WRONG)]
    assert unlike == 0


def test_a_failure_is_a_grade_of_its_own() -> None:
    """A version that raises at a request fails it in hindsight too."""
    requests, unlike = look(answer("fails", 0, "v2", None))
    assert requests[0].canary is Grade.FAILED
    assert requests[0].on_canary
    assert unlike == 0


def test_requests_are_in_the_order_in_which_they_were_sent() -> None:
    """Answers may have come in another."""
    requests, _ = look(answer("b", 0, "v1", 3, 102.0), answer("a", 0, "v1", 3, 101.0))
    assert [request.at for request in requests] == [1.0, 2.0]


def test_an_answer_that_cannot_be_reproduced_is_counted() -> None:
    """Another digit, a failure nobody can explain and an unknown version all make hindsight worthless."""
    _, unlike = look(answer("a", 0, "v1", 9), answer("b", 0, "v2", None), answer("c", 0, "", 3))
    assert unlike == 3


def test_harm_counts_users_and_answers_once_each() -> None:
    """Who met two bad answers is one user, and harmed only where stable would have been good."""
    both_bad = Request("ann", 0.1, 0.0, True, Grade.WRONG, Grade.WRONG)
    canary_bad = Request("bob", 0.1, 0.0, True, Grade.GOOD, Grade.FAILED)
    good = Request("cyd", 0.9, 0.0, False, Grade.GOOD, Grade.WRONG)
    requests = [both_bad, both_bad, canary_bad, canary_bad, good]
    assert harm_of(requests, [True] * 4 + [False]) == Harm(users=2, harmed=1, answers=4)
    assert harm_of(requests, [False] * 5) == Harm(users=1, harmed=0, answers=2)
    assert harm_of(requests, [True] * 5) == Harm(users=3, harmed=2, answers=5)
    assert harm_of([], []) == Harm(0, 0, 0)

"""Hindsight: what each version would have answered to every request, and what that did to users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from .traffic import Answer


class Grade(Enum):
    """What an answer was worth to the user."""

    GOOD = "good"
    WRONG = "wrong"
    FAILED = "failed"


class Request(NamedTuple):
    """One request of the recorded traffic, with the answers of both versions.

    Attributes:
        user: Who asked.
        bucket: The user's, in [0, 1).
        at: When it was sent, seconds after the rollout began.
        on_canary: Whether the canary served it.
        stable: What stable answered, or would have.
        canary: What the canary answered, or would have.
    """

    user: str
    bucket: float
    at: float
    on_canary: bool
    stable: Grade
    canary: Grade

    def grade(self, on_canary: bool) -> Grade:
        """What the user got, or would have got, from the canary or from stable."""
        return self.canary if on_canary else self.stable


@dataclass(frozen=True)
class Harm:
    """What users met.

    Attributes:
        users: How many met a bad answer, wrong or failed.
        harmed: How many met one to a request that stable would have answered well.
        answers: How many bad answers there were.
    """

    users: int
    harmed: int
    answers: int


@dataclass(frozen=True)
class Recorded:
    """The traffic of one rollout.

    Attributes:
        requests: In the order in which they were sent.
        unlike: How many of them the version that served them answers otherwise when it is asked again. None, or
            hindsight is worth nothing.
    """

    requests: list[Request]
    unlike: int


def look_back(
    answers: Iterable[Answer],
    versions: tuple[str, str],
    began_at: float,
    bucket_of: Callable[[str], float],
    ask: Callable[[str, int, str], int | None],
    digits: Sequence[int],
) -> Recorded:
    """Put the answers of both versions beside what users saw.

    Args:
        answers: What users saw.
        versions: Stable and canary.
        began_at: When the rollout began, seconds since the Unix epoch.
        bucket_of: The rollout's bucket of a user.
        ask: Returns a version's digit for a scan and a request's id; None when it fails.
        digits: Of each scan the digit that was written.
    """
    requests: list[Request] = []
    unlike = 0
    for answer in sorted(answers, key=lambda one: one.sent_at):
        on_canary = answer.version == versions[1]
        read = [ask(version, answer.scan, answer.request_id) for version in versions]
        unlike += answer.version not in versions or read[on_canary] != answer.digit
        stable, canary = (_grade(digit, digits[answer.scan]) for digit in read)
        bucket = bucket_of(answer.user)
        requests.append(Request(answer.user, bucket, answer.sent_at - began_at, on_canary, stable, canary))
    return Recorded(requests, unlike)


def harm_of(requests: Sequence[Request], served: Sequence[bool]) -> Harm:
    """Count what users meet when each request is served as *served* says: True by the canary, False by stable."""
    met: set[str] = set()
    harmed: set[str] = set()
    answers = 0
    for request, on_canary in zip(requests, served, strict=True):
        if request.grade(on_canary) is not Grade.GOOD:
            answers += 1
            met.add(request.user)
            if request.stable is Grade.GOOD:
                harmed.add(request.user)
    return Harm(len(met), len(harmed), answers)


def _grade(read: int | None, written: int) -> Grade:
    if read is None:
        return Grade.FAILED
    return Grade.GOOD if read == written else Grade.WRONG

"""What users send and see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

USER_HEADER = "X-User"
REQUEST_HEADER = "X-Request-Id"
VERSION_HEADER = "X-Agent-Version"


class Answer(NamedTuple):
    """What a user saw of one visit.

    Attributes:
        request_id: The visit's.
        user: The user's name.
        scan: Index of the scan.
        sent_at: When it was sent, seconds since the Unix epoch.
        answered_at: When the answer was there, seconds since the Unix epoch.
        status: Of the HTTP answer.
        version: Which version answered.
        digit: The digit that it read; None when it failed.
    """

    request_id: str
    user: str
    scan: int
    sent_at: float
    answered_at: float
    status: int
    version: str
    digit: int | None


@dataclass
class Traffic:
    """What the users did during one rollout.

    Attributes:
        answers: In the order in which they came.
        judged: How many of them a user judged; the app has booked it.
        unanswered: How many requests got no HTTP answer at all; none, unless something is broken.
        refused: How many judgements the app refused; none, unless something is broken.
    """

    answers: list[Answer] = field(default_factory=list)
    judged: int = 0
    unanswered: int = 0
    refused: int = 0

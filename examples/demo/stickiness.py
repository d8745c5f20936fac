"""Does each user stay on one version, but for the moves of the rollout?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent_canary import Event, EventKind, Stage

from .traffic import Answer

_SLACK_SECONDS = 1.0
"""A move is booked a moment before the app routes by it; on a busy machine the moment is long."""


@dataclass(frozen=True)
class Stickiness:
    """What users saw change.

    Attributes:
        users: How many came.
        promoted: How many went from stable to the canary as a promotion reached their bucket.
        rolled_back: How many went from the canary back to stable with the rollback.
        flapped: How many changed version without such a move. None, or something is broken.
    """

    users: int
    promoted: int
    rolled_back: int
    flapped: int


@dataclass(frozen=True)
class _Move:
    at: float
    to_canary: bool
    above: float
    below: float

    def explains(self, before: Answer, after: Answer, to_canary: bool, bucket: float) -> bool:
        fits = before.sent_at - _SLACK_SECONDS <= self.at <= after.answered_at
        return fits and to_canary is self.to_canary and self.above <= bucket < self.below


def check(
    answers: Iterable[Answer],
    canary: str,
    events: Sequence[Event],
    stages: Sequence[Stage],
    bucket_of: Callable[[str], float],
) -> Stickiness:
    """Look for the move behind every change of a user's version.

    Args:
        answers: What users saw; a user's requests never overlap.
        canary: The canary version.
        events: The rollout's.
        stages: The rollout's.
        bucket_of: The rollout's bucket of a user.
    """
    moves = list(_moves(events, stages))
    seen: dict[str, list[Answer]] = {}
    for answer in sorted(answers, key=lambda one: one.sent_at):
        seen.setdefault(answer.user, []).append(answer)
    users: Counter[str] = Counter()
    for user, own in seen.items():
        users.update(set(_changes(own, canary, moves, bucket_of(user))))
    return Stickiness(len(seen), users["promoted"], users["rolled_back"], users["flapped"])


def _changes(answers: Sequence[Answer], canary: str, moves: Iterable[_Move], bucket: float) -> Iterator[str]:
    left = list(moves)
    for before, after in pairwise(answers):
        if before.version == after.version:
            continue
        to_canary = after.version == canary
        behind = [move for move in left if move.explains(before, after, to_canary, bucket)]
        if behind:
            left.remove(behind[0])
        yield "flapped" if not behind else "promoted" if to_canary else "rolled_back"


def _moves(events: Sequence[Event], stages: Sequence[Stage]) -> Iterator[_Move]:
    share = stages[0].percent
    for event in events:
        if event.kind is EventKind.PROMOTED:
            before, share = share, stages[event.data["stage"]].percent
            yield _Move(event.at, to_canary=True, above=before, below=share)
        elif event.kind is EventKind.ROLLED_BACK:
            yield _Move(event.at, to_canary=False, above=0.0, below=share)

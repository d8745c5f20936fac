"""Tells the library what became of answers, each thing at its time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count

from agent_canary import Assignment

from .traffic import Answers
from .users import Floats


class SimulatedClock:
    """A clock that the simulation sets, back as well: answers overlap, and are reported one after the other.

    Attributes:
        now: Seconds.
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0.0

    def wall(self) -> float:
        """Seconds since the start."""
        return self.now

    def monotonic(self) -> float:
        """The same."""
        return self.now


class Later:
    """What is to be reported at a later time.

    Args:
        clock: Set to that time before it is.

    Attributes:
        until: What happens before this is reported at once, seconds.
    """

    def __init__(self, clock: SimulatedClock) -> None:
        self.until = 0.0
        self._clock = clock
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, when: float, report: Callable[[], None]) -> None:
        """Report at *when*: now if that is before ``until``."""
        if when <= self.until:
            self._clock.now = when
            report()
        else:
            heappush(self._waiting, (when, next(self._order), report))

    def catch_up(self) -> None:
        """Report what is due."""
        while self._waiting and self._waiting[0][0] <= self.until:
            self._clock.now, _, report = heappop(self._waiting)
            report()


class Reports:
    """Reports the answers of one version.

    Args:
        answers: What it would do to each request.
        covariates: What each user's score of a name used to be.
        clock: The canary's.
        later: For what is not due yet.
    """

    def __init__(self, answers: Answers, covariates: dict[str, Floats], clock: SimulatedClock, later: Later) -> None:
        self._clock, self._later = clock, later
        self.comes: list[bool] = answers.comes.tolist()
        self._failed: list[bool] = answers.failed.tolist()
        self._seconds: list[float] = answers.seconds.tolist()
        self._first_token = None if answers.first_token is None else answers.first_token.tolist()
        self._cost = None if answers.cost is None else answers.cost.tolist()
        self._tokens = None if answers.tokens is None else answers.tokens.tolist()
        self._reports_more = any(each is not None for each in (self._first_token, self._cost, self._tokens))
        self._scores = [
            (scored.name, scored.delay, values.tolist(), covariates[scored.name].tolist() if scored.history else None)
            for scored, values in answers.scores
        ]

    def report(self, assignment: Assignment, index: int, user: int, now: float) -> None:
        """Report the answer to request *index* of *user*, made at *now*."""
        seconds = self._seconds[index]
        if seconds == math.inf:
            return
        end = now + seconds
        if end > self._later.until:
            self._later.at(end, partial(self._finish, assignment, index, user, now, end))
        else:
            self._finish(assignment, index, user, now, end)

    def _finish(self, assignment: Assignment, index: int, user: int, now: float, end: float) -> None:
        if self._reports_more:
            self._report_more(assignment, index, now)
        self._clock.now = end
        if self._failed[index]:
            assignment.fail()
        else:
            assignment.succeed()
        for name, delay, values, covariates in self._scores:
            value = values[index]
            if not math.isnan(value):
                self._later.at(end + delay, partial(_score, assignment, name, value, covariates and covariates[user]))

    def _report_more(self, assignment: Assignment, index: int, now: float) -> None:
        if self._first_token is not None:
            self._clock.now = now + self._first_token[index]
            assignment.first_token()
        if self._cost is not None or self._tokens is not None:
            tokens = 0 if self._tokens is None else self._tokens[index]
            assignment.usage(input_tokens=tokens, cost_usd=0.0 if self._cost is None else self._cost[index])


def _score(assignment: Assignment, name: str, value: float, covariate: float | None) -> None:
    if covariate is None:
        assignment.score(name, value)
    else:
        assignment.score(name, value, covariate=covariate)

"""What one version does to those who use it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .amounts import Amount
from .users import Floats


@dataclass(frozen=True, slots=True)
class Failing:
    """How often answers fail.

    Attributes:
        rate: Share of answers, in [0, 1].
        course: The rate's course instead, as (seconds, rate), straight in between: a drift, an outage, a late onset.
            Its first rate is *rate*, which may then not be 0 or 1.
    """

    rate: float
    course: tuple[tuple[float, float], ...] = ()

    def factor(self, at: Floats) -> Floats | float:
        """Return by how much the rate at each time is higher than at first."""
        return along(self.course, at) / self.rate if self.course else 1.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A score that answers get.

    Attributes:
        name: The score's name.
        amount: What it is.
        share: Of the answers that get one, in [0, 1].
        delay: Seconds after the answer.
        history: How many earlier answers of each user, on stable, the covariate is the mean of; 0: no covariate.
    """

    name: str
    amount: Amount
    share: float = 1.0
    delay: float = 0.0
    history: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A version's behaviour.

    Attributes:
        failing: How often its answers fail.
        seconds: How long answers take; None: no time. What is not there at the outcome horizon never comes.
        failure_seconds: How long failing answers take; None: as long as any.
        pace: The course of a factor on both, as (seconds, factor), straight in between: a shared back end in trouble.
        first_token: Seconds to the first token, the whole answer's time at most; None: not reported.
        cost: US dollars; None: not reported.
        tokens: Tokens; None: not reported.
        scores: What is said about its answers.
        use: How often its users come, relative to the other version's, once they know it.
        kept: Share of its users that come at all, in [0, 1].
    """

    failing: Failing = Failing(0.001)
    seconds: Amount | None = None
    failure_seconds: Amount | None = None
    pace: tuple[tuple[float, float], ...] = ()
    first_token: Amount | None = None
    cost: Amount | None = None
    tokens: Amount | None = None
    scores: tuple[Scored, ...] = ()
    use: float = 1.0
    kept: float = 1.0

    @property
    def is_at_once(self) -> bool:
        """Whether nothing but a failure is to be reported, and that at once."""
        return (
            self.seconds is self.failure_seconds is self.first_token is self.cost is self.tokens is None
            and not self.scores
        )


def along(course: tuple[tuple[float, float], ...], at: Floats) -> Floats:
    """Return the height of a course of (seconds, height) at each time."""
    seconds, heights = zip(*course, strict=True)
    return np.interp(at, seconds, heights)

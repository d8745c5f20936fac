"""One run's requests, drawn before it begins: who comes when, and what each version would do to them.

Both versions' answers are there for each request (its potential outcomes), from the same luck. Which one the user meets
is for the routing to say, so that several rules can be tried on the very same traffic.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from .amounts import Amount, Luck, probability
from .arm import Arm, Scored, along
from .cell import Cell
from .users import Floats, Indices, Users

SEED = 20260101
"""What all runs begin from. The seed of a run is this, its cell's name and its number."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one version would do to each request.

    Attributes:
        comes: Whether the request is made at all, by a user who knows this version.
        failed: Whether the answer fails, or never comes.
        seconds: When it ends, after the request; infinite: never.
        first_token: Seconds to the first token; None: not reported.
        cost: US dollars; None: not reported.
        tokens: Tokens; None: not reported.
        scores: What is said about it; NaN where nothing is.
    """

    comes: npt.NDArray[np.bool_]
    failed: npt.NDArray[np.bool_]
    seconds: Floats
    first_token: Floats | None
    cost: Floats | None
    tokens: Indices | None
    scores: tuple[tuple[Scored, Floats], ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of a run in their order.

    Attributes:
        at: When each is made, seconds from the start.
        who: Its user.
        stable: What stable would do.
        canary: What the canary would do.
        first_comes: Whether the request is made by a user whom it would bring to the canary for the first time: until
            then they come as often as on stable.
        covariates: What each user's score of a name used to be before.
        horizon: When an answer that has not come counts as failed, seconds.
    """

    at: Floats
    who: Indices
    stable: Answers
    canary: Answers
    first_comes: npt.NDArray[np.bool_]
    covariates: dict[str, Floats]
    horizon: float

    def __len__(self) -> int:
        return len(self.at)

    @property
    def all_come(self) -> bool:
        """Whether every request is made, whoever answers."""
        return bool(self.stable.comes.all() and self.canary.comes.all())


def generator(cell: Cell, run: int) -> np.random.Generator:
    """Return the random numbers of a run: always the same ones."""
    return np.random.default_rng([SEED, zlib.crc32(cell.name.encode()), run])


def draw(cell: Cell, rng: np.random.Generator) -> Traffic:
    """Draw a run's traffic."""
    arms = cell.arms
    busiest = max(arm.use for arm in arms)
    requests = int(rng.poisson(cell.per_second * busiest * cell.seconds))
    at = np.sort(rng.uniform(0.0, cell.seconds, requests))
    who = cell.users.who(rng, requests)
    luck = _Fortunes(rng, cell.users, who)
    propensities = cell.users.propensities(rng, tuple(arm.failing.rate for arm in arms))
    thinning, staying = rng.random(requests), rng.random(cell.users.number)[who]
    stable, canary = (
        _answers(arm, luck, at, propensity[who], (thinning < arm.use / busiest) & (staying < arm.kept), cell.horizon)
        for arm, propensity in zip(arms, propensities, strict=True)
    )
    first_comes = (thinning < cell.stable.use / busiest) & (staying < arms[1].kept)
    covariates = {scored.name: luck.history(scored) for scored in cell.stable.scores if scored.history}
    return Traffic(at, who, stable, canary, first_comes, covariates, cell.horizon)


class _Fortunes:
    """Two numbers for each request and each thing that may vary: the same ones for both versions."""

    def __init__(self, rng: np.random.Generator, users: Users, who: Indices) -> None:
        self._rng, self._users, self._who = rng, users, who
        self._drawn: dict[str, Luck] = {}
        self._of_user: dict[str, Floats] = {}
        self.failing = rng.random(len(who))
        self.told = rng.random(len(who))

    def value(self, what: str, amount: Amount) -> Floats:
        if what not in self._drawn:
            normal, self._of_user[what] = self._users.luck(self._rng, self._who)
            self._drawn[what] = Luck(normal, probability(self._users.luck(self._rng, self._who)[0]))
        return amount.of(self._drawn[what])

    def history(self, scored: Scored) -> Floats:
        """What each user's mean score was, on stable, over as many answers as *scored* says."""
        rng, number = self._rng, self._users.number * scored.history
        own = sqrt(1.0 - self._users.correlation) * rng.standard_normal(number)
        normal = np.repeat(self._of_user[scored.name], scored.history) + own
        return scored.amount.of(Luck(normal, rng.random(number))).reshape(-1, scored.history).mean(axis=1)


def _answers(
    arm: Arm, luck: _Fortunes, at: Floats, propensity: Floats, comes: npt.NDArray[np.bool_], horizon: float
) -> Answers:
    failed = luck.failing < propensity * arm.failing.factor(at)
    seconds = np.zeros(len(at)) if arm.seconds is None else luck.value("seconds", arm.seconds)
    if arm.failure_seconds is not None:
        seconds = np.where(failed, luck.value("seconds", arm.failure_seconds), seconds)
    if arm.pace:
        seconds = seconds * along(arm.pace, at)
    hangs = seconds >= horizon
    first_token = None if arm.first_token is None else np.minimum(luck.value("first token", arm.first_token), seconds)
    return Answers(
        comes=comes,
        failed=failed | hangs,
        seconds=np.where(hangs, np.inf, seconds),
        first_token=first_token,
        cost=None if arm.cost is None else luck.value("cost", arm.cost),
        tokens=None if arm.tokens is None else np.rint(luck.value("tokens", arm.tokens)).astype(np.int64),
        scores=tuple((scored, _told(scored, luck)) for scored in arm.scores),
    )


def _told(scored: Scored, luck: _Fortunes) -> Floats:
    values = luck.value(scored.name, scored.amount)
    return values if scored.share >= 1.0 else np.where(luck.told < scored.share, values, np.nan)

"""Who uses the product: how many, how unequally, and how alike the answers of one of them are."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Users:
    """The users of a product.

    Attributes:
        number: How many there are.
        sigma: Of the lognormal law of their activity; 0: all use it equally, 2: a few make most of the traffic.
        correlation: Of two answers of one user, in [0, 1): for failures the intra-class correlation, for amounts and
            scores that of the normal numbers behind them.
    """

    number: int
    sigma: float = 0.0
    correlation: float = 0.0

    def activity(self, rng: np.random.Generator) -> Floats:
        """Return each user's share of the traffic; they add up to 1."""
        weights = np.exp(self.sigma * rng.standard_normal(self.number))
        return weights / weights.sum()

    def who(self, rng: np.random.Generator, requests: int) -> Indices:
        """Return the user of each request."""
        edges = np.cumsum(self.activity(rng))
        return np.minimum(np.searchsorted(edges, rng.random(requests), side="right"), self.number - 1)

    def luck(self, rng: np.random.Generator, who: Indices) -> tuple[Floats, Floats]:
        """Return a standard normal number for each request, alike for one user, and each user's own part of it."""
        of_user = sqrt(self.correlation) * rng.standard_normal(self.number)
        return of_user[who] + sqrt(1.0 - self.correlation) * rng.standard_normal(len(who)), of_user

    def propensities(self, rng: np.random.Generator, rates: tuple[float, ...]) -> list[Floats]:
        """Return each user's probability of a failure, for each rate: who fails more at one fails more at all.

        They follow a beta law with the rate as its mean, so that two answers of one user have the correlation.
        """
        if not self.correlation:
            return [np.full(self.number, rate) for rate in rates]
        places = rng.permutation(self.number)
        spread = (1.0 - self.correlation) / self.correlation
        drawn: dict[float, Floats] = {}
        for rate in rates:
            if rate not in drawn:
                ordered = (
                    np.sort(rng.beta(rate * spread, (1.0 - rate) * spread, self.number)) if 0.0 < rate < 1.0 else rate
                )
                drawn[rate] = np.full(self.number, ordered)[places]
        return [drawn[rate] for rate in rates]

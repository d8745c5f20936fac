"""Which evidence is best, and which pair: ``python -m validation.compare_evidence`` prints a table, in five minutes.

Failing users, hash buckets and the randomisation e-value look at the same simulated answers: a ramp of 1, 5, 25 and
50 % of the users, 3,750 requests of a canary as stable at each share. The first two are looked at 120 times, as often
as anyone likes; the last at 20 planned analyses, and its threshold pays for them. Outcomes are known at once, units are
not sampled, stages go by time.

Each test alone has alpha = 1 %. "&" is the mean of two e-values, "or" the union of two tests, each with half of alpha.
The library's rules are applied as they are: failing users count only while the canary's answers are worse too, buckets
only where there are enough users, both against the tolerated risk ratio of 1.2 (`--tolerance`). "At their use"
multiplies the tolerance of failing users by how much more the canary is used. The randomisation e-value ("draw") knows
no tolerance; it counts under the same agreement as failing users.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log, sqrt
from statistics import median

import numpy as np

from agent_canary.deciding.agreement import is_surely_above
from agent_canary.metrics.arms import BinaryCounts
from agent_canary.statistics import (
    CLUSTERS,
    ArmSums,
    Stratum,
    contrast,
    log_e_one_sided,
    log_e_value,
    log_mean_exp,
    usage_ratio,
)

from .randomisation import DEVIATIONS
from .users import Floats, Indices, Users

ALPHA = 0.01
SHARES = (0.01, 0.05, 0.25, 0.5)
LOOKS_PER_STAGE, REQUESTS_PER_LOOK, LOOKS_PER_ANALYSIS = 30, 125, 6
ANALYSES = len(SHARES) * LOOKS_PER_STAGE // LOOKS_PER_ANALYSIS
METHODS = (
    "users",
    "users at their use",
    "buckets",
    "draw",
    "users & buckets",
    "users at their use & buckets",
    "users at their use or draw",
    "buckets or draw",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A canary: how often it fails where stable fails at a rate, and how much more it is used."""

    name: str
    users: Users
    stable_rate: float
    canary_rate: float
    usage: float = 1.0


HEAVY, MILD = Users(2000, 2.0, 0.6), Users(2000, 0.0, 0.1)
CASES = (
    Case("harmless, 5 %, heavy-tailed, correlation .6", HEAVY, 0.05, 0.05),
    Case("harmless, 10 %, 200 users", Users(200, 0.0, 0.3), 0.1, 0.1),
    Case("harmless, 2 %, used twice as much", MILD, 0.02, 0.02, 2.0),
    Case("harmless, 20 %, used twice as much", MILD, 0.2, 0.2, 2.0),
    Case("0.1 → 1 %, 20,000 users", Users(20_000, 0.0, 0.1), 0.001, 0.01),
    Case("2 → 6 %", MILD, 0.02, 0.06),
    Case("2 → 6 %, heavy-tailed", Users(2000, 2.0, 0.1), 0.02, 0.06),
    Case("20 → 30 %, 2,000 users", MILD, 0.2, 0.3),
    Case("20 → 30 %, heavy-tailed", Users(2000, 2.0, 0.1), 0.2, 0.3),
    Case("50 → 60 %, 2,000 users", MILD, 0.5, 0.6),
)


class Rollout:
    """One rollout of a case, with what each test needs to know of the answers so far."""

    def __init__(self, case: Case, rng: np.random.Generator) -> None:
        number = case.users.number
        self.case, self.rng = case, rng
        self.weights = case.users.activity(rng)
        self.rates = case.users.propensities(rng, (case.stable_rate, case.canary_rate))
        self.buckets = rng.random(number)
        self.clusters = rng.integers(0, CLUSTERS, number)
        self.answers, self.bad = np.zeros((len(SHARES), number)), np.zeros((len(SHARES), number))
        self.lo, self.hi = np.zeros(number, np.int64), np.zeros(number, np.int64)
        self.sums = np.zeros((len(SHARES), 2, 2, CLUSTERS))

    def looks(self) -> Iterator[bool]:
        """Let answers come; yield at each look whether an analysis is planned there."""
        for look in range(len(SHARES) * LOOKS_PER_STAGE):
            self._answer(look // LOOKS_PER_STAGE)
            yield (look + 1) % LOOKS_PER_ANALYSIS == 0

    def _answer(self, stage: int) -> None:
        on_canary = self.buckets < SHARES[stage]
        edges = np.cumsum(self.weights * np.where(on_canary, self.case.usage, 1.0))
        who = np.searchsorted(edges, edges[-1] * self.rng.random(round(REQUESTS_PER_LOOK * edges[-1])), side="right")
        bad = self.rng.random(len(who)) < np.where(on_canary, self.rates[1], self.rates[0])[who]
        np.add.at(self.answers[stage], who, 1.0)
        np.add.at(self.bad[stage], who[bad], 1.0)
        for arm, there in enumerate((on_canary[who], ~on_canary[who])):
            self.sums[stage, arm, 0] += np.bincount(self.clusters[who[there]], minlength=CLUSTERS)
            self.sums[stage, arm, 1] += np.bincount(self.clusters[who[there & bad]], minlength=CLUSTERS)
        self._fail(who[bad], stage, on_canary)

    def _fail(self, failing: Indices, stage: int, on_canary: np.ndarray) -> None:
        """Numbers of shares from 1 on, the first that failed on the canary and the last that failed on stable."""
        canary, stable = failing[on_canary[failing]], failing[~on_canary[failing]]
        self.hi[canary[self.hi[canary] == 0]] = stage + 1
        self.lo[stable] = stage + 1

    @property
    def usage(self) -> float:
        """How many times as much the canary is used, at least 1."""
        answers = self.sums[:, :, 0].sum(axis=2).astype(int).tolist()
        return max(1.0, usage_ratio((share, *both) for share, both in zip(SHARES, answers, strict=True)))

    @property
    def canary_requests(self) -> int:
        """Answers of the canary so far."""
        return int(self.sums[:, 0, 0].sum())

    def is_worse(self, tolerance: float) -> bool:
        """Whether the canary's answers are bad more often than tolerated: the rule of agreement."""
        totals = self.sums.sum(axis=3).astype(int).tolist()
        return is_surely_above((BinaryCounts(c[0], c[1], s[0], s[1]) for c, s in totals), tolerance)

    def log_e_users(self, tolerance: float) -> float:
        """The evidence of failing users."""
        shares = (0.0, *SHARES)
        table = np.bincount(self.lo * len(shares) + self.hi, minlength=len(shares) ** 2).tolist()
        groups = {
            (shares[i // len(shares)], shares[i % len(shares)] or None): n for i, n in enumerate(table) if n and i
        }
        return log_e_value(groups, tolerance)

    def log_e_buckets(self, tolerance: float) -> float:
        """The evidence of the rates, by hash buckets."""
        found = contrast([Stratum(*(ArmSums(*arm) for arm in stage)) for stage in self.sums.tolist()], tolerance)
        if found is None or found.refusal is not None or not found.variance > 0.0:
            return 0.0
        return log_e_one_sided(found.difference, found.variance, (0.2 * found.deviation) ** 2)

    def log_e_draw(self) -> float:
        """The evidence of the draw of buckets."""
        return log_e_of_draw(self.buckets, self.answers, self.bad)


def log_e_of_draw(buckets: Floats, answers: Floats, totals: Floats) -> float:
    """`log_e_randomisation` at the shares of the ramp, from one row for each stage and one column for each user."""
    n = answers.sum(axis=1)
    means = np.divide(totals.sum(axis=1), n, out=np.zeros(len(SHARES)), where=n > 0.0)
    z = (totals - means[:, None] * answers) / np.sqrt(np.maximum(answers, 1.0))
    paths = np.vstack([np.cumsum(z[::-1], axis=0)[::-1], np.zeros(len(buckets))])
    widths = np.diff([0.0, *SHARES, 1.0])
    variance = float((widths @ paths**2 - (widths @ paths) ** 2).sum())
    if not variance > 0.0:
        return 0.0
    actual = float(paths[np.searchsorted(SHARES, buckets, side="right"), np.arange(len(buckets))].sum())
    bets = [c / sqrt(variance) for c in DEVIATIONS]
    return log_mean_exp([bet * actual - float(np.log(widths @ np.exp(bet * paths)).sum()) for bet in bets])


@dataclass
class Record:
    """After how many canary requests each method failed the canaries of a case, if it did."""

    runs: int = 0
    needed: dict[str, list[int]] = field(default_factory=lambda: {method: [] for method in METHODS})

    def add(self, rollout: Rollout, tolerance: float) -> None:
        """Let the rollout go, and note when each method fails it."""
        self.runs += 1
        waiting = set(METHODS)
        for is_planned in rollout.looks():
            for method in waiting & set(_failing(rollout, tolerance, is_planned)):
                self.needed[method].append(rollout.canary_requests)
                waiting.remove(method)

    def cell(self, method: str) -> str:
        """How many were failed, with the Monte-Carlo standard error, and the median of requests."""
        failed = len(self.needed[method])
        smoothed = (failed + 1) / (self.runs + 2)
        error = sqrt(smoothed * (1.0 - smoothed) / self.runs)
        text = f"{100.0 * failed / self.runs:.1f} ± {100.0 * error:.1f} %"
        return f"{text}, {median(self.needed[method]):,.0f}" if failed else text


def _failing(rollout: Rollout, tolerance: float, is_planned: bool) -> list[str]:
    """The methods whose evidence is beyond its threshold now."""
    agreed, limit = rollout.is_worse(tolerance), log(1.0 / ALPHA)
    users = rollout.log_e_users(tolerance) if agreed else 0.0
    at_use = rollout.log_e_users(tolerance * rollout.usage) if agreed else 0.0
    buckets = rollout.log_e_buckets(tolerance)
    draw = (rollout.log_e_draw() if is_planned and agreed else 0.0) - log(ANALYSES)
    half = log(2.0)
    log_e = (
        users,
        at_use,
        buckets,
        draw,
        log_mean_exp((users, buckets)),
        log_mean_exp((at_use, buckets)),
        max(at_use, draw) - half,
        max(buckets, draw) - half,
    )
    return [method for method, value in zip(METHODS, log_e, strict=True) if value >= limit]


def main() -> None:
    """Print the table, a row when it is ready."""
    parser = argparse.ArgumentParser(prog="python -m validation.compare_evidence", description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="rollouts of each case (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (default: 1)")
    parser.add_argument("--tolerance", type=float, default=1.2, help="tolerated risk ratio (default: 1.2)")
    options = parser.parse_args()
    print(f"Failed at {ALPHA:.0%}, tolerance {options.tolerance:g}, {options.runs} rollouts; median canary requests\n")
    print("| canary | " + " | ".join(METHODS) + " |\n| --- |" + " --- |" * len(METHODS))
    for number, case in enumerate(CASES):
        record = Record()
        for run in range(options.runs):
            record.add(Rollout(case, np.random.default_rng((options.seed, number, run))), options.tolerance)
        print(f"| {case.name} | " + " | ".join(map(record.cell, METHODS)) + " |", flush=True)


if __name__ == "__main__":
    main()

"""The randomisation e-value: expectation 1 over the draw of buckets, blind to everything else."""

from __future__ import annotations

from itertools import product
from math import exp, fsum
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.randomisation import Unit, log_e_randomisation, log_threshold

SHARES = (0.05, 0.25, 0.5)
SEEDS = st.integers(0, 2**32)


def units_of(seed: int, users: int = 60, harm: float = 0.0) -> list[Unit]:
    """Users with their own rates and activity in three stages, worse by *harm* while on the canary."""
    random = Random(seed)
    units: list[Unit] = []
    for _ in range(users):
        bucket, rate, activity = random.random(), 0.6 * random.random(), random.randrange(12)
        answers = [random.randint(0, activity) for _ in SHARES]
        rates = [rate + harm * (bucket < share) for share in SHARES]
        totals = [sum(random.random() < r for _ in range(n)) for n, r in zip(answers, rates, strict=True)]
        units.append(Unit(bucket, answers, totals))
    return units


@given(SEEDS, st.permutations(SHARES))
def test_the_expectation_over_the_draw_of_buckets_is_one(seed: int, shares: list[float]) -> None:
    """Four users, whatever they got, over all buckets that they may have: the e-value has mean 1."""
    ends = [*sorted(shares), 1.0]
    segments = list(zip([0.0, *ends[:-1]], ends, strict=True))
    units = units_of(seed, users=4)
    mean = fsum(
        exp(log_e_randomisation(shares, [Unit(s, u.answers, u.totals) for (s, _), u in zip(draw, units, strict=True)]))
        * (draw[0][1] - draw[0][0])
        * (draw[1][1] - draw[1][0])
        * (draw[2][1] - draw[2][0])
        * (draw[3][1] - draw[3][0])
        for draw in product(segments, repeat=4)
    )
    assert mean == pytest.approx(1.0, abs=1e-9)


@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_users_and_stages_does_not_matter(seed: int, random: Random) -> None:
    """Users in another order, and stages in another order, give the same evidence."""
    units, order = units_of(seed), list(range(len(SHARES)))
    random.shuffle(order)
    others = [Unit(u.bucket, [u.answers[k] for k in order], [u.totals[k] for k in order]) for u in units]
    random.shuffle(others)
    there = log_e_randomisation([SHARES[k] for k in order], others)
    assert there == pytest.approx(log_e_randomisation(SHARES, units), abs=1e-9)


@given(SEEDS, st.floats(0.01, 100.0), st.floats(-10.0, 10.0))
def test_the_unit_of_the_answers_does_not_matter(seed: int, scale: float, shift: float) -> None:
    """Scaled and shifted values are the same evidence."""
    units = units_of(seed)
    others = [
        Unit(u.bucket, u.answers, [scale * (y + shift * n) for n, y in zip(u.answers, u.totals, strict=True)])
        for u in units
    ]
    there = log_e_randomisation(SHARES, others)
    assert there == pytest.approx(log_e_randomisation(SHARES, units), rel=1e-6, abs=1e-6)


def test_a_worse_canary_is_evidence() -> None:
    """With 400 users and 30 points more failures on the canary the evidence is beyond 1 %, also after 20 analyses."""
    assert log_e_randomisation(SHARES, units_of(2, users=400, harm=0.3)) > log_threshold(0.01, 20)
    assert log_e_randomisation(SHARES, units_of(2, users=400)) < log_threshold(0.01, 1)


def test_nothing_that_differs_is_no_evidence() -> None:
    """Without users, and with users whose answers are all alike, the log e-value is 0."""
    assert log_e_randomisation(SHARES, []) == 0.0
    assert log_e_randomisation(SHARES, [Unit(0.1, [3, 0, 2], [3, 0, 2]), Unit(0.7, [1, 1, 1], [1, 1, 1])]) == 0.0


def test_harmless_canaries_reach_the_threshold_rarely_enough() -> None:
    """Of 300 harmless draws at one analysis, no more than 5 % and three standard errors reach 1 / 5 %."""
    alarms = sum(log_e_randomisation(SHARES, units_of(seed, users=40)) >= log_threshold(0.05, 1) for seed in range(300))
    assert alarms / 300 <= 0.05 + 3.0 * 0.0126


def test_a_unit_of_another_number_of_stages_is_refused() -> None:
    """Every user has a number for every stage."""
    with pytest.raises(ValueError, match="argument"):
        log_e_randomisation(SHARES, [Unit(0.1, [1, 2, 3, 4], [0, 0, 0, 0])])

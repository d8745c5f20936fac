"""A canary that is broken from the first request on is gone after a handful of failed answers."""

from __future__ import annotations

from random import Random

import pytest

from agent_canary import Stage
from tests.deciding.trial import Answer, Behaviour, Trial


def broken(rate: float, stable: float) -> Behaviour:
    """Failures at one rate on the canary and another on stable."""

    def answer(draw: Random, is_canary: bool, user: int) -> Answer:
        return Answer(failed=draw.random() < (rate if is_canary else stable))

    return answer


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rate", "stable", "most"), [(1.0, 0.0, 4), (0.5, 0.01, 12)])
def test_one_per_cent_is_enough_to_see_it(rate: float, stable: float, most: int, seed: int) -> None:
    """At 1 % exposure, by the default guardrails and alpha: failed answers of the canary until it is gone."""
    trial = Trial([Stage(0.01, 1e6)], users=20_000, per_second=50, seed=seed)
    trial.run(300, broken(rate, stable))
    assert trial.kinds == ["started", "rolled_back"]
    failures = trial.finding("failures")
    assert failures.status.value == "fail"
    assert failures.canary_bad <= most
    assert trial.canary.metrics("v2").failures <= most


def test_the_breaker_needs_no_stable() -> None:
    """All users are on the canary, and nothing can be compared: twenty failures in a row are enough."""
    trial = Trial([Stage(1.0, 1e6)], per_second=5).run(20, broken(0.02, 0.0))
    assert trial.kinds == ["started"]
    trial.run(20, broken(1.0, 0.0))
    assert trial.kinds == ["started", "rolled_back"]
    assert trial.verdict.sentence == (
        "breaker: each of the canary's last 20 answers failed, stable has no traffic to compare with"
    )
    assert trial.finding("breaker").alpha is None


def test_the_breaker_leaves_an_outage_of_both_alone() -> None:
    """Everything fails for everybody for a minute."""
    trial = Trial([Stage(0.5, 1e6)]).run(60, broken(1.0, 1.0))
    assert trial.kinds == ["started"]

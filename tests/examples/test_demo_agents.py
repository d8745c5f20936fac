"""The demo's agents: what is said of the four versions is true."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from examples.demo.agents import Agent, AgentError, in_hindsight, train
from examples.demo.scans import Scans, split_scans

REQUESTS = [f"better/user-0001/{number}" for number in range(5000)]


@pytest.fixture(scope="module")
def halves() -> tuple[Scans, Scans]:
    """The scans for training, and the users'."""
    return split_scans()


@pytest.fixture(scope="module")
def agents(halves: tuple[Scans, Scans]) -> dict[str, Agent]:
    """All versions, trained."""
    return train(halves[0])


@pytest.fixture(scope="module")
def wrong(halves: tuple[Scans, Scans], agents: dict[str, Agent]) -> dict[str, float]:
    """How many of the users' scans each version reads wrong, in [0, 1]."""
    pixels, digits = halves[1].pixels, halves[1].digits
    return {
        version: sum(agent.classify(scan) != digit for scan, digit in zip(pixels, digits, strict=True)) / len(digits)
        for version, agent in agents.items()
    }


def failing(agent: Agent) -> float:
    """How many requests the agent fails, in [0, 1]."""
    return sum(map(agent.fails, REQUESTS)) / len(REQUESTS)


def test_the_halves_are_all_real_scans_and_share_none(halves: tuple[Scans, Scans]) -> None:
    """What users send, no model has seen; every split is the same one."""
    training, theirs = halves
    assert len(training.digits) + len(theirs.digits) == 1797
    assert len(training.pixels) == len(training.digits)
    assert not {tuple(scan) for scan in training.pixels} & {tuple(scan) for scan in theirs.pixels}
    assert split_scans() == halves


def test_the_better_model_is_better(wrong: dict[str, float]) -> None:
    """On scans that it has never seen, at less than a third of the errors."""
    assert wrong["v2"] < 0.03 < wrong["v1"] / 3 < 0.05


def test_the_careless_version_is_wrong_more_often_and_never_fails(
    agents: dict[str, Agent], wrong: dict[str, float]
) -> None:
    """The same model, on smaller pictures."""
    assert agents["v4"].model is agents["v2"].model
    assert 0.2 < wrong["v4"] < 0.4
    assert failing(agents["v4"]) == 0.0


def test_the_raising_version_reads_as_well_and_fails_more_often(
    agents: dict[str, Agent], wrong: dict[str, float]
) -> None:
    """Four per cent, within the five points that the original's rule tolerates."""
    assert wrong["v3"] == wrong["v2"]
    assert failing(agents["v3"]) == pytest.approx(0.04, abs=0.01)
    assert failing(agents["v2"]) == pytest.approx(0.002, abs=0.002)


def test_a_request_that_fails_in_one_version_fails_in_each_that_fails_more_often(agents: dict[str, Agent]) -> None:
    """So that hindsight compares versions, and not luck."""
    stable, canary = ({request for request in REQUESTS if agents[name].fails(request)} for name in ("v2", "v3"))
    assert stable < canary


def test_reading_raises_where_the_agent_fails(agents: dict[str, Agent], halves: tuple[Scans, Scans]) -> None:
    """And answers the digit elsewhere."""
    agent, scan = agents["v3"], halves[1].pixels[0]
    bad = next(request for request in REQUESTS if agent.fails(request))
    good = next(request for request in REQUESTS if not agent.fails(request))
    with pytest.raises(AgentError, match="did not answer"):
        agent.read(scan, bad)
    assert agent.read(scan, good) == agent.classify(scan)


def test_hindsight_asks_what_was_served(agents: dict[str, Agent], halves: tuple[Scans, Scans]) -> None:
    """The same digit, or the same failure."""
    ask = in_hindsight(agents, halves[1])
    bad = next(request for request in REQUESTS if agents["v3"].fails(request))
    assert ask("v3", 5, bad) is None
    assert ask("v4", 5, bad) == agents["v4"].classify(halves[1].pixels[5])

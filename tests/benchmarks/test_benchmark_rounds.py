"""How contestants take turns."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from benchmarks.rounds import SMOKE, Contestant, Effort, measure


class Clock:
    """Seconds that pass only where a contestant lets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def operation(self, seconds: float, calls: list[int] | None = None) -> Callable[[int], None]:
        """Return a loop whose operations take so long."""

        def loop(count: int) -> None:
            self.now += count * seconds
            if calls is not None:
                calls.append(count)

        return loop


def effort(rounds: int, sample_seconds: float) -> Effort:
    """Return an effort of so many rounds."""
    return Effort("test", rounds, True, sample_seconds, 0, 0, 0.0, 0, 0)


def test_each_contestant_has_one_time_per_round_and_operation() -> None:
    """Times are seconds for one operation, however many one sample holds."""
    clock = Clock()

    samples = measure(
        {"a": Contestant(clock.operation(0.25)), "b": Contestant(clock.operation(0.5))}, effort(3, 8.0), clock
    )

    assert samples == {"a": [0.25, 0.25, 0.25], "b": [0.5, 0.5, 0.5]}


def test_contestants_take_turns_in_alternating_order() -> None:
    """No contestant is always the first, and no round leaves one out."""
    clock, order = Clock(), ""

    def loop(name: str) -> Callable[[int], None]:
        def run(count: int) -> None:
            nonlocal order
            order += name
            clock.now += count

        return run

    measure({name: Contestant(loop(name)) for name in "abc"}, effort(4, 1.0), clock)

    assert order == "abc" + "abccbaabccba"


def test_a_sample_takes_about_the_time_that_was_asked_for() -> None:
    """The number of operations follows from how long they took in the warm-up."""
    clock = Clock()
    calls: list[int] = []

    measure({"a": Contestant(clock.operation(0.25, calls))}, effort(2, 100.0), clock)

    assert calls[-2:] == [400, 400]


@pytest.mark.parametrize("sample_seconds", [0.1, 3.0, 1000.0])
def test_a_sample_holds_whole_batches(sample_seconds: float) -> None:
    """Work that is done every so often falls into each sample equally."""
    clock = Clock()
    calls: list[int] = []

    measure({"a": Contestant(clock.operation(0.25, calls), batch=7)}, effort(2, sample_seconds), clock)

    assert all(count % 7 == 0 for count in calls)


def test_what_comes_after_a_sample_is_off_the_clock() -> None:
    """Tidying up costs a contestant nothing."""
    clock = Clock()
    tidied = []

    def tidy() -> None:
        clock.now += 1000.0
        tidied.append(clock.now)

    samples = measure({"a": Contestant(clock.operation(1.0), after=tidy)}, effort(2, 4.0), clock)

    assert samples == {"a": [1.0, 1.0]}
    assert tidied


def test_samples_begin_just_after_a_collection_with_the_collector_on() -> None:
    """What an operation leaves behind is its own, and what was there before is frozen."""
    seen: list[tuple[bool, int, bool]] = []

    def loop(_count: int) -> None:
        seen.append((gc.isenabled(), gc.get_count()[2], gc.get_freeze_count() > 0))

    measure({"a": Contestant(loop)}, SMOKE, iter(range(1000)).__next__)

    assert set(seen) == {(True, 0, True)}
    assert gc.get_freeze_count() == 0

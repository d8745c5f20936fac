"""An assignment around a block of code: how each exit ends it. The twin of test_blocks_async."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent_canary import AgentCanary, Assignment, Outcome, current_assignment, treat_as_cancellation
from tests.assignment.endings import BY_NAME, ERRORS, ClientLeftError
from tests.canary.kit import counted, key_on


def test_a_normal_exit_succeeds(canary: AgentCanary, assignment: Assignment) -> None:
    """One success is counted."""
    with assignment as entered:
        assert entered is assignment
        assert assignment.outcome is None
    assert assignment.outcome is Outcome.SUCCEEDED
    assert counted(canary, "v2") == (1, 0, 0)


@pytest.mark.parametrize(("error", "outcome"), ERRORS, ids=BY_NAME)
def test_an_exception_ends_it(
    canary: AgentCanary, assignment: Assignment, error: BaseException, outcome: Outcome
) -> None:
    """Exceptions fail it, cancellations of any kind cancel it; the very exception goes on."""
    with pytest.raises(type(error)) as raised, assignment:
        raise error
    assert raised.value is error
    assert assignment.outcome is outcome
    assert counted(canary, "v2") == ((0, 1, 0) if outcome is Outcome.FAILED else (0, 0, 1))


def test_an_end_in_the_block_counts(canary: AgentCanary, assignment: Assignment) -> None:
    """A failure that the app reports itself is not made a success by a normal exit."""
    with assignment:
        assignment.fail("empty answer")
    assert assignment.outcome is Outcome.FAILED
    assert counted(canary, "v2") == (0, 1, 0)


def test_an_end_in_the_block_counts_before_an_exception(canary: AgentCanary, assignment: Assignment) -> None:
    """What was answered already was a success, whatever the clean-up raises."""

    def answer() -> None:
        with assignment:
            assignment.succeed()
            raise RuntimeError("while closing")

    with pytest.raises(RuntimeError, match="while closing"):
        answer()
    assert counted(canary, "v2") == (1, 0, 0)


def test_the_block_sees_it(canary: AgentCanary, assignment: Assignment) -> None:
    """Nested code knows its version; before and after, nothing is current."""

    def nested() -> Assignment | None:
        return current_assignment()

    assert current_assignment() is None
    with assignment:
        assert nested() is assignment
    assert nested() is None


def test_the_block_sees_it_no_more_after_an_exception(assignment: Assignment) -> None:
    """The next request does not find it."""
    with pytest.raises(RuntimeError), assignment:
        raise RuntimeError
    assert current_assignment() is None


def test_inner_blocks_give_the_outer_one_back(canary: AgentCanary, make_canary: Callable[..., AgentCanary]) -> None:
    """Two canaries, one inside of the other: each block sees its own."""
    outer, inner = canary.assign("a"), make_canary().assign("a")
    with outer:
        with inner:
            assert current_assignment() is inner
        assert current_assignment() is outer


def test_a_joined_block_has_no_outcome_of_its_own(canary: AgentCanary) -> None:
    """An assign inside of a live assignment gets its version, whatever the key; one outcome is counted."""
    on_stable, on_canary = key_on(canary, "v1"), key_on(canary, "v2")
    with canary.assign(on_canary) as outer:
        with canary.assign(on_stable) as joined:
            assert joined.version == outer.version == "v2"
            assert current_assignment() is outer
        assert outer.outcome is None
        assert current_assignment() is outer
    assert (counted(canary, "v1"), counted(canary, "v2")) == ((0, 0, 0), (1, 0, 0))


def test_an_error_in_a_joined_block_is_the_outer_one_s_to_handle(canary: AgentCanary) -> None:
    """Who catches it and answers has succeeded."""
    with canary.assign("a") as outer:
        with pytest.raises(RuntimeError), canary.assign("a"):
            raise RuntimeError
        assert outer.outcome is None
    assert outer.outcome is Outcome.SUCCEEDED


def test_a_client_that_left_is_no_failure(canary: AgentCanary, assignment: Assignment) -> None:
    """A framework's exception for it may be named."""
    treat_as_cancellation(ClientLeftError)
    treat_as_cancellation(ClientLeftError)
    with pytest.raises(ClientLeftError), assignment:
        raise ClientLeftError
    assert counted(canary, "v2") == (0, 0, 1)
    with pytest.raises(ExceptionGroup), canary.assign(key_on(canary, "v2")):
        raise ExceptionGroup("mixed", [ClientLeftError(), ValueError()])
    assert counted(canary, "v2") == (0, 1, 1)

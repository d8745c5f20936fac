"""What a rollout asks of a store. The request path never calls one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ..metrics.run_totals import RunTotals
from ..rollout import Event


@runtime_checkable
class Store(Protocol):
    """The history of rollouts, by name, and what each worker has seen.

    Every method raises :class:`~agent_canary.StoreError` when the store cannot be reached.

    Attributes:
        is_shared: Whether other processes can write to it, so that what was read grows stale.
    """

    is_shared: bool

    def now(self) -> float | None:
        """Return the store's wall time in seconds, which event times follow; None where the process has the say."""
        ...

    def events(self, name: str, after: int = 0) -> Sequence[Event]:
        """Return the rollout's events with a revision greater than *after*, in order."""
        ...

    def append(self, name: str, event: Event) -> None:
        """Append *event* to a history that ends at its revision minus one: the only lock there is.

        A repeated append of the same event (by id) that had in truth succeeded is no error.

        Raises:
            RevisionConflictError: Somebody else appended first.
        """
        ...

    def publish(self, name: str, worker: str, totals: RunTotals) -> None:
        """Replace what *worker* has seen of a run: running totals, so that a repeated or late write changes nothing."""
        ...

    def totals(self, name: str, run: int) -> Mapping[str, RunTotals]:
        """Return what each worker has seen of *run*, also what those saw that are gone: evidence must not vanish."""
        ...

    def load_analysis(self, name: str, run: int) -> tuple[int, Mapping[str, Any] | None]:
        """Return the version and the state that the last analysis of *run* saved; (0, None) before the first."""
        ...

    def save_analysis(self, name: str, run: int, version: int, state: Mapping[str, Any]) -> bool:
        """Save an analysis's state, a JSON object, as version *version* + 1.

        Returns:
            False, and nothing is saved, when *version* is not the newest any more: somebody else was faster.
        """
        ...

    def forget_processes(self) -> None:
        """Drop what belongs to this process only: called in a forked child."""
        ...

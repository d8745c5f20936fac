"""One routed request: which version it got, why, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Protocol

from . import sticky_key
from .context import assignment_var as _current
from .ending import outcome_of
from .errors import require_count, require_non_negative
from .metrics.outcome import Outcome
from .traffic import Reason, Traffic

_SUCCEEDED = Outcome.SUCCEEDED


class Owner(Protocol):
    """What an assignment tells its canary."""

    @property
    def monotonic(self) -> Callable[[], float]: ...

    def make_id(self, assignment: Assignment) -> str: ...
    def score_assignment(self, assignment: Assignment, name: str, value: float, covariate: float | None) -> None: ...
    def refuse(self, where: str, error: str) -> None: ...


class Details:
    """What only some requests report."""

    __slots__ = ("cost_usd", "failure", "first_token_at", "input_tokens", "output_tokens")

    def __init__(self) -> None:
        self.first_token_at: float | None = None
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd = 0.0
        self.failure: str | None = None


class Assignment:
    """One routed request. It ends exactly once, as succeeded, failed or cancelled; the first end counts.

    Use it as a context manager (``with`` or ``async with``): the block's code sees it as
    :func:`~agent_canary.current_assignment`, a normal exit succeeds, and an exception ends it by
    :func:`~.ending.outcome_of`. Or call :meth:`succeed`, :meth:`fail` or :meth:`cancel`. One that is left open counts
    as failed (timed out) after the canary's outcome horizon. No method raises.

    Attributes:
        version: The version that this request gets.
        is_canary: Whether that is the canary.
        is_evidence: Whether the key's hash against the rollout's share decided, so that the arms can be compared.
        reason: Why.
        outcome: How it ended; None while it is open.
    """

    __slots__ = (
        "_id",
        "_token",
        "details",
        "digest",
        "ended_at",
        "is_canary",
        "is_evidence",
        "outcome",
        "owner",
        "reason",
        "started_at",
        "traffic",
        "version",
    )

    def __init__(
        self, owner: Owner, traffic: Traffic, digest: bytes | None, is_canary: bool, reason: Reason, started_at: float
    ) -> None:
        self.owner = owner
        self.traffic = traffic
        self.digest = digest
        self.is_canary = is_canary
        self.is_evidence = reason is Reason.SPLIT
        self.version = traffic.canary if is_canary else traffic.stable
        self.reason = reason
        self.started_at = started_at
        self.outcome: Outcome | None = None
        self.details: Details | None = None

    def __repr__(self) -> str:
        state = self.outcome.value if self.outcome else "open"
        return f"<Assignment {self.version!r} ({self.reason.value}), {state}>"

    # What decided

    @property
    def traffic_share(self) -> float:
        """The canary's share of keys that decided this assignment, in [0, 1]."""
        return self.traffic.share

    @property
    def stage_idx(self) -> int:
        """The stage that this assignment belongs to, from 0."""
        return self.traffic.stage_idx

    @property
    def run(self) -> int:
        """The rollout's run, from 1."""
        return self.traffic.run

    @property
    def bucket(self) -> float | None:
        """The key's bucket in [0, 1); None without a key."""
        return None if self.digest is None else sticky_key.bucket_of(self.digest)

    @property
    def cluster(self) -> int | None:
        """The key's cluster, 0 to 63; None without a key."""
        return None if self.digest is None else sticky_key.cluster_of(self.digest)

    @property
    def unit(self) -> int | None:
        """The key's 64-bit hash; None without a key."""
        return None if self.digest is None else sticky_key.unit_of(self.digest)

    def is_of(self, owner: Owner) -> bool:
        """Whether *owner* made it."""
        return self.owner is owner

    @property
    def wall_started_at(self) -> float:
        """When it was assigned, in wall-clock seconds."""
        return self.started_at + self.traffic.wall_offset

    @property
    def id(self) -> str:
        """Self-contained text by which a score can be given later, in any process: ``canary.score(id, …)``.

        It names the run, the arm, the stage, the share, the unit's hash and the time, and is signed; it holds no
        sticky key.
        """
        try:
            return self._id
        except AttributeError:
            self._id: str = self.owner.make_id(self)
            return self._id

    # How it ends

    def succeed(self) -> None:
        """End as a success."""
        if self.outcome is None:
            self.ended_at: float = self.owner.monotonic()
            self.outcome = Outcome.SUCCEEDED

    def fail(self, reason: str | BaseException | None = None) -> None:
        """End as a failure; *reason* (a word or two, or the exception) is counted in the status."""
        if self.outcome is None:
            self.ended_at = self.owner.monotonic()
            self._more().failure = _words(reason)
            self.outcome = Outcome.FAILED

    def cancel(self) -> None:
        """End as neither: the client left before the answer was complete."""
        if self.outcome is None:
            self.ended_at = self.owner.monotonic()
            self.outcome = Outcome.CANCELLED

    def end(self, error: BaseException | None = None) -> None:
        """End by what left the request's code, see :func:`~.ending.outcome_of`."""
        outcome = outcome_of(error)
        if outcome is Outcome.SUCCEEDED:
            self.succeed()
        elif outcome is Outcome.FAILED:
            self.fail(type(error).__name__)
        else:
            self.cancel()

    # What it reports

    def score(self, name: str, value: float, *, covariate: float | None = None) -> None:
        """Report a score of this answer, 0/1 or real-valued; also after the end.

        The first value of a name counts. One that is not a finite number is refused, counted and logged.

        Args:
            name: The score's name.
            value: 0 or 1 where a :class:`~agent_canary.Rate` watches it, else any finite number.
            covariate: What this user's score used to be *before* they first met the canary, if it is known: it sharpens
                the comparison of a :class:`~agent_canary.Score` (CUPED).
        """
        self.owner.score_assignment(self, name, value, covariate)

    def first_token(self) -> None:
        """Report that the answer's first part went out; the first call counts."""
        details = self._more()
        if details.first_token_at is None and self.outcome is None:
            details.first_token_at = self.owner.monotonic()

    def usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0) -> None:
        """Add to what this answer used, before it ends; negative or non-finite values are refused, counted, logged."""
        try:
            read, written = require_count("input_tokens", input_tokens), require_count("output_tokens", output_tokens)
            cost = require_non_negative("cost_usd", float(cost_usd))
        except (TypeError, ValueError, OverflowError) as error:
            self.owner.refuse("usage", str(error))
            return
        details = self._more()
        details.input_tokens += read
        details.output_tokens += written
        details.cost_usd += cost

    def _more(self) -> Details:
        if self.details is None:
            self.details = Details()
        return self.details

    # Where it is seen

    def active(self) -> Activation:
        """Return a context manager in which this is the current assignment, and which does not end it.

        For each step of a stream: what consumes the stream never sees the assignment.
        """
        return Activation(self)

    def __enter__(self) -> Assignment:
        self._token: Token[Assignment | None] = _current.set(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # `succeed` and `leave`, written out: two calls less on every request's path.
        if error is not None:
            self.end(error)
        elif self.outcome is None:
            self.ended_at = self.owner.monotonic()
            self.outcome = _SUCCEEDED
        try:
            _current.reset(self._token)
        except (ValueError, RuntimeError):
            leave(self._token)

    async def __aenter__(self) -> Assignment:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, error, traceback)


class JoinedAssignment(Assignment):
    """An ``assign`` inside a live assignment of the same canary: its version, and no outcome of its own.

    What says outright that this version failed (:meth:`fail`) fails the outer one. An exception that leaves the block
    does not: the outer one sees what becomes of it.
    """

    __slots__ = ("_outer",)

    def __init__(self, outer: Assignment) -> None:
        super().__init__(outer.owner, outer.traffic, outer.digest, outer.is_canary, outer.reason, outer.started_at)
        self.version = outer.version
        self._outer = outer

    @property
    def id(self) -> str:
        """The outer assignment's."""
        return self._outer.id

    def succeed(self) -> None:
        """Change nothing: the outer assignment has the one outcome."""

    def fail(self, reason: str | BaseException | None = None) -> None:
        """Fail the outer assignment."""
        self._outer.fail(reason)

    def cancel(self) -> None:
        """Change nothing: the outer assignment has the one outcome."""

    def score(self, name: str, value: float, *, covariate: float | None = None) -> None:
        """Score the outer assignment."""
        self._outer.score(name, value, covariate=covariate)

    def first_token(self) -> None:
        """Report the outer assignment's first part."""
        self._outer.first_token()

    def usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0) -> None:
        """Add to what the outer assignment used."""
        self._outer.usage(input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd)

    def active(self) -> Activation:
        """Make the outer assignment the current one."""
        return Activation(self._outer)

    def __enter__(self) -> Assignment:
        self._token = _current.set(self._outer)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave(self._token)


class Activation:
    """Makes an assignment the current one for a block."""

    __slots__ = ("_assignment", "_token")

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment

    def __enter__(self) -> Assignment:
        self._token = _current.set(self._assignment)
        return self._assignment

    def __exit__(self, *error: object) -> None:
        leave(self._token)


def leave(token: Token[Assignment | None]) -> None:
    """Reset the current assignment; a stream that is closed from a foreign context has nothing to reset there."""
    try:
        _current.reset(token)
    except ValueError:
        return
    except RuntimeError:  # the block was entered twice, and its inside has used the token
        _current.set(None)


def _words(reason: object) -> str | None:
    """A reason as it may be counted and shown; an exception by its name, since its message may tell of the user."""
    if reason is None:
        return None
    return type(reason).__name__ if isinstance(reason, BaseException) else str(reason)[:100]

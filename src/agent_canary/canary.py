"""AgentCanary: the parts together, and the way of one request."""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from hashlib import md5
from typing import Any, TypeVar, overload

from . import processes, switches
from .arguments import (
    checked_autopilot,
    checked_hook,
    checked_interval,
    checked_margin,
    checked_rollout,
    checked_store,
    checked_success,
    require_different,
    require_functions,
    require_text,
)
from .assignment import Assignment, JoinedAssignment
from .assignment_id import Secret, Signer
from .autopilot import Autopilot
from .clock import Clock, as_clock
from .context import assignment_var as _current
from .context import shadow_var as _in_shadow
from .deciding.verdict import AutoAction, Verdict
from .errors import require_non_negative, require_positive, seconds
from .failsafe import Failsafe
from .metrics import VersionMetrics
from .metrics.outcome import Outcome
from .rollout import Event, Rollout
from .routing.cohort import Cohort
from .routing.targeting import Overrides, Targeting
from .scoring import Scoring
from .status import status_of
from .sticky_key import StickyKey, digest_of
from .stores import MemoryStore, Store
from .traffic import Reason, Traffic
from .worker import Worker

T = TypeVar("T")


class AgentCanary:
    """Put a new version of an agent in front of a small, sticky share of users, and promote or roll back by evidence.

    ``AgentCanary("v1", "v2", Rollout.standard())`` works by itself, in memory.

    Args:
        stable_version: What users have today: any text (model, prompt hash, image tag).
        canary_version: What is to replace it.
        rollout: Stages and guardrails; ``Rollout.standard()`` by default.
        rollback_safety_margin: Adds the fixed rule "canary success below stable's minus this margin rolls back", in
            [0, 1]. It has no error control. None, the default: no such rule.
        rollback_min_samples: From how many canary answers of a stage on that rule applies.
        name: The rollout's name: processes with the same name and store share one rollout.
        store: Where the history is kept; in memory by default, so that a restart begins anew.
        clock: A callable that returns wall-clock seconds, or a :class:`~agent_canary.Clock`.
        alpha: The probability, in (0, 1), that a canary as good as stable is ever rolled back in a whole run.
        autopilot: Whether a daemon thread ticks from the process's first assignment on. None: with adapters and
            :meth:`call`, not with bare ``route``, ``assign`` and ``record``.
        interval: Seconds (or a timedelta) between two ticks of that thread.
        on_event: Called with each :class:`~agent_canary.Event`.
        secret: Signs assignment ids and cookies; a sequence, newest first, for rotation. Without one, ids are good in
            this process only.
        outcome_horizon: Seconds (or a timedelta) after which an open assignment counts as failed.
        overrides: Versions by sticky key, or a callable of key and context that returns a version or None.
        cohorts: Groups with a traffic share of their own; the first that matches counts.
        stale_after: Seconds (or a timedelta) without word from a shared store after which everything goes to stable.
        id_max_age: Seconds (or a timedelta) after which a late score is refused.

    Raises:
        ValueError: A value is out of its range, or the two versions are the same.
    """

    def __init__(
        self,
        stable_version: str,
        canary_version: str,
        rollout: Rollout | None = None,
        rollback_safety_margin: float | None = None,
        rollback_min_samples: int = 50,
        *,
        name: str = "default",
        store: Store | None = None,
        clock: Clock | Callable[[], float] | None = None,
        alpha: float = 0.01,
        autopilot: bool | None = None,
        interval: float | timedelta = 1.0,
        on_event: Callable[[Event], object] | None = None,
        secret: Secret | Sequence[Secret] | None = None,
        outcome_horizon: float | timedelta = 60.0,
        overrides: Overrides | None = None,
        cohorts: Sequence[Cohort] = (),
        stale_after: float | timedelta = 60.0,
        id_max_age: float | timedelta = timedelta(days=7),
    ) -> None:
        require_text("name", name)
        require_different(stable_version, canary_version)
        self.stable_version, self.canary_version, self.name = stable_version, canary_version, name
        self.rollout = Rollout.standard() if rollout is None else checked_rollout(rollout)
        self.failsafe = Failsafe(name)
        self._clock = as_clock(clock)
        self.monotonic = self._clock.monotonic
        self._signer = Signer(name, secret)
        self._targeting = Targeting(overrides, cohorts, stable_version, canary_version)
        max_age = require_positive("id_max_age", seconds("id_max_age", id_max_age))
        self._interval = checked_interval(interval)
        self._autopilot_wanted = checked_autopilot(autopilot)
        self._asleep = autopilot is not False
        self._worker = Worker(
            self.versions,
            self.rollout,
            name=name,
            store=MemoryStore() if store is None else checked_store(store),
            clock=self._clock,
            alpha=alpha,
            margin=checked_margin(rollback_safety_margin, rollback_min_samples),
            horizon=require_positive("outcome_horizon", seconds("outcome_horizon", outcome_horizon)),
            stale_after=require_positive("stale_after", seconds("stale_after", stale_after)),
            plain=not self._targeting and autopilot is not True,
            failsafe=self.failsafe,
            on_event=checked_hook(on_event),
        )
        self._metrics = self._worker.books.metrics
        self._scoring = Scoring(self._worker, self._signer, self.failsafe, max_age)
        self._autopilot = Autopilot(self._worker, f"agent_canary {name}")
        processes.register(self)
        switches.listen(self)

    def __repr__(self) -> str:
        return f"<AgentCanary {self.name!r}: {self.stable_version!r} -> {self.canary_version!r}, {self.rollout!r}>"

    def __enter__(self) -> AgentCanary:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def versions(self) -> tuple[str, str]:
        """The stable and the canary version."""
        return self.stable_version, self.canary_version

    @property
    def clock(self) -> Clock:
        """The time that this canary goes by."""
        return self._clock

    # The way of one request

    def route(self, sticky_key: StickyKey | None = None, context: Mapping[str, Any] | None = None) -> str:
        """Return the version for *sticky_key*: always the same one at the same share, in every process.

        Without a key a fresh coin is tossed at each call. Nothing is booked: call :meth:`record` with what happened.
        A key of a wrong type is counted, logged, and gets stable.
        """
        traffic = self._worker.traffic
        if self.monotonic() < traffic.plain_until and type(sticky_key) is str:
            try:
                digest = md5(traffic.prefix + sticky_key.encode(), usedforsecurity=False).digest()
                return traffic.canary if digest < traffic.threshold else traffic.stable
            except UnicodeEncodeError:  # a lone surrogate takes the longer way
                return self._route(sticky_key, context)
        return self._route(sticky_key, context)

    def assign(
        self, sticky_key: StickyKey | None = None, context: Mapping[str, Any] | None = None, *, adapter: bool = False
    ) -> Assignment:
        """Open an assignment: one routed request, whose outcome and latency will be booked. Never raises.

        Inside a live assignment of the same canary it joins that one. Without a key, or with one of a wrong type
        (counted and logged), the request gets stable.

        Args:
            sticky_key: What stays on one version: a user's, tenant's or conversation's id. None: stable.
            context: What overrides and cohorts look at.
            adapter: Said by integrations: the autopilot begins with the first of their requests.
        """
        now = self.monotonic()
        worker = self._worker
        traffic = worker.traffic
        if adapter and self._asleep:
            self._wake()
        if now < traffic.plain_until and type(sticky_key) is str and _current.get() is None and not _in_shadow.get():
            try:
                digest = md5(traffic.prefix + sticky_key.encode(), usedforsecurity=False).digest()
            except UnicodeEncodeError:  # a lone surrogate takes the longer way
                return self._assign(sticky_key, context, now)
            assignment = Assignment(self, traffic, digest, digest < traffic.threshold, Reason.SPLIT, now)
            ledger = worker.books.ledger
            ledger.push(assignment)
            if ledger.waiting() > ledger.fold_at:
                ledger.relieve()
            return assignment
        return self._assign(sticky_key, context, now)

    def record(
        self,
        version: str,
        success: bool,
        latency_ms: float,
        *,
        sticky_key: StickyKey | None = None,
        context: Mapping[str, Any] | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        """Book what happened to a request that :meth:`route` sent to *version*.

        Args:
            version: One of the two versions.
            success: Whether it succeeded.
            latency_ms: Milliseconds, finite and at least 0.
            sticky_key: The key it was routed by: evidence is then keyed, which is exact however often users come.
            context: What it was routed by besides: users of an override or a cohort are no evidence.
            scores: What the answer was found to be, by name of the score.

        Raises:
            ValueError: Another version, or a latency that is NaN, infinite or negative. A score that cannot be booked
                is refused, counted and logged.
        """
        try:
            metrics = self._metrics[version]
        except (KeyError, TypeError):
            raise self._unknown_version(version) from None
        if sticky_key is None:
            metrics.record(success, latency_ms)
            if scores:
                self._scoring.of_answer(version, scores)
        else:
            latency = require_non_negative("latency_ms", latency_ms)
            assignment = self._record_keyed(version, checked_success(success), latency, sticky_key, context)
            for name, value in (scores or {}).items():
                assignment.score(name, value)

    def call(
        self,
        sticky_key: StickyKey | None,
        versions: Mapping[str, Callable[..., T]],
        /,
        *args: Any,
        fallback: bool = False,
        **kwargs: Any,
    ) -> T:
        """Route, run the version's function and report what happened, in a line.

        Inside a live assignment of the same canary it is part of that one.

        Args:
            sticky_key: What stays on one version.
            versions: A plain function for each of the two versions. A stream needs an assignment of its own.
            *args: Given to the function.
            fallback: Whether stable answers for a canary that raises; its failure counts all the same.
            **kwargs: Given to the function.

        Raises:
            ValueError: *versions* does not name the two versions, or one is no plain function.
            Exception: Whatever the function raises.
        """
        self.require_versions(versions, "versions")
        require_functions(versions, "call", inspect.iscoroutinefunction, "async: use acall()")
        assignment = self.assign(sticky_key, adapter=True)
        try:
            with assignment:
                return versions[assignment.version](*args, **kwargs)
        except Exception as error:
            if not (fallback and assignment.is_canary):
                raise
            self._note_fallback(assignment, error)
        with self._stand_in().active():
            return versions[self.stable_version](*args, **kwargs)

    @overload
    async def acall(
        self,
        sticky_key: StickyKey | None,
        versions: Mapping[str, Callable[..., Awaitable[T]]],
        /,
        *args: Any,
        fallback: bool = False,
        **kwargs: Any,
    ) -> T: ...

    @overload
    async def acall(
        self,
        sticky_key: StickyKey | None,
        versions: Mapping[str, Callable[..., T]],
        /,
        *args: Any,
        fallback: bool = False,
        **kwargs: Any,
    ) -> T: ...

    async def acall(
        self,
        sticky_key: StickyKey | None,
        versions: Mapping[str, Callable[..., Any]],
        /,
        *args: Any,
        fallback: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Same as :meth:`call`; what the functions return is awaited where it can be."""
        self.require_versions(versions, "versions")
        require_functions(versions, "acall")
        assignment = self.assign(sticky_key, adapter=True)
        try:
            async with assignment:
                return await _awaited(versions[assignment.version](*args, **kwargs))
        except Exception as error:
            if not (fallback and assignment.is_canary):
                raise
            self._note_fallback(assignment, error)
        with self._stand_in().active():
            return await _awaited(versions[self.stable_version](*args, **kwargs))

    def score(self, assignment_id: str, name: str, value: float, *, covariate: float | None = None) -> bool:
        """Report a score of an answer that has gone, by its ``assignment.id``, in any process that has the secret.

        Booked to the stage of the assignment. The first value of a name counts, as far as a worker remembers (its
        last 4,096 scores or more); which users met a bad 0/1 score is a set, which repeats never change.

        Args:
            assignment_id: The answer's ``assignment.id``.
            name: The score's name.
            value: 0 or 1 where a :class:`~agent_canary.Rate` watches it, else any finite number.
            covariate: What this user's score used to be *before* they first met the canary, if it is known: it sharpens
                the comparison of a :class:`~agent_canary.Score`.

        Returns:
            False when it was refused: a malformed, forged or too old id, one of another run, or a bad value. Refusals
            are counted in the status and logged once for each cause.
        """
        return self._scoring.by_id(assignment_id, name, value, covariate)

    # What was seen, and what to do

    def metrics(self, version: str) -> VersionMetrics:
        """Return the metrics of *version*: stable's of this process's life, the canary's of the present stage.

        Raises:
            ValueError: Another version.
        """
        try:
            return self._metrics[version]
        except (KeyError, TypeError):
            raise self._unknown_version(version) from None

    def auto_decide(self) -> AutoAction:
        """Return what the evidence of all workers recommends; :meth:`apply` does it. :meth:`explain` says why."""
        verdict = self._worker.analyse()
        return AutoAction.HOLD if verdict is None else verdict.action

    def apply(self, action: AutoAction) -> None:
        """Do what :meth:`auto_decide` recommended: promote, roll back, or nothing."""
        self._worker.apply(AutoAction(action))

    def explain(self) -> Verdict:
        """Return the last verdict with the findings behind it; an analysis is made if there was none yet."""
        verdict = self._worker.last_verdict or self._worker.analyse()
        return verdict or Verdict(AutoAction.HOLD, "another worker is analysing just now")

    def tick(self) -> Verdict | None:
        """Do what the autopilot does each interval: publish, read, analyse, and act on the verdict.

        Returns:
            The verdict; None when another worker was faster.

        Raises:
            StoreError: The store cannot be reached.
        """
        return self._worker.tick()

    def status(self) -> dict[str, Any]:
        """Return everything about the rollout and this process's part in it, serialisable as JSON."""
        return status_of(self._worker, self.failsafe, autopilot=self._autopilot.is_alive)

    # The autopilot

    def start(self, interval: float | timedelta | None = None) -> None:
        """Begin to tick in a daemon thread.

        Args:
            interval: Seconds (or a timedelta) between two ticks; the constructor's by default.

        Raises:
            ValueError: *interval* is not positive.
        """
        every = self._interval if interval is None else checked_interval(interval)
        self._asleep = False
        self._autopilot.start(every)
        self._worker.refresh(plain=not self._targeting, ticks=True)

    def stop(self) -> None:
        """End the daemon thread and wait for it; assignments that come later do not begin it anew."""
        self._asleep = False
        self._autopilot.stop()
        self._worker.refresh(plain=not self._targeting, ticks=False)

    @contextmanager
    def running(self, interval: float | timedelta | None = None) -> Generator[AgentCanary]:
        """Tick in a daemon thread for the block; after it all is as it was before."""
        before, asleep = self._autopilot.interval, self._asleep
        self.start(interval)
        try:
            yield self
        finally:
            if before is None:
                self.stop()
                self._asleep = asleep
            else:
                self.start(before)

    def close(self) -> None:
        """Stop ticking. Requests are still routed and booked."""
        self.stop()

    # For integrations

    def require_versions(self, versions: Mapping[str, object], what: str) -> None:
        """Refuse a mapping that does not have exactly the stable and the canary version as keys.

        Raises:
            ValueError: It has not; the message begins with *what*.
        """
        if len(versions) != 2 or self.stable_version not in versions or self.canary_version not in versions:
            raise ValueError(f"{what} must have exactly the keys {list(self.versions)}, got {list(versions)}")

    @property
    def has_secret(self) -> bool:
        """Whether a secret was given, so that what :meth:`sign` signs is good in every process."""
        return self._signer.has_secret

    def sign(self, text: str) -> str:
        """Return *text* with its mac, for cookies."""
        return self._signer.sign(text)

    def unsign(self, signed: str) -> str | None:
        """Return the text of :meth:`sign`, or None when it is not by a secret of this canary."""
        return self._signer.unsign(signed)

    # What assignments and other parts of the library ask of it

    def make_id(self, assignment: Assignment) -> str:
        """Return the assignment's id."""
        return self._scoring.id_of(assignment)

    def score_assignment(self, assignment: Assignment, name: str, value: float, covariate: float | None) -> None:
        """Book a score of an assignment of this process."""
        self._scoring.of_assignment(assignment, name, value, covariate)

    def refuse(self, where: str, error: str) -> None:
        """Count and log what an assignment was told and cannot book."""
        self.failsafe.note(where, error)

    def switched(self) -> None:
        """Route by the switches as they are now."""
        self._worker.refresh()

    def forked(self) -> None:
        """Begin anew in a forked child: no thread, no lock and no count of the parent's is ours."""
        self._autopilot.forked()
        self._asleep = self._autopilot_wanted is not False
        self.failsafe.forked()
        self._worker.forked(plain=not self._targeting and self._autopilot_wanted is not True)
        self._metrics = self._worker.books.metrics

    # The longer way of a request

    def _route(self, sticky_key: StickyKey | None, context: Mapping[str, Any] | None) -> str:
        if self._asleep and self._autopilot_wanted:
            self.start()
        is_canary, _, _ = self._decide(self._worker.traffic, sticky_key, context, coin=True)
        return self.versions[is_canary]

    def _assign(self, sticky_key: StickyKey | None, context: Mapping[str, Any] | None, now: float) -> Assignment:
        outer = _current.get()
        if outer is not None and outer.outcome is None and outer.is_of(self):
            return JoinedAssignment(outer)
        if self._asleep and self._autopilot_wanted:
            self.start()
        traffic = self._worker.traffic
        is_canary, digest, reason = self._decide(traffic, sticky_key, context, coin=False)
        assignment = Assignment(self, traffic, digest, is_canary, reason, now)
        if not _in_shadow.get():
            self._worker.ledger.push(assignment)
            self._worker.ledger.relieve()
        return assignment

    def _decide(
        self, traffic: Traffic, sticky_key: StickyKey | None, context: Mapping[str, Any] | None, *, coin: bool
    ) -> tuple[bool, bytes | None, Reason]:
        """Return the arm, the key's digest and the reason; whatever goes wrong is stable."""
        digest: bytes | None = None
        try:
            if sticky_key is not None:
                digest = digest_of(traffic.prefix, sticky_key)
            if traffic.blanket is not None:
                version, reason = traffic.blanket
                return version == self.canary_version, digest, reason
            if self.monotonic() >= traffic.stale_at:
                return False, digest, Reason.STALE
            if self._targeting and traffic.heeds_targeting:
                targeted = self._targeting.is_canary(sticky_key, digest, context)
                if targeted is not None:
                    return targeted, digest, Reason.TARGETING_MATCH
        except Exception as error:
            self.failsafe.note("routing", error)
            return False, digest, Reason.ERROR
        if digest is None:
            return coin and random.random() < traffic.share, None, Reason.DEFAULT
        return digest < traffic.threshold, digest, Reason.SPLIT

    def _record_keyed(
        self, version: str, success: bool, latency_ms: float, sticky_key: StickyKey, context: Mapping[str, Any] | None
    ) -> Assignment:
        traffic = self._worker.traffic
        is_canary, digest, reason = self._decide(traffic, sticky_key, context, coin=False)
        recorded = version == self.canary_version
        if recorded is not is_canary:
            reason = Reason.TARGETING_MATCH
        now = self.monotonic()
        assignment = Assignment(self, traffic, digest, recorded, reason, now - latency_ms / 1000.0)
        assignment.ended_at = now
        assignment.outcome = Outcome.SUCCEEDED if success else Outcome.FAILED
        self._worker.ledger.push(assignment)
        self._worker.ledger.relieve()
        return assignment

    def _note_fallback(self, assignment: Assignment, error: Exception) -> None:
        assignment.fail(error)  # it has failed already, but for one that joined another's
        self.failsafe.note("canary (stable answered)", error)

    def _stand_in(self) -> Assignment:
        """An assignment of stable that is seen but not booked: stable answers for a canary that failed."""
        return Assignment(self, self._worker.traffic, None, False, Reason.ERROR, self.monotonic())

    def _wake(self) -> None:
        if self._autopilot_wanted is not False:
            self.failsafe.call("autopilot", self.start)

    def _unknown_version(self, version: object) -> ValueError:
        return ValueError(f"version must be one of {list(self.versions)}, got {version!r}")


async def _awaited(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer

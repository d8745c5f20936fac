"""Scores of answers: at once, or later by the assignment's id."""

from __future__ import annotations

from collections.abc import Mapping

from .assignment import Assignment
from .assignment_id import AssignmentRecord, RefusedIdError, Signer, decode, encode, hash_of
from .books import Scored
from .failsafe import Failsafe
from .metrics.run_totals import SliceKey
from .worker import Worker


class Scoring:
    """Books scores, and counts and logs those that it refuses.

    Args:
        worker: Whose books.
        signer: Signs assignment ids.
        failsafe: Counts refusals.
        max_age: Seconds after which a score by id is too old.
    """

    def __init__(self, worker: Worker, signer: Signer, failsafe: Failsafe, max_age: float) -> None:
        self._worker = worker
        self._signer = signer
        self._failsafe = failsafe
        self._max_age = max_age
        self._versions = hash_of(worker.versions)

    def id_of(self, assignment: Assignment) -> str:
        """Return the assignment's id."""
        record = AssignmentRecord(
            run=assignment.run,
            versions=self._versions,
            is_canary=assignment.is_canary,
            is_evidence=assignment.is_evidence,
            stage_idx=assignment.stage_idx,
            share=assignment.traffic_share,
            unit=assignment.unit,
            cluster=assignment.cluster,
            started_at=assignment.wall_started_at,
        )
        return encode(record, self._signer)

    def by_id(self, assignment_id: str, name: str, value: float, covariate: float | None = None) -> bool:
        """Book the score of an answer that has gone; return False when it was refused."""
        try:
            record = decode(assignment_id, self._signer)
        except RefusedIdError as error:
            return self._refuse(error.cause, str(error))
        if record.versions != self._versions:
            return self._refuse("other versions", "the score is for an assignment of another pair of versions")
        if record.run != self._worker.ledger.totals.run:
            return self._refuse("other run", f"the score is for an assignment of run {record.run}")
        age = self._worker.clock.wall() - record.started_at
        if age > self._max_age:
            return self._refuse("too old", f"the assignment is {age:,.0f} s old, {self._max_age:,.0f} s are allowed")
        key = SliceKey(record.stage_idx, record.share)
        scored = Scored(key, record.unit, record.cluster, record.started_at, record.is_canary, record.is_evidence)
        return self._book(scored, name, value, covariate)

    def of_assignment(self, assignment: Assignment, name: str, value: float, covariate: float | None = None) -> None:
        """Book a score of an assignment of this process."""
        if assignment.run != self._worker.ledger.totals.run:
            self._refuse("other run", f"the score is for an assignment of run {assignment.run}")
        else:
            self._book(Scored.of(assignment), name, value, covariate)

    def of_answer(self, version: str, scores: Mapping[str, float]) -> None:
        """Book the scores of an answer without a key."""
        for name, value in scores.items():
            try:
                self._worker.books.score_unkeyed(version, name, value)
            except ValueError as error:
                self._refuse(self._bad_value_of(name), str(error))

    def _book(self, scored: Scored, name: str, value: float, covariate: float | None) -> bool:
        books = self._worker.books
        try:
            counts = books.score(name, value, scored, covariate)
        except ValueError as error:
            return self._refuse(self._bad_value_of(name), str(error))
        if not counts:
            horizon = books.scores.rules[name].horizon
            message = f"score {name!r} came later than {horizon:,.0f} s after its answer: shown, no evidence (horizon=)"
            self._failsafe.note(f"score {name} (after its horizon)", message)
        return True

    def _bad_value_of(self, name: object) -> str:
        """The cause by which a bad value is counted: apart for each score that a guardrail watches, so bounded."""
        watched = isinstance(name, str) and name in self._worker.books.scores.rules
        return f"bad value of {name}" if watched else "bad value"

    def _refuse(self, cause: str, message: str) -> bool:
        self._failsafe.note(f"score ({cause})", message)
        return False

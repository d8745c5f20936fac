"""What every store must do: subclass :class:`StoreContract` and :class:`StoreMachine`, and say how to make one.

They ask nothing but the :class:`~agent_canary.Store` protocol, so they fit other people's stores as well.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from agent_canary import Event, EventKind, RevisionConflictError, Store
from agent_canary.metrics.run_totals import Arms, RunTotals, SliceKey
from agent_canary.metrics.totals import Totals

T = TypeVar("T")

KEY = SliceKey(0, 0.05)
STATE = {"exact": {"failures": {"log_ratios": [0.0, -1.5], "before": [[0, 0.05, 7, 1, 93, 2]]}}, "streak": None}


def an_event(revision: int, id: str = "", run: int = 1) -> Event:  # noqa: A002
    """Return an event with all its parts."""
    return Event(
        revision=revision,
        id=id or f"event-{revision}",
        at=1_000_000.25 + revision,
        kind=EventKind.PROMOTED,
        run=run,
        actor="ada",
        reason="fünf Prozent ✓",
        evidence={"findings": [{"ratio": 1.5}]},
        effective_at=1_000_003.0 + revision,
        data={"stage": 1},
    )


def some_totals(run: int, answers: int) -> RunTotals:
    """Return what a worker has seen: *answers* successes of stable, one failure of the canary by unit 7."""
    totals = RunTotals(run, watermark=1_000_000.0)
    latencies = Totals(succeeded=answers)
    latencies.latency.record_many([12.5] * answers)
    totals.keyed[KEY] = Arms(latencies, Totals(failed=1))
    totals.add_failing("failures", KEY.share, [(7, True)])
    return totals


def answers_of(totals: Mapping[str, RunTotals]) -> dict[str, int]:
    """Return how many successes each worker has seen."""
    return {worker: seen.keyed[KEY].stable.succeeded for worker, seen in totals.items()}


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """Return what *count* threads made, all of which began at once."""
    ready, results = threading.Barrier(count), []

    def run(number: int) -> None:
        ready.wait(timeout=30)
        results.append(work(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(results) == count
    return results


class StoreContract:
    """The behaviour of a store; a subclass says how to make an empty one."""

    def make_store(self) -> Store:
        """Return an empty store."""
        raise NotImplementedError

    def reopen(self, store: Store) -> Store:
        """Return what another worker has that uses the same data: *store* itself unless it is shared."""
        return store

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        return self.make_store()

    # The history

    def test_a_rollout_begins_without_events(self, store: Store) -> None:
        """Nobody has to create a name before it is used."""
        assert list(store.events("agent")) == []

    def test_events_come_back_in_order(self, store: Store) -> None:
        """Every part of them, as it was appended."""
        events = [an_event(revision) for revision in (1, 2, 3)]
        for event in events:
            store.append("agent", event)
        assert list(self.reopen(store).events("agent")) == events

    def test_only_later_events_are_read_when_asked(self, store: Store) -> None:
        """After a revision, and none after the last."""
        for revision in (1, 2, 3):
            store.append("agent", an_event(revision))
        assert [event.revision for event in store.events("agent", 1)] == [2, 3]
        assert list(store.events("agent", 3)) == []
        assert list(store.events("agent", 99)) == []

    def test_what_was_read_does_not_grow(self, store: Store) -> None:
        """A reader has the history of the moment it read."""
        store.append("agent", an_event(1))
        read = store.events("agent")
        store.append("agent", an_event(2))
        assert len(read) == 1

    @pytest.mark.parametrize("revision", [1, 2, 4])
    def test_an_append_that_does_not_follow_conflicts(self, store: Store, revision: int) -> None:
        """A revision that somebody else has taken, or one that leaves a gap: nothing is appended."""
        store.append("agent", an_event(1))
        store.append("agent", an_event(2))
        with pytest.raises(RevisionConflictError):
            store.append("agent", an_event(revision, id="another"))
        assert [event.id for event in store.events("agent")] == ["event-1", "event-2"]

    def test_a_history_begins_at_revision_1(self, store: Store) -> None:
        """The first event cannot leave a gap either."""
        with pytest.raises(RevisionConflictError):
            store.append("agent", an_event(2))

    @pytest.mark.parametrize("revision", [1, 2])
    def test_a_repeated_append_is_no_error(self, store: Store, revision: int) -> None:
        """The first try had succeeded, and its answer was lost; known by the event's id, also when others followed."""
        store.append("agent", an_event(1))
        store.append("agent", an_event(2))
        self.reopen(store).append("agent", an_event(revision))
        assert [event.revision for event in store.events("agent")] == [1, 2]

    def test_one_of_many_appends_wins_each_revision(self, store: Store) -> None:
        """A hundred threads append five revisions at once: the history has no gap, and nobody won twice."""

        def append(number: int) -> list[int]:
            handle, won = self.reopen(store), []
            for revision in range(1, 6):
                try:
                    handle.append("agent", an_event(revision, id=f"{number}-{revision}"))
                except RevisionConflictError:
                    continue
                won.append(revision)
            return won

        winners = at_once(100, append)
        assert sorted(revision for won in winners for revision in won) == [1, 2, 3, 4, 5]
        assert [event.revision for event in store.events("agent")] == [1, 2, 3, 4, 5]

    def test_many_appends_make_one_history(self, store: Store) -> None:
        """A hundred threads that read and try again get all their events in."""

        def append(number: int) -> int:
            handle = self.reopen(store)
            while True:
                revision = len(handle.events("agent")) + 1
                try:
                    handle.append("agent", an_event(revision, id=f"of {number}"))
                except RevisionConflictError:
                    continue
                return revision

        revisions = at_once(100, append)
        assert sorted(revisions) == list(range(1, 101))
        assert len({event.id for event in store.events("agent")}) == 100

    # What workers have seen

    def test_nobody_has_seen_anything_yet(self, store: Store) -> None:
        """A run without workers is empty."""
        assert dict(store.totals("agent", 1)) == {}

    def test_totals_come_back(self, store: Store) -> None:
        """Counts, latencies and failing units of each worker."""
        store.publish("agent", "a", some_totals(1, 10))
        store.publish("agent", "b", some_totals(1, 20))
        read = self.reopen(store).totals("agent", 1)
        assert read["a"] == some_totals(1, 10)
        assert answers_of(read) == {"a": 10, "b": 20}

    def test_a_publication_replaces_the_one_before(self, store: Store) -> None:
        """Running totals: a repeated write changes nothing."""
        store.publish("agent", "a", some_totals(1, 10))
        store.publish("agent", "a", some_totals(1, 25))
        store.publish("agent", "a", some_totals(1, 25))
        assert answers_of(store.totals("agent", 1)) == {"a": 25}

    def test_another_run_is_not_read(self, store: Store) -> None:
        """What a worker saw of the run before is no part of this one."""
        store.publish("agent", "a", some_totals(1, 10))
        store.publish("agent", "b", some_totals(2, 20))
        assert answers_of(store.totals("agent", 2)) == {"b": 20}

    def test_a_reader_may_merge_what_it_read(self, store: Store) -> None:
        """Adding the totals of all workers up does not change what the store has."""
        for worker in ("a", "b"):
            store.publish("agent", worker, some_totals(1, 10))
        total = RunTotals(1)
        for seen in store.totals("agent", 1).values():
            total.merge(seen)
        assert answers_of(store.totals("agent", 1)) == {"a": 10, "b": 10}

    # What analyses remember

    def test_there_is_no_analysis_yet(self, store: Store) -> None:
        """Version 0, and no state."""
        assert store.load_analysis("agent", 1) == (0, None)

    def test_an_analysis_comes_back_as_json(self, store: Store) -> None:
        """With the next version; what comes back is what JSON makes of it, whatever the store."""
        assert store.save_analysis("agent", 1, 0, {**STATE, "pair": (1, 2.5)})
        version, state = self.reopen(store).load_analysis("agent", 1)
        assert version == 1
        assert state == {**STATE, "pair": [1, 2.5]}
        json.dumps(state, allow_nan=False)

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1}, object()])
    def test_what_json_lacks_is_refused(self, store: Store, bad: object) -> None:
        """In every store alike, so that what works in a test's memory works everywhere; nothing is saved."""
        with pytest.raises((ValueError, TypeError)):
            store.save_analysis("agent", 1, 0, {"bad": bad})
        assert store.load_analysis("agent", 1) == (0, None)

    def test_the_slower_of_two_analyses_is_not_saved(self, store: Store) -> None:
        """It had read an older version."""
        assert store.save_analysis("agent", 1, 0, {"by": "the first"})
        assert not store.save_analysis("agent", 1, 0, {"by": "the second"})
        assert not store.save_analysis("agent", 1, 2, {"by": "one from the future"})
        assert store.load_analysis("agent", 1) == (1, {"by": "the first"})
        assert store.save_analysis("agent", 1, 1, {"by": "the second"})
        assert store.load_analysis("agent", 1) == (2, {"by": "the second"})

    def test_what_was_saved_stays_as_it_was(self, store: Store) -> None:
        """Neither who saved it nor who loaded it changes it afterwards."""
        state: dict[str, Any] = {"log_ratios": [0.0]}
        store.save_analysis("agent", 1, 0, state)
        state["log_ratios"].append(1.0)
        _, loaded = store.load_analysis("agent", 1)
        assert loaded is not None
        loaded["log_ratios"].append(2.0)
        assert store.load_analysis("agent", 1) == (1, {"log_ratios": [0.0]})

    def test_one_of_many_analyses_wins_each_version(self, store: Store) -> None:
        """Fifty threads save three versions at once: each version is saved by one."""

        def save(number: int) -> int:
            handle = self.reopen(store)
            return sum(handle.save_analysis("agent", 1, version, {"by": number}) for version in range(3))

        assert sum(at_once(50, save)) == 3
        assert store.load_analysis("agent", 1)[0] == 3

    # Apart from each other

    def test_names_are_apart(self, store: Store) -> None:
        """Two rollouts in one store never meet, whatever their names look like."""
        names = ["agent", "agent2", "agent:1", "", "../agent", "agent%", "Agent", "ägent"]
        for number, name in enumerate(names, start=1):
            store.append(name, an_event(1, id=name or "empty"))
            store.publish(name, "worker", some_totals(1, number))
            store.save_analysis(name, 1, 0, {"of": name})
        for number, name in enumerate(names, start=1):
            assert [event.id for event in store.events(name)] == [name or "empty"]
            assert answers_of(store.totals(name, 1)) == {"worker": number}
            assert store.load_analysis(name, 1) == (1, {"of": name})

    def test_runs_are_apart(self, store: Store) -> None:
        """A new run's analysis begins without the memory of the one before."""
        store.save_analysis("agent", 1, 0, {"run": 1})
        assert store.load_analysis("agent", 2) == (0, None)
        assert store.save_analysis("agent", 2, 0, {"run": 2})
        assert store.load_analysis("agent", 1) == (1, {"run": 1})

    # The rest

    def test_the_time_is_seconds_or_the_process_s(self, store: Store) -> None:
        """A store with a clock of its own says seconds since the epoch; one without says None."""
        now = store.now()
        assert now is None or now > 1_700_000_000

    def test_a_forked_child_has_the_history_only(self, store: Store) -> None:
        """What its parent had seen is the parent's to publish."""
        store.append("agent", an_event(1))
        if store.is_shared:
            store.forget_processes()
            assert [event.revision for event in store.events("agent")] == [1]
            return
        store.publish("agent", "parent", some_totals(1, 10))
        store.save_analysis("agent", 1, 0, STATE)
        store.forget_processes()
        assert dict(store.totals("agent", 1)) == {}
        assert store.load_analysis("agent", 1) == (0, None)
        assert [event.revision for event in store.events("agent")] == [1]


class StoreMachine(RuleBasedStateMachine):
    """Any sequence of calls against plain dictionaries; a subclass says how to make an empty store."""

    make_store: ClassVar[Callable[[], Store]]
    NAMES = st.sampled_from(["agent", "agent2"])
    WORKERS = st.sampled_from(["a", "b", "c"])
    RUNS = st.integers(1, 2)

    def __init__(self) -> None:
        super().__init__()
        self.store = type(self).make_store()
        self.events: dict[str, list[Event]] = {}
        self.totals: dict[tuple[str, str], tuple[int, int]] = {}
        self.analyses: dict[tuple[str, int], tuple[int, object]] = {}

    @rule(name=NAMES, ahead=st.integers(-2, 2), old_id=st.booleans())
    def append(self, name: str, ahead: int, old_id: bool) -> None:
        history = self.events.setdefault(name, [])
        revision = max(1, len(history) + ahead)
        is_old = revision <= len(history)
        event = history[revision - 1] if is_old and old_id else an_event(revision, id=f"{name} {len(history)} {ahead}")
        if is_old and old_id:
            self.store.append(name, event)
        elif revision == len(history) + 1:
            self.store.append(name, event)
            history.append(event)
        else:
            with pytest.raises(RevisionConflictError):
                self.store.append(name, event)

    @rule(name=NAMES, after=st.integers(0, 12))
    def read(self, name: str, after: int) -> None:
        assert list(self.store.events(name, after)) == self.events.get(name, [])[after:]

    @rule(name=NAMES, worker=WORKERS, run=RUNS, answers=st.integers(0, 50))
    def publish(self, name: str, worker: str, run: int, answers: int) -> None:
        self.store.publish(name, worker, some_totals(run, answers))
        self.totals[name, worker] = run, answers

    @rule(name=NAMES, run=RUNS)
    def read_totals(self, name: str, run: int) -> None:
        # Whether a store keeps what a worker saw of its run before is the store's business.
        newest = {worker: seen for (of, worker), (at, seen) in self.totals.items() if (of, at) == (name, run)}
        read = answers_of(self.store.totals(name, run))
        assert {worker: read.get(worker) for worker in newest} == newest

    @rule(name=NAMES, run=RUNS, ahead=st.sampled_from([0, 0, 0, -1, 1]), number=st.integers())
    def save_analysis(self, name: str, run: int, ahead: int, number: int) -> None:
        newest = self.analyses.get((name, run), (0, None))[0]
        saved = self.store.save_analysis(name, run, newest + ahead, {"number": number})
        assert saved is (ahead == 0)
        if saved:
            self.analyses[name, run] = newest + 1, {"number": number}

    @rule(name=NAMES, run=RUNS)
    def load_analysis(self, name: str, run: int) -> None:
        assert self.store.load_analysis(name, run) == self.analyses.get((name, run), (0, None))

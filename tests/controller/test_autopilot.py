"""The thread that ticks: when it begins, when it ends, and what does not stop it."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from agent_canary import AgentCanary, Rollout, Stage
from agent_canary.testing import ManualClock
from tests.canary.kit import key_on, users
from tests.controller.conftest import ToldSharedStore, ToldStore

Workers = Callable[..., AgentCanary]
FUNCTIONS: Mapping[str, Callable[[], str]] = {"v1": lambda: "old", "v2": lambda: "new"}


def ticking() -> list[str]:
    """Return the names of the threads that tick."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("agent_canary")]


def wait_for(event: threading.Event) -> None:
    """Wait until it is set again."""
    event.clear()
    assert event.wait(timeout=30)


def until(condition: Callable[[], object]) -> None:
    """Wait until another thread has made it true."""
    pause = threading.Event()
    for _ in range(6000):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it did not happen within 30 s")


@pytest.mark.parametrize(
    "use",
    [
        lambda canary: None,
        lambda canary: canary.route("a"),
        lambda canary: canary.assign("a").succeed(),
        lambda canary: canary.record("v1", True, 1),
        lambda canary: canary.record("v1", True, 1, sticky_key="a"),
        lambda canary: canary.tick(),
        lambda canary: canary.status(),
        lambda canary: canary.apply(canary.auto_decide()),
    ],
    ids=["nothing", "route", "assign", "record", "record keyed", "tick", "status", "decide"],
)
def test_no_thread_without_an_adapter(make_worker: Workers, use: Callable[[AgentCanary], object]) -> None:
    """With bare calls deciding stays in the caller's hand, as in the original."""
    canary = make_worker(autopilot=None)
    use(canary)
    assert ticking() == []
    assert canary.status()["autopilot"] is False


def test_it_begins_with_the_first_request_of_an_adapter(make_worker: Workers) -> None:
    """One thread, whatever follows; a daemon that names its rollout."""
    canary = make_worker(autopilot=None)
    for key in users(3):
        canary.assign(key, adapter=True).succeed()
    (thread,) = (thread for thread in threading.enumerate() if thread.name.startswith("agent_canary"))
    assert (thread.name, thread.daemon) == ("agent_canary agent", True)
    assert canary.status()["autopilot"] is True


def test_it_begins_with_the_first_call(make_worker: Workers) -> None:
    """``call`` is an adapter."""
    canary = make_worker(autopilot=None)
    canary.call("a", FUNCTIONS)
    assert ticking() == ["agent_canary agent"]


async def test_it_begins_with_the_first_acall(make_worker: Workers) -> None:
    """``acall`` too."""

    async def answer() -> str:
        return "answer"

    canary = make_worker(autopilot=None)
    await canary.acall("a", {"v1": answer, "v2": answer})
    assert ticking() == ["agent_canary agent"]


@pytest.mark.parametrize("use", [lambda canary: canary.route("a"), lambda canary: canary.assign("a").succeed()])
def test_it_may_be_wanted_always(make_worker: Workers, use: Callable[[AgentCanary], object]) -> None:
    """True: it begins with any first request, and not with construction."""
    canary = make_worker(autopilot=True)
    assert ticking() == []
    use(canary)
    assert ticking() == ["agent_canary agent"]


def test_it_may_be_unwanted(make_worker: Workers) -> None:
    """False: it never begins by itself."""
    canary = make_worker(autopilot=False)
    canary.call("a", FUNCTIONS)
    canary.assign("a", adapter=True).succeed()
    assert ticking() == []


def test_it_ticks(make_worker: Workers, store: ToldStore) -> None:
    """Again and again, at the given interval."""
    canary = make_worker(autopilot=None, interval=0.01)
    canary.call("a", FUNCTIONS)
    wait_for(store.published)
    wait_for(store.published)
    assert canary.status()["verdict"] is not None


def test_it_moves_the_rollout(make_worker: Workers, clock: ManualClock) -> None:
    """A canary that fails always is rolled back without anybody asking."""
    rolled_back = threading.Event()
    canary = make_worker(
        interval=0.01, on_event=lambda event: rolled_back.set() if event.kind.value == "rolled_back" else None
    )
    with canary.running():
        for number in range(20):
            canary.assign(key_on(canary, "v2", number)).fail()
        assert rolled_back.wait(timeout=30)
        assert canary.route(users(1)[0]) == "v1"


def test_stop_ends_it_for_good(make_worker: Workers) -> None:
    """The thread has ended when stop() returns, and later requests do not begin it anew; start() does."""
    canary = make_worker(autopilot=None, interval=60)
    canary.call("a", FUNCTIONS)
    canary.stop()
    assert ticking() == []
    canary.call("a", FUNCTIONS)
    assert ticking() == []
    assert canary.status()["autopilot"] is False
    canary.start()
    assert ticking() == ["agent_canary agent"]


def test_stop_before_it_began_keeps_it_from_beginning(make_worker: Workers) -> None:
    """Stopping twice is no error either."""
    canary = make_worker(autopilot=None)
    canary.stop()
    canary.stop()
    canary.call("a", FUNCTIONS)
    assert ticking() == []


def test_running_is_for_a_block(make_worker: Workers, store: ToldStore) -> None:
    """It ticks within, and has ended after it, also after an exception."""
    canary = make_worker()

    def run() -> None:
        with canary.running(interval=0.01) as entered:
            assert entered is canary
            wait_for(store.published)
            raise LookupError("the app's own")

    with pytest.raises(LookupError, match="the app's own"):
        run()
    assert ticking() == []


def test_a_canary_is_a_block(clock: ManualClock) -> None:
    """Leaving it stops the thread."""
    with AgentCanary("v1", "v2", Rollout([Stage(0.5)]), clock=clock) as canary:
        canary.call("a", FUNCTIONS)
        assert ticking() == ["agent_canary default"]
    assert ticking() == []


def test_starting_twice_makes_one_thread(make_worker: Workers) -> None:
    """Many threads that make the first request at once, too."""
    canary = make_worker(autopilot=None, interval=60)
    begin = threading.Barrier(8)

    def first_request() -> None:
        begin.wait(timeout=10)
        canary.call("a", FUNCTIONS)

    threads = [threading.Thread(target=first_request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    canary.start()
    assert ticking() == ["agent_canary agent"]


@pytest.mark.parametrize("interval", [0, -1, float("nan"), "1"])
def test_a_bad_interval_is_refused(make_worker: Workers, interval: Any) -> None:
    """At construction and at start; no thread begins."""
    message = f"interval must be a finite number > 0, got {interval!r}"
    with pytest.raises(ValueError, match=message):
        make_worker(interval=interval)
    with pytest.raises(ValueError, match=message):
        make_worker().start(interval)
    assert ticking() == []


def test_an_error_in_a_tick_does_not_end_it(
    make_worker: Workers, store: ToldStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once and counted, and the next tick still happens."""
    canary = make_worker()
    with canary.running(interval=0.01):
        wait_for(store.published)
        store.gone = True
        until(lambda: canary.status()["errors"].get("tick", 0) >= 3)
        store.gone = False
        wait_for(store.published)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "tick failed: StoreError('the store cannot be reached')" in errors[0].getMessage()
    assert errors[0].exc_info is not None


def test_an_error_in_an_analysis_does_not_end_it(
    make_worker: Workers, store: ToldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours in the judging is no end of the watch."""
    canary = make_worker()
    judged, is_broken = threading.Event(), True
    load = store.load_analysis

    def load_broken(name: str, run: int) -> Any:
        if is_broken:
            return 0, {"not": "a memory"}
        judged.set()
        return load(name, run)

    monkeypatch.setattr(store, "load_analysis", load_broken)
    with canary.running(interval=0.01):
        until(lambda: canary.status()["errors"].get("tick", 0) >= 2)
        is_broken = False
        assert judged.wait(timeout=30)


def test_it_does_not_keep_the_canary_alive(clock: ManualClock) -> None:
    """A canary that nobody holds is collected, and its thread ends by itself."""
    canary = AgentCanary("v1", "v2", Rollout([Stage(0.5)]), clock=clock, interval=0.01)
    canary.call("a", FUNCTIONS)
    (thread,) = (thread for thread in threading.enumerate() if thread.name.startswith("agent_canary"))
    gone = weakref.ref(canary)
    del canary
    until(lambda: gc.collect() + 1 and not thread.is_alive())
    assert gone() is None


@pytest.fixture
def shared_store() -> ToldSharedStore:
    """Return a store that other processes write to."""
    return ToldSharedStore()


def test_without_word_from_a_shared_store_everything_goes_to_stable(
    make_worker: Workers, shared_store: ToldSharedStore, clock: ManualClock
) -> None:
    """After stale_after: until then the share stays as last read; once the store is back it is as before."""
    canary = make_worker(store=shared_store, stale_after=30, stages=[Stage(0.5), Stage(1.0)])
    key = key_on(canary, "v2")
    with canary.running(interval=0.01):
        wait_for(shared_store.published)
        shared_store.gone = True
        until(lambda: canary.status()["errors"].get("tick"))
        clock.advance(29)
        assert canary.assign(key).version == "v2"
        clock.advance(2)
        stale = canary.assign(key)
        assert (stale.version, stale.reason.value, canary.route(key)) == ("v1", "stale", "v1")
        shared_store.gone = False
        wait_for(shared_store.published)
        wait_for(shared_store.published)
        assert canary.assign(key).version == "v2"


def test_a_store_of_this_process_never_grows_stale(make_worker: Workers, clock: ManualClock) -> None:
    """Nobody else writes to it."""
    canary = make_worker(stale_after=30)
    key = key_on(canary, "v2")
    with canary.running(interval=60):
        clock.advance(10_000)
        assert canary.assign(key).version == "v2"


def test_who_does_not_tick_does_not_grow_stale(
    make_worker: Workers, shared_store: ToldSharedStore, clock: ManualClock
) -> None:
    """Deciding by hand has no rhythm that could be missed."""
    canary = make_worker(store=shared_store, stale_after=30)
    key = key_on(canary, "v2")
    clock.advance(10_000)
    assert canary.assign(key).version == "v2"


def test_a_block_leaves_an_autopilot_as_it_was(make_worker: Workers) -> None:
    """One that ticked before goes on after it at its own interval; one that waits for its first request still does."""
    canary = make_worker(autopilot=None, interval=500)
    with canary.running(600):
        pass
    assert not ticking()
    canary.assign("ada", adapter=True)
    with canary.running(timedelta(seconds=600)):
        assert canary._autopilot.interval == 600
    assert canary._autopilot.interval == 500

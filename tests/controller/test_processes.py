"""Forked children and ending interpreters, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def run_script(script: str, timeout: float = 60.0) -> str:
    """Run a script in a new interpreter where warnings are errors; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_the_thread_never_keeps_an_interpreter_alive() -> None:
    """A script that forgets to stop ends as soon as its last line is done."""
    assert (
        run_script("""
        from agent_canary import AgentCanary
        canary = AgentCanary("v1", "v2", autopilot=True, interval=0.01)
        canary.assign("a").succeed()
        print(canary.status()["autopilot"])
    """)
        == "True\n"
    )


def test_a_tick_that_hangs_does_not_keep_an_interpreter_alive() -> None:
    """Nor does a store that does not answer."""
    assert (
        run_script("""
        import threading
        from agent_canary import AgentCanary, MemoryStore
        hangs = threading.Event()
        class Hanging(MemoryStore):
            def publish(self, name, worker, totals):
                hangs.set()
                threading.Event().wait()
        canary = AgentCanary("v1", "v2", store=Hanging(), interval=0.01)
        canary.call("a", {"v1": int, "v2": int})
        print(hangs.wait(timeout=30))
    """)
        == "True\n"
    )


@forks
def test_a_forked_child_begins_anew() -> None:
    """No thread, no counts and another worker id; its thread begins with its own first request."""
    assert (
        run_script("""
        import os, threading
        from agent_canary import AgentCanary

        def threads():
            return [t.name for t in threading.enumerate() if t.name.startswith("agent_canary")]

        def answers(canary):
            return sum(canary.status()[f"{arm}_metrics"]["total"] for arm in ("stable", "canary"))

        canary = AgentCanary("v1", "v2", interval=0.01)
        functions = {"v1": int, "v2": int}
        for key in range(10):
            canary.call(f"user-{key}", functions)
        parent, stays_open = canary.status()["worker"], canary.assign("user-0")
        child = os.fork()
        if child == 0:
            status = canary.status()
            assert status["worker"] != parent, status
            assert status["autopilot"] is False and threads() == [], threads()
            assert answers(canary) == 0 and status["open_assignments"] == 0
            stays_open.succeed()
            canary.call("user-1", functions)
            assert canary.status()["autopilot"] is True and threads() == ["agent_canary default"], threads()
            assert answers(canary) == 1, answers(canary)
            assert canary.status()["revision"] == 1
            canary.stop()
            os._exit(0)
        _, code = os.waitpid(child, 0)
        assert code == 0
        assert canary.status()["worker"] == parent and answers(canary) == 10
        assert threads() == ["agent_canary default"]
        print("both")
    """)
        == "both\n"
    )


@forks
def test_a_fork_in_the_middle_of_everything_does_not_hang() -> None:
    """Threads route, end and tick while twenty children fork, each of which routes, ticks and is done."""
    assert (
        run_script("""
        import os, signal, threading
        from agent_canary import AgentCanary, Rollout, Stage

        canary = AgentCanary("v1", "v2", Rollout([Stage(0.5)]), interval=0.001, autopilot=True)
        done = threading.Event()

        def requests():
            while not done.is_set():
                for key in range(50):
                    assignment = canary.assign(f"user-{key}")
                    assignment.score("judge", 1)
                    assignment.succeed()
                canary.record("v1", True, 1.0)
                canary.status()

        threads = [threading.Thread(target=requests) for _ in range(3)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                for key in range(50):
                    canary.assign(f"user-{key}").succeed()
                canary.tick()
                canary.rollout.pause()
                canary.stop()
                os._exit(0 if canary.status()["canary_metrics"]["total"] > 0 else 1)
            codes.append(os.waitpid(child, 0)[1])
        done.set()
        for thread in threads:
            thread.join()
        canary.stop()
        print(codes == [0] * 20, canary.status()["errors"])
    """)
        == "True {}\n"
    )


@forks
def test_a_child_of_a_judged_parent_judges_anew() -> None:
    """What the parent's analyses had counted is not missing from the child's totals for ever."""
    assert (
        run_script("""
        import os
        from agent_canary import AgentCanary, Rollout, Stage

        canary = AgentCanary("v1", "v2", Rollout([Stage(0.5)]), autopilot=False)
        for _ in range(100):
            canary.record("v1", True, 1.0)
            canary.record("v2", True, 1.0)
        canary.tick()
        child = os.fork()
        if child == 0:
            for number in range(200):
                canary.record("v1", number > 0, 1.0)
                canary.record("v2", number > 20, 1.0)
            canary.tick()
            finding = canary.explain().findings[0]
            assert (finding.canary_total, finding.stable_total) == (200, 200), finding
            os._exit(0 if canary.status()["status"] == "rolled_back" else 1)
        print(os.waitpid(child, 0)[1])
    """)
        == "0\n"
    )


@forks
@pytest.mark.parametrize("held", ["rollout", "tick"])
def test_a_lock_that_the_parent_held_is_free_in_the_child(held: str) -> None:
    """A thread of the parent is inside of a move or a tick while the child is made."""
    assert (
        run_script(f"""
        import os, signal, threading
        from agent_canary import AgentCanary, MemoryStore, Rollout, Stage

        parent, inside, leave = os.getpid(), threading.Event(), threading.Event()

        def stay(*arguments):
            if os.getpid() == parent and threading.current_thread() is not threading.main_thread():
                inside.set()
                leave.wait(timeout=30)

        class Slow(MemoryStore):
            def publish(self, name, worker, totals):
                super().publish(name, worker, totals)
                if {held!r} == "tick":
                    stay()

        canary = AgentCanary(
            "v1", "v2", Rollout([Stage(0.5), Stage(1.0)]), store=Slow(), autopilot=False,
            on_event=stay if {held!r} == "rollout" else None,
        )
        thread = threading.Thread(target=canary.rollout.promote if {held!r} == "rollout" else canary.tick)
        thread.start()
        assert inside.wait(timeout=30)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            canary.assign("a").succeed()
            canary.tick()
            canary.rollout.pause()
            os._exit(0 if canary.rollout.status.value == "paused" else 1)
        code = os.waitpid(child, 0)[1]
        leave.set()
        thread.join()
        print(code)
    """)
        == "0\n"
    )

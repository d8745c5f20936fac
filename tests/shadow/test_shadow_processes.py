"""Forks, and the end of the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import asyncio, os, threading
from agent_canary.shadow import ShadowDeployment

began = threading.Event()

def plain_hang(*_):
    began.set()
    threading.Event().wait()

async def async_hang(*_):
    began.set()
    await asyncio.Event().wait()

def stable(*_):
    return "answer"

async def answer(*_):
    return "answer"
"""


def run(script: str) -> str:
    """Run a script in an interpreter that treats warnings as errors, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("shadow_fn", ["plain_hang", "async_hang"])
def test_the_interpreter_ends_although_shadows_hang(shadow_fn: str) -> None:
    """Neither running nor waiting shadows keep the process alive, and nothing complains."""
    printed = run(
        f"""
        shadow = ShadowDeployment(stable, {shadow_fn}, max_workers=1)
        print([shadow.call() for _ in range(3)])
        began.wait()
        """
    )
    assert printed == "['answer', 'answer', 'answer']\n"


def test_the_interpreter_ends_although_nobody_shut_down() -> None:
    """Idle threads, of both kinds, do not keep the process alive either."""
    printed = run(
        """
        told = threading.Semaphore(0)
        for shadow_fn in (stable, answer):
            shadow = ShadowDeployment(stable, shadow_fn, on_result=lambda _: told.release())
            shadow.call()
            told.acquire()
            globals()[f"kept by a module {shadow_fn}"] = shadow
        print(threading.active_count())
        """
    )
    assert printed == "4\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.parametrize(("hanging", "shadow_fn"), [("plain_hang", "stable"), ("async_hang", "answer")])
def test_a_forked_child_begins_anew(hanging: str, shadow_fn: str) -> None:
    """A child has none of its parent's threads, calls and counts, and its shadows work; the parent goes on."""
    printed = run(
        f"""
        import sys, warnings
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # Python 3.12 warns of forks with threads

        async def by_argument(hangs):
            return await (async_hang() if hangs else answer())

        functions = {{"plain_hang": lambda hangs: plain_hang() if hangs else "answer", "async_hang": by_argument}}
        shadow = ShadowDeployment(stable, functions["{hanging}"], max_workers=1, max_queue=1)
        for _ in range(3):
            shadow.call(True)
        began.wait()
        child = os.fork()
        if child == 0:
            status = shadow.status()
            print("child begins with", status["submitted"], threading.active_count())
            shadow.call(False)
            shadow.call(False)
            shadow.shutdown()
            status = shadow.status()
            print("child ends with", status["match"], status["pending"], threading.active_count(), flush=True)
            sys.exit(0)
        print("child's code", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        status = shadow.status()
        print("parent has", status["pending"], status["dropped"])
        """
    )
    assert sorted(printed.splitlines()) == [
        "child begins with 0 1",
        "child ends with 2 0 1",
        "child's code 0",
        "parent has 2 1",
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_child_lets_go_of_its_parents_loop() -> None:
    """The event loop that the parent has for its plain callers is idle; the child neither uses it nor complains."""
    printed = run(
        """
        import gc, sys, warnings
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        told = threading.Semaphore(0)
        shadow = ShadowDeployment(stable, answer, on_result=lambda _: told.release())
        shadow.call()
        told.acquire()
        child = os.fork()
        if child == 0:
            gc.collect()
            shadow.call()
            shadow.shutdown()
            print("child", shadow.status()["match"], flush=True)
            del shadow
            gc.collect()
            sys.exit(0)
        os.waitpid(child, 0)
        shadow.call()
        shadow.shutdown()
        print("parent", shadow.status()["match"])
        """
    )
    assert printed.splitlines() == ["child 1", "parent 2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_fork_between_stable_and_shadow_is_clean() -> None:
    """A stable function that forks has its call mirrored in both processes, each in its own."""
    printed = run(
        """
        import warnings
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        pids = [os.getpid()]

        def forks(first):
            if first:
                return "answer" if os.fork() else "child's answer"
            return "answer"

        shadow = ShadowDeployment(forks, stable)
        shadow.call(False)
        shadow.call(True)
        is_parent = os.getpid() in pids
        if is_parent:
            os.wait()
        shadow.shutdown()
        status = shadow.status()
        print("parent" if is_parent else "child", status["match"], status["mismatch"])
        """
    )
    assert sorted(printed.splitlines()) == ["child 0 1", "parent 2 0"]

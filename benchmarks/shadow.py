"""What mirroring a call costs its caller, against handing the same call to a ``ThreadPoolExecutor``.

The workers are held at a gate meanwhile, so that what is measured is handing over, and not the work itself.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib.util import find_spec
from threading import Event

from .ratios import added, ratios
from .rounds import Contestant, Effort, Samples, measure
from .routing import keys
from .rows import Row, Rows, Skipped, duration

ALONE, POOL, ACCEPTED, FULL = "stable alone", "ThreadPoolExecutor.submit", "accepted", "queue full"
REFUSED = "submit refused"
WORKERS = 4
QUEUE = 100
UNBOUNDED = 1_000_000
REASON = "what costs are the Python calls up to the drop: is this a shadow, is there room, count it under a lock"


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    path = "ShadowDeployment.call, added when the shadow is accepted"
    path_full = "ShadowDeployment.call, added when the queue is full"
    if not find_spec("agent_canary.shadow"):
        return [Skipped(path, "agent_canary.shadow cannot be imported"), Skipped(path_full, "the same")]
    pool, accepting, full = Pool(), Deployment(UNBOUNDED), Deployment(QUEUE)
    try:
        contestants = {
            ALONE: Contestant(_stable_alone),
            POOL: Contestant(pool.loop, after=pool.renew),
            ACCEPTED: Contestant(accepting.loop, after=accepting.renew),
            FULL: Contestant(full.loop, after=full.check_dropped),
            REFUSED: Contestant(full.submit, after=full.check_dropped),
        }
        samples = measure(contestants, effort)
    finally:
        for each in (pool, accepting, full):
            each.close()
    return [
        _row(path, samples, ACCEPTED, at_most=1.5),
        _row(path_full, samples, FULL, at_most=0.1, reason=REASON),
        _row("submit of the deployment's own executor, its queue full", samples, REFUSED),
    ]


def stable(prompt: str) -> str:
    """Answer the user."""
    return prompt


class Gate:
    """Holds the shadows up."""

    def __init__(self) -> None:
        self.opened = Event()

    def shadow(self, prompt: str) -> str:
        """Answer unseen, when the gate opens."""
        self.opened.wait()
        return prompt


class Pool:
    """What one would write by hand: the standard library's executor, whose queue has no bound."""

    def __init__(self) -> None:
        self._gate = Gate()
        self._begin()

    def loop(self, count: int) -> None:
        """Answer, and hand the shadow over."""
        submit, shadow = self._executor.submit, self._gate.shadow
        for prompt in keys(count):
            stable(prompt)
            submit(shadow, prompt)

    def renew(self) -> None:
        """Let all shadows end, and begin anew."""
        self.close()
        self._begin()

    def close(self) -> None:
        """Let all shadows end."""
        self._gate.opened.set()
        self._executor.shutdown()

    def _begin(self) -> None:
        self._gate.opened.clear()
        self._executor = ThreadPoolExecutor(WORKERS)
        self.loop(WORKERS)


class Deployment:
    """The same by ``ShadowDeployment``, arguments and answer copied, compared and counted.

    Args:
        queue: Most shadows that wait.
    """

    def __init__(self, queue: int) -> None:
        self._gate = Gate()
        self._queue = queue
        self._called = 0
        self._begin()

    def loop(self, count: int) -> None:
        """Answer, and mirror."""
        self._called += count
        call = self._deployment.call
        for prompt in keys(count):
            call(prompt)

    def submit(self, count: int) -> None:
        """Answer, and offer the full executor a work that it refuses, without the call around it."""
        self._called += count
        submit = self._deployment._executor.submit
        for prompt in keys(count):
            stable(prompt)
            submit(self._work)

    def renew(self) -> None:
        """Let all shadows end, refuse to go on if one was dropped, and begin anew."""
        self.close()
        status = self._deployment.status()
        if status["match"] != self._called:
            raise RuntimeError(f"{self._called} shadows must have been accepted and matched, got {status}")
        self._begin()

    def check_dropped(self) -> None:
        """Refuse to go on if a shadow was accepted."""
        status = self._deployment.status()
        full = WORKERS + self._queue
        if status["dropped"] != self._called - full:
            raise RuntimeError(f"all but {full} of {self._called} shadows must have been dropped, got {status}")

    def close(self) -> None:
        """Let all shadows end."""
        self._gate.opened.set()
        self._deployment.shutdown()

    def _begin(self) -> None:
        from agent_canary.shadow import ShadowDeployment
        from agent_canary.shadow.work import Work

        self._gate.opened.clear()
        self._called = 0
        self._work = Work(self._gate.shadow, ("prompt",), {}, copy_context())
        self._deployment = ShadowDeployment(
            stable, self._gate.shadow, max_workers=WORKERS, max_queue=self._queue, timeout=600.0
        )
        self.loop(WORKERS if self._queue == UNBOUNDED else WORKERS + self._queue)


def _stable_alone(count: int) -> None:
    for prompt in keys(count):
        stable(prompt)


def _row(path: str, samples: Samples, name: str, at_most: float | None = None, reason: str = "") -> Row:
    base = samples[ALONE]
    times = f"{duration(added(samples[name], base))} against {duration(added(samples[POOL], base))}"
    value = ratios(samples[name], samples[POOL], less=base)
    return Row(path, POOL, value, at_most=at_most, absolute=times, reason=reason)

"""The runs of a cell, spread over processes."""

from __future__ import annotations

import hashlib
import logging
import platform
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

import agent_canary

from . import fixed_rules
from .cell import Cell
from .outcome import Outcome
from .result import Result
from .rollout_run import RolloutRun
from .tally import tally, tally_again
from .traffic import draw, generator

_CHUNK = 4
"""Runs that a process is given at once: few, so that the bar moves and none waits for the last."""


@dataclass(frozen=True, slots=True)
class Run:
    """How all who decide ended one run.

    Attributes:
        library: By alpha.
        original: The original's rule; None where it was not asked.
        fixed: The fixed threshold.
        core_seconds: How long it took on one processor.
    """

    library: dict[float, Outcome]
    original: Outcome | None
    fixed: Outcome | None
    core_seconds: float


def run_once(cell: Cell, run: int) -> Run:
    """Do one run of a cell.

    The evidence does not know alpha: what is not rolled back at one alpha is not at a smaller one, in the same traffic
    with the same users on the canary. So it is run again, at a smaller alpha, only where it was rolled back at the
    larger.
    """
    began = time.process_time()
    traffic = draw(cell, generator(cell, run))
    library: dict[float, Outcome] = {}
    rollout, outcome = None, None
    for alpha in cell.alphas:
        if outcome is None or outcome.alarms:
            rollout = RolloutRun(cell, traffic, alpha, f"{cell.name} {run}")
            outcome = rollout.run()
        library[alpha] = outcome
    original = fixed = None
    if cell.rules and rollout is not None:
        buckets = np.array(rollout.buckets())
        original = fixed_rules.original(traffic, buckets, cell.stages, cell.seconds, cell.tick)
        fixed = fixed_rules.fixed_threshold(traffic, buckets, cell.stages, cell.seconds)
    return Run(library, original, fixed, time.process_time() - began)


def result_of(cell: Cell, runs: Sequence[Run]) -> Result:
    """Add up the runs of a cell."""
    add_up = tally_again if cell.again else tally
    original, fixed = (
        [each for each in decided if each is not None]
        for decided in ((run.original for run in runs), (run.fixed for run in runs))
    )
    return Result(
        cell=cell.name,
        fingerprint=fingerprint(cell),
        runs=len(runs),
        version=agent_canary.__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        core_seconds=round(sum(run.core_seconds for run in runs), 1),
        library={alpha: add_up([run.library[alpha] for run in runs]) for alpha in cell.alphas},
        original=tally(original) if original else None,
        fixed=tally(fixed) if fixed else None,
    )


def fingerprint(cell: Cell) -> str:
    """Return some hexadecimal digits of all that a cell says, but for its words, goals and efforts."""
    said = [getattr(cell, name) for name in cell.__slots__ if name not in ("effort", "goals", "note", "quick")]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:12]


class Pool:
    """Processes that do runs.

    Args:
        processes: The executor.
    """

    def __init__(self, processes: ProcessPoolExecutor) -> None:
        self._processes = processes

    def measure(self, cell: Cell, runs: int, advance: Callable[[int], None]) -> Result:
        """Do so many runs of a cell.

        Args:
            cell: The setting.
            runs: How many.
            advance: Told how many more are done.
        """
        chunks = [range(first, min(first + _CHUNK, runs)) for first in range(0, runs, _CHUNK)]
        waiting = {self._processes.submit(_run_chunk, cell, chunk): chunk for chunk in chunks}
        done: dict[int, Run] = {}
        try:
            for future in as_completed(waiting):
                done.update(zip(waiting[future], future.result(), strict=True))
                advance(len(waiting[future]))
        finally:
            for future in waiting:
                future.cancel()
        return result_of(cell, [done[run] for run in range(runs)])


@contextmanager
def pool(processes: int) -> Generator[Pool]:
    """Start so many processes, each of them fresh, for the block."""
    executor = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=be_quiet)
    try:
        yield Pool(executor)
    finally:
        executor.shutdown(cancel_futures=True)


def be_quiet() -> None:
    """Let a thousand rollbacks not be logged."""
    logging.getLogger("agent_canary").setLevel(logging.CRITICAL)


def _run_chunk(cell: Cell, runs: Sequence[int]) -> list[Run]:
    return [run_once(cell, run) for run in runs]

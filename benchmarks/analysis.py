"""One analysis of a large fleet: how long it takes, and what else in the process feels of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from statistics import median
from time import monotonic, perf_counter, process_time, sleep
from typing import NamedTuple

from agent_canary import AgentCanary

from .echo import Answer, Echo
from .fleet import GUARDRAILS, REQUESTS, fleet
from .ratios import Spread, quantile, ratios
from .rounds import Effort
from .rows import MS, Row, Rows, Skipped, duration

QUIET, IN_THREAD, IN_LOOP = "quiet", "in a thread", "in the event loop"
_PAUSE_SECONDS = 0.01

REASON = (
    "half of the time goes into uniting every worker's tables of failing units, a quarter into their clusters; "
    "histograms and first outcomes are united every ten seconds only"
)
REASON_OF_ECHO = (
    "an analysis rests some 50 µs after every 10 µs, and an answer, which needs the interpreter several times, waits "
    "for one or two of its parts; more rests would cost more processor time than the analysis itself"
)


class Stretch(NamedTuple):
    """A stretch of time in which one thing went on, in monotonic seconds."""

    kind: str
    round: int
    start: float
    end: float


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    requests = REQUESTS if effort.folds else 600
    with fleet(effort.workers, requests) as canary:
        path = f"one analysis, {effort.workers} workers, {GUARDRAILS} guardrails"
        many = _analysis_row(canary, path, effort, at_most=50.0)
        stretches, answers = asyncio.run(_disturb(canary, effort))
    with fleet(effort.workers, requests // 100 if effort.folds else requests) as canary:
        few = _analysis_row(canary, "for scale: one analysis of a hundredth of the traffic", effort)
    p99s = {kind: _p99_by_round(kind, stretches, answers) for kind in (QUIET, IN_THREAD, IN_LOOP)}
    return [
        many,
        few,
        _echo_row("p99 of a 1 ms-paced echo, an analysis in a thread", p99s, IN_THREAD, at_most=2.0),
        _echo_row("for scale: the echo, an analysis in its event loop", p99s, IN_LOOP),
    ]


def _analysis_row(canary: AgentCanary, path: str, effort: Effort, at_most: float | None = None) -> Row:
    judged = _judged(canary)
    times = [_timed(canary) for _ in range(effort.analyses)]
    milliseconds = Spread.of([1e3 * processor for processor, _ in times])
    wall = duration(median(wall for _, wall in times))
    size = f"{judged:,} requests; {wall} by the wall clock; nothing to decode in memory"
    return Row(path, "processor time", milliseconds, MS, at_most, size, REASON)


def _judged(canary: AgentCanary) -> int:
    """Return how many requests an analysis judges, after a look at whether it judges them."""
    findings = canary.explain().findings
    judged = findings[0].stable_total + findings[0].canary_total
    if len(findings) != GUARDRAILS or not all(finding.canary_total for finding in findings):
        raise RuntimeError(f"{GUARDRAILS} guardrails must be judged by data, got {findings}")
    return judged


def _timed(canary: AgentCanary) -> tuple[float, float]:
    """Return the seconds of one analysis: of the processor, and by the wall clock, with its pauses if it makes any."""
    gc.collect()
    began, started = process_time(), perf_counter()
    canary.auto_decide()
    return process_time() - began, perf_counter() - started


async def _disturb(canary: AgentCanary, effort: Effort) -> tuple[list[Stretch], list[Answer]]:
    """Let a client ask all the time, in turn while nothing else happens and while analyses run."""
    stretches: list[Stretch] = []
    async with Echo() as echo:
        await asyncio.sleep(effort.echo_seconds)
        for number in range(effort.echo_rounds):
            started = monotonic()
            await asyncio.sleep(effort.echo_seconds)
            stretches.append(Stretch(QUIET, number, started, monotonic()))
            stretches += await asyncio.to_thread(_analyses_in_thread, canary, number, effort.echo_seconds)
            stretches += await _analyses_in_loop(canary, number, effort.echo_seconds)
    return stretches, echo.answers


def _analyses_in_thread(canary: AgentCanary, number: int, seconds: float) -> list[Stretch]:
    stretches = [_one_analysis(canary, IN_THREAD, number)]
    while stretches[-1].end - stretches[0].start < seconds:
        sleep(_PAUSE_SECONDS)
        stretches.append(_one_analysis(canary, IN_THREAD, number))
    return stretches


async def _analyses_in_loop(canary: AgentCanary, number: int, seconds: float) -> list[Stretch]:
    stretches = [_one_analysis(canary, IN_LOOP, number)]
    while stretches[-1].end - stretches[0].start < seconds:
        await asyncio.sleep(_PAUSE_SECONDS)
        stretches.append(_one_analysis(canary, IN_LOOP, number))
    await asyncio.sleep(_PAUSE_SECONDS)
    return stretches


def _one_analysis(canary: AgentCanary, kind: str, number: int) -> Stretch:
    started = monotonic()
    canary.auto_decide()
    return Stretch(kind, number, started, monotonic())


def _p99_by_round(kind: str, stretches: Sequence[Stretch], answers: Sequence[Answer]) -> dict[int, float]:
    """Return for each round the 99th percentile of the answers to what was sent during its stretches of a kind."""
    found: dict[int, list[float]] = {}
    for stretch in stretches:
        if stretch.kind == kind:
            during = [seconds for sent_at, seconds in answers if stretch.start <= sent_at < stretch.end]
            found.setdefault(stretch.round, []).extend(during)
    return {number: quantile(seconds, 0.99) for number, seconds in found.items() if seconds}


def _echo_row(path: str, p99s: dict[str, dict[int, float]], kind: str, at_most: float | None = None) -> Row | Skipped:
    rounds = p99s[QUIET].keys() & p99s[kind].keys()
    if not rounds:
        return Skipped(path, "the stretches were too short for a single message")
    usual, disturbed = ([p99s[which][number] for number in rounds] for which in (QUIET, kind))
    times = f"{duration(median(disturbed))} against {duration(median(usual))}"
    return Row(path, "its usual p99", ratios(disturbed, usual), at_most=at_most, absolute=times, reason=REASON_OF_ECHO)

"""``record()`` without a key against the original's, and against what metrics libraries take for the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import cycle, islice
from time import perf_counter

from agent_canary import AgentCanary, Rollout, Stage

from .original import OriginalCanary
from .ratios import added, ratios
from .rounds import Contestant, Effort, Samples, measure
from .rows import Row, Rows, Skipped, duration

STABLE, CANARY = "v1", "v2"
ORIGINAL = "the original's record()"
EMPTY = "an empty loop"
THREADS = 8
FOLDED = 4096
"""Records in one sample are a multiple of this one for each thread: twice what waits at most before it is folded."""

Loop = Callable[[int], object]


def _outcomes() -> list[tuple[bool, float]]:
    """One failure in a hundred; latencies with a median of 150 ms and a long tail, in some 400 buckets."""
    chance = random.Random(1)
    return [(chance.random() > 0.01, chance.lognormvariate(5.0, 1.0)) for _ in range(8192)]


OUTCOMES = _outcomes()


def outcomes(count: int) -> Iterator[tuple[bool, float]]:
    """Return an iterator over as many outcomes, which repeat."""
    return islice(cycle(OUTCOMES), count)


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    batch = FOLDED if effort.folds else 8
    with AgentCanary(STABLE, CANARY, Rollout([Stage(0.05)])) as canary:
        ours, original = Ours(canary), Original()
        libraries = {name: make() for name, (package, make) in LIBRARIES.items() if find_spec(package)}
        alone = {
            EMPTY: Contestant(_empty),
            "record": Contestant(ours.alone, batch, after=canary.tick),
            ORIGINAL: Contestant(original.loop, batch),
            **{name: Contestant(loop) for name, loop in libraries.items()},
        }
        samples = measure(alone, effort)
        together = {
            "record": Contestant(ours.in_threads, 2 * THREADS * batch, after=canary.tick),
            ORIGINAL: Contestant(lambda count: in_threads(original.loop, count), 2 * THREADS * batch),
        }
        samples_together = measure(together, effort, perf_counter)
        ours.check()
    base = samples[EMPTY]
    no_base = [0.0] * effort.rounds
    return [
        _row("record() without a key, folding included, 1 thread", samples, "record", base, at_most=1.0),
        _row(
            f"record() without a key, folding included, {THREADS} threads",
            samples_together,
            "record",
            no_base,
            at_most=1.0,
        ),
        *(_row(f"for scale: {name}", samples, name, base) for name in libraries),
        *(
            Skipped(f"for scale: {name}", f"{package} is not installed")
            for name, (package, _) in LIBRARIES.items()
            if name not in libraries
        ),
    ]


class Ours:
    """Records to a canary, and knows how much.

    Args:
        canary: Whose metrics.
    """

    def __init__(self, canary: AgentCanary) -> None:
        self._canary = canary
        self._recorded = 0

    def alone(self, count: int) -> None:
        """Record in this thread, and fold what still waits."""
        self._recorded += count
        self._loop(count)
        self._fold()

    def in_threads(self, count: int) -> None:
        """Record in several threads, and fold what still waits."""
        self._recorded += count
        in_threads(self._loop, count)
        self._fold()

    def check(self) -> None:
        """Refuse to report times of records that were lost."""
        total = self._canary.metrics(CANARY).total
        if total != self._recorded:
            raise RuntimeError(f"{self._recorded} outcomes were recorded, {total} were counted")

    def _loop(self, count: int) -> None:
        canary = self._canary
        for success, latency_ms in outcomes(count):
            canary.record(CANARY, success, latency_ms)

    def _fold(self) -> None:
        self._canary.metrics(CANARY).success_rate  # noqa: B018 - reading folds


class Original:
    """Records as the original does."""

    def __init__(self) -> None:
        self._canary = OriginalCanary(STABLE, CANARY, 0.05)

    def loop(self, count: int) -> None:
        """Record in this thread."""
        canary = self._canary
        for success, latency_ms in outcomes(count):
            canary.record(CANARY, success, latency_ms)


def in_threads(loop: Loop, count: int) -> None:
    """Share the work among threads, and wait for them."""
    threads = [threading.Thread(target=loop, args=(count // THREADS,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _prometheus() -> Loop:
    """Children are bound once, which is the quickest way; default buckets, and seconds, as its guide has it."""
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    latency = Histogram("latency_seconds", "Latency", ["version"], registry=registry).labels(CANARY)
    counter = Counter("requests", "Requests", ["version", "success"], registry=registry)
    succeeded, failed = counter.labels(CANARY, "true"), counter.labels(CANARY, "false")

    def loop(count: int) -> None:
        for success, latency_ms in outcomes(count):
            latency.observe(latency_ms / 1000.0)
            (succeeded if success else failed).inc()

    return loop


def _opentelemetry() -> Loop:
    """One histogram with its default buckets: it counts too, so success is an attribute. No export."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    latency = provider.get_meter("benchmark").create_histogram("latency", unit="ms")

    def loop(count: int) -> None:
        for success, latency_ms in outcomes(count):
            latency.record(latency_ms, {"version": CANARY, "success": success})

    return loop


LIBRARIES: dict[str, tuple[str, Callable[[], Loop]]] = {
    "prometheus-client, histogram and counter": ("prometheus_client", _prometheus),
    "OpenTelemetry SDK, histogram": ("opentelemetry.sdk.metrics", _opentelemetry),
}


def _empty(count: int) -> None:
    for _success, _latency_ms in outcomes(count):
        pass


def _row(path: str, samples: Samples, name: str, base: list[float], at_most: float | None = None) -> Row:
    times = f"{duration(added(samples[name], base))} against {duration(added(samples[ORIGINAL], base))}"
    return Row(path, ORIGINAL, ratios(samples[name], samples[ORIGINAL], less=base), at_most=at_most, absolute=times)

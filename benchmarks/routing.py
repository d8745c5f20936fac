"""``route(key)`` against a bare function, the original and feature flag SDKs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import md5
from importlib.util import find_spec
from itertools import cycle, islice

from agent_canary import AgentCanary, Rollout, Stage

from .flag_sdks import SDKS, Sdk
from .original import OriginalRouter
from .ratios import added, ratios
from .rounds import Contestant, Effort, Samples, measure
from .rows import Row, Rows, Skipped, duration

STABLE, CANARY = "v1", "v2"
SHARE = 0.05
BARE = "a bare salted hash"
EMPTY = "an empty loop"
KEYS = [md5(b"%d" % number).hexdigest() for number in range(1000)]  # noqa: S324
"""Sticky keys of 32 characters, as UUIDs have without their dashes."""

Route = Callable[[str], str]


def keys(count: int) -> Iterator[str]:
    """Return an iterator over as many keys, which repeat after a thousand."""
    return islice(cycle(KEYS), count)


def bare_function(canary: AgentCanary) -> Route:
    """Return the least that salted routing by MD5 can be: hash, take 32 bits, compare.

    It has the salt and the share of *canary*, so both hash the same bytes and must answer alike.
    """
    salt = canary.rollout.state.salt + "\x1f"
    threshold = math.ceil(canary.rollout.traffic_share * 2**32)

    def route(key: str) -> str:
        digest = md5((salt + key).encode()).digest()  # noqa: S324
        return CANARY if int.from_bytes(digest[:4], "big") < threshold else STABLE

    different = [key for key in KEYS if canary.route(key) != route(key)]
    if different:
        raise RuntimeError(f"the bare function must answer as the canary does; {len(different)} keys differ")
    return route


def empty_loop(count: int) -> None:
    """Iterate as every other loop does, and do nothing."""
    for _ in keys(count):
        pass


def looped(route: Route) -> Callable[[int], None]:
    """Return a loop that calls a plain function."""

    def loop(count: int) -> None:
        for key in keys(count):
            route(key)

    return loop


def run(effort: Effort) -> Rows:
    """Measure and return the rows."""
    with ExitStack() as stack:
        canary = stack.enter_context(AgentCanary(STABLE, CANARY, Rollout([Stage(SHARE)])))
        bare = bare_function(canary)
        installed = {name: open_sdk for name, (package, open_sdk) in SDKS.items() if find_spec(package)}
        sdks = {name: stack.enter_context(open_sdk(SHARE)) for name, open_sdk in installed.items()}
        shares = {name: _checked(name, sdk) for name, sdk in sdks.items()}
        samples = measure(_contestants(canary, bare, sdks), effort)
    return [
        _row(samples, "route(key), with the staleness check", "route", at_most=1.0),
        _row(samples, "for scale: the bare function once more", "bare again"),
        _row(samples, "for scale: the original's unsalted router", "original"),
        *(_row(samples, f"for scale: {name}", name, note) for name, note in shares.items()),
        *(Skipped(f"for scale: {name}", f"{SDKS[name][0]} is not installed") for name in SDKS if name not in sdks),
    ]


def _row(samples: Samples, path: str, name: str, note: str = "", at_most: float | None = None) -> Row:
    times = f"{duration(_own(samples, name))} against {duration(_own(samples, BARE))}"
    value = ratios(samples[name], samples[BARE], less=samples[EMPTY])
    return Row(path, BARE, value, at_most=at_most, absolute=f"{times}; {note}" if note else times)


def _contestants(canary: AgentCanary, bare: Route, sdks: dict[str, Sdk]) -> dict[str, Contestant]:
    original = OriginalRouter(SHARE)

    def route(count: int) -> None:
        for key in keys(count):
            canary.route(key)

    def original_decide(count: int) -> None:
        for key in keys(count):
            original.decide(sticky_key=key)

    return {
        EMPTY: Contestant(empty_loop),
        BARE: Contestant(looped(bare)),
        "route": Contestant(route),
        "bare again": Contestant(looped(bare)),
        "original": Contestant(original_decide),
        **{name: Contestant(_over_keys(sdk)) for name, sdk in sdks.items()},
    }


def _over_keys(sdk: Sdk) -> Callable[[int], object]:
    return lambda count: sdk.loop(keys(count))


def _own(samples: Samples, name: str) -> float:
    """Median seconds of one call, without the loop around it."""
    return added(samples[name], samples[EMPTY])


def _checked(name: str, sdk: Sdk) -> str:
    """Return the share of keys that an SDK puts on the canary, as text; an SDK that does not split is not measured."""
    share = statistics.fmean(map(sdk.ask, KEYS))
    if not SHARE / 2 < share < SHARE * 2:
        raise RuntimeError(f"{name} must put about {SHARE:.0%} of the keys on the canary, got {share:.1%}")
    return f"{share:.1%} of keys on the canary"

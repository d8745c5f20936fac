"""A ledger with the requests that a test books into it."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent_canary.metrics import Outcome
from agent_canary.metrics.arms import SliceKey
from agent_canary.metrics.ledger import Entry, Ledger, Window
from agent_canary.metrics.run_totals import RunTotals
from agent_canary.metrics.slices import Slice
from agent_canary.metrics.totals import Totals
from agent_canary.metrics.watch import Watch
from agent_canary.testing import ManualClock

SUCCEEDED, FAILED, CANCELLED = Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED
HERE, THERE = SliceKey(1, 0.05), SliceKey(1, 0.25)
HORIZON = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """What requests are decided by."""

    run: int
    slice: Slice
    wall_offset: float = 0.0


@dataclass(slots=True)
class Told:
    """What only some requests report."""

    first_token_at: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    failure: str | None = None


def digest_of(unit: int) -> bytes:
    """A digest that ends in a unit's hash, and whose cluster is the unit's remainder by 64."""
    return bytes([9, 9, 9, 9, 128 + unit % 64, 9, 9, 9]) + unit.to_bytes(8, "big")


@dataclass(slots=True, eq=False)
class Request:
    """A routed request, with the wall clock that its monotonic clock is."""

    traffic: Traffic
    unit: int | None
    is_canary: bool
    started_at: float
    is_evidence: bool = True
    outcome: Outcome | None = None
    ended_at: float = 0.0
    details: Told | None = None

    @property
    def digest(self) -> bytes | None:
        return None if self.unit is None else digest_of(self.unit)

    @property
    def stage_idx(self) -> int:
        return self.traffic.slice.key.stage_idx

    @property
    def traffic_share(self) -> float:
        return self.traffic.slice.key.share


@dataclass
class Desk:
    """A ledger, the traffic that requests are decided by, and what was booked."""

    clock: ManualClock = field(default_factory=ManualClock)
    run: int = 1
    booked: list[tuple[Entry, Totals, Window]] = field(default_factory=list)

    def __post_init__(self) -> None:
        opening = Slice(HERE, self.clock.wall())
        self.ledger = Ledger(self.run, opening, self.clock.monotonic, HORIZON, self._book)
        self.traffic = Traffic(self.run, opening)

    def _book(self, entry: Entry, totals: Totals, window: Window) -> None:
        self.booked.append((entry, totals.copy(), list(window)))

    def begin(self, unit: int | None = 1, is_canary: bool = False, **more: object) -> Request:
        """Assign a request."""
        request = Request(self.traffic, unit, is_canary, self.clock.monotonic(), **more)  # type: ignore[arg-type]
        self.ledger.push(request)
        return request

    def end(self, request: Request, outcome: Outcome = SUCCEEDED, after: float = 0.0) -> None:
        """Let time pass and the request end."""
        self.clock.advance(after)
        request.ended_at = self.clock.monotonic()
        request.outcome = outcome

    def serve(
        self, unit: int | None = 1, is_canary: bool = False, outcome: Outcome = SUCCEEDED, **more: object
    ) -> Request:
        """Assign a request that ends after a tenth of a second."""
        request = self.begin(unit, is_canary, **more)
        self.end(request, outcome, after=0.1)
        return request

    def cut(self, key: SliceKey = HERE, watches: tuple[Watch, ...] = ()) -> Slice:
        """Begin a new slice, a second later."""
        self.clock.advance(1.0)
        cut = self.ledger.cut(key, self.clock.wall(), watches)
        self.traffic = Traffic(self.run, cut)
        return cut

    def settle(self) -> RunTotals:
        """What counts after a new slice was begun."""
        self.cut(self.ledger.current.key)
        self.ledger.settle()
        return self.ledger.snapshot()

    def sums(self) -> Totals:
        """Everything that was booked."""
        total = Totals()
        for _, totals, _ in self.booked:
            total.merge(totals)
        return total

"""What an answer tells: who asked, how long it took, and what it reports."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from math import inf
from typing import Protocol

from .histogram import LARGEST_VALUE
from .run_totals import FirstRequest
from .totals import MICRO_DOLLARS, Totals

_CLUSTER_OF = bytes(byte & 63 for byte in range(256))
_DIGEST_BYTES, _CLUSTER_BYTE = 16, 4


class Reported(Protocol):
    """What only some requests report."""

    first_token_at: float | None
    input_tokens: int
    output_tokens: int
    cost_usd: float
    failure: str | None


class Answer(FirstRequest, Protocol):
    """A routed request that has ended, or has timed out."""

    ended_at: float

    @property
    def digest(self) -> bytes | None: ...
    @property
    def details(self) -> Reported | None: ...


def digests_of(answers: Iterable[Answer]) -> bytes:
    """The digests of the keys of answers, joined."""
    return b"".join([answer.digest for answer in answers if answer.digest is not None])


def clusters_of(digests: bytes) -> bytes:
    """The clusters of keys, a byte each."""
    return digests[_CLUSTER_BYTE::_DIGEST_BYTES].translate(_CLUSTER_OF)


def units_of(digests: bytes) -> Sequence[int]:
    """The units of keys: the last eight of the sixteen bytes of each digest, big-endian."""
    words = array("Q", digests)
    if sys.byteorder == "little":
        words.byteswap()
    return words[1::2]


def latencies_of(answers: Sequence[Answer]) -> list[float]:
    """Milliseconds; a clock that a user passed, such as time.time, may have gone back: that is no time at all."""
    latencies = [(answer.ended_at - answer.started_at) * 1000.0 for answer in answers]
    return latencies if min(latencies, default=0.0) >= 0.0 else [max(0.0, latency) for latency in latencies]


def amount_of(name: str, answer: Answer) -> float | None:
    """What an answer took of an amount; None when it did not tell. What has timed out took longer than any limit."""
    if name == "latency":
        return inf if answer.outcome is None else max(0.0, (answer.ended_at - answer.started_at) * 1e3)
    details = answer.details
    if details is None:
        return None
    if name == "first_token":
        return None if details.first_token_at is None else max(0.0, (details.first_token_at - answer.started_at) * 1e3)
    if name == "cost":
        return details.cost_usd or None
    return details.input_tokens + details.output_tokens or None


def totals_of(answers: Sequence[Answer], latencies: list[float], failed: int) -> Totals:
    """The totals of answers of which so many failed; those without a latency were cancelled."""
    totals = Totals(succeeded=len(latencies) - failed, failed=failed, cancelled=len(answers) - len(latencies))
    totals.latency.record_checked(latencies)
    reports = [(answer.started_at, details) for answer in answers if (details := answer.details) is not None]
    if reports:
        _add_reports(totals, reports)
    return totals


def _add_reports(totals: Totals, reports: Iterable[tuple[float, Reported]]) -> None:
    first_tokens, costs, tokens = list[float](), list[float](), list[float]()
    for started_at, details in reports:
        totals.input_tokens += details.input_tokens
        totals.output_tokens += details.output_tokens
        totals.cost_usd += details.cost_usd
        if details.first_token_at is not None:
            first_tokens.append(max(0.0, (details.first_token_at - started_at) * 1000.0))
        if details.cost_usd:
            costs.append(min(details.cost_usd * MICRO_DOLLARS, LARGEST_VALUE))
        if used := details.input_tokens + details.output_tokens:
            tokens.append(float(min(used, LARGEST_VALUE)))
    for histogram, values in ((totals.first_token, first_tokens), (totals.cost, costs), (totals.tokens, tokens)):
        if values:
            histogram.record_many(values)

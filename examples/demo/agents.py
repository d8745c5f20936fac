"""The agents: four versions of one that reads a scan and answers a digit. Their answers are no random matter.

An answer follows from the scan, and whether an agent raises follows from the request's id. So hindsight can ask any
version what it would have answered to a request that another one served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.svm import SVC  # type: ignore[import-untyped]

from .scans import Scans

Image = np.ndarray[Any, np.dtype[np.float64]]

USUAL_FAILURES = 0.002
"""How many requests fail: what the agent depends on is not always there."""

RAISING_FAILURES = 0.04
"""How many requests fail in the version that raises."""

FEW_SCANS = 100


class AgentError(Exception):
    """The agent could not answer."""


class Classifier(Protocol):
    """What scikit-learn calls an estimator, as far as it is used here."""

    def predict(self, images: Image) -> Any:
        """Return a digit for each row of pixels."""
        ...


@dataclass(frozen=True)
class Agent:
    """One version.

    Attributes:
        model: Trained on rows of 64 pixels in [0, 1].
        prepare: What is done to a picture of 8 by 8 pixels before the model sees it.
        failures: How many requests fail, in [0, 1]. A request that fails in one version fails in each that fails
            more often.
    """

    model: Classifier
    prepare: Callable[[Image], Image]
    failures: float = USUAL_FAILURES

    def read(self, pixels: Sequence[int], request_id: str) -> int:
        """Return the digit that the scan shows.

        Raises:
            AgentError: It could not.
        """
        if self.fails(request_id):
            raise AgentError("the model did not answer")
        return self.classify(pixels)

    def fails(self, request_id: str) -> bool:
        """Whether it raises at that request: a hash decides, so that it does so whenever it is asked."""
        digest = hashlib.sha256(request_id.encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < self.failures

    def classify(self, pixels: Sequence[int]) -> int:
        """Return the digit that the scan shows."""
        picture = np.asarray(pixels, dtype=np.float64).reshape(8, 8) / 16.0
        return int(self.model.predict(self.prepare(picture).reshape(1, -1))[0])


def train(scans: Scans) -> dict[str, Agent]:
    """Train all versions.

    ``v1`` is what users have today: a linear model, trained on few scans. ``v2`` is better: a support vector machine,
    trained on all of them. ``v3`` is the same and raises. ``v4`` is the same, never raises, and is given thumbnails.
    """
    pixels = np.asarray(scans.pixels, dtype=np.float64) / 16.0
    digits = np.asarray(scans.digits)
    simple = LogisticRegression(max_iter=1000).fit(pixels[:FEW_SCANS], digits[:FEW_SCANS])
    good = SVC().fit(pixels, digits)
    return {
        "v1": Agent(simple, as_it_is),
        "v2": Agent(good, as_it_is),
        "v3": Agent(good, as_it_is, failures=RAISING_FAILURES),
        "v4": Agent(good, thumbnail, failures=0.0),
    }


def in_hindsight(agents: Mapping[str, Agent], scans: Scans) -> Callable[[str, int, str], int | None]:
    """Return what asks a version, afterwards, for the digit of a scan and a request's id; None when it fails."""

    @cache
    def classified(version: str, scan: int) -> int:
        return agents[version].classify(scans.pixels[scan])

    def ask(version: str, scan: int, request_id: str) -> int | None:
        return None if agents[version].fails(request_id) else classified(version, scan)

    return ask


def as_it_is(picture: Image) -> Image:
    """Return the picture."""
    return picture


def thumbnail(picture: Image) -> Image:
    """Return the picture with half its resolution, each pixel the mean of four: the careless change."""
    small: Image = picture.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    return small.repeat(2, axis=0).repeat(2, axis=1)

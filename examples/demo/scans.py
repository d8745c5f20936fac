"""The data: 1,797 real handwritten digits, 8 by 8 pixels of 0 to 16, bundled with scikit-learn.

From E. Alpaydin, C. Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]

_SPLIT_SEED = 7


@dataclass(frozen=True)
class Scans:
    """Some of the scans, and what their writers wrote.

    Attributes:
        pixels: Of each scan its 64 pixels, row by row, 0 to 16.
        digits: Of each scan the digit that was written.
    """

    pixels: list[list[int]]
    digits: list[int]


def split_scans() -> tuple[Scans, Scans]:
    """Return a half for training and the other half for the users, which no model has seen."""
    pixels, digits = load_digits(return_X_y=True)
    halves = train_test_split(pixels, digits, test_size=0.5, random_state=_SPLIT_SEED, stratify=digits)
    training_pixels, users_pixels, training_digits, users_digits = halves
    return _scans(training_pixels, training_digits), _scans(users_pixels, users_digits)


def _scans(pixels: Any, digits: Any) -> Scans:
    return Scans(pixels.astype(int).tolist(), digits.tolist())

"""The sums of one arm's answers that tests of means take: how many, their total, their squares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerSums:
    """Independent answers of one arm, summed.

    Attributes:
        n: How many, at least 0.
        y: The sum of their values.
        yy: The sum of their squares.

    Raises:
        ValueError: The number is negative.
    """

    n: int
    y: float
    yy: float

    def __post_init__(self) -> None:
        if not self.n >= 0:
            raise ValueError(f"n must be at least 0, got {self.n!r}: it is a number of answers")

    @property
    def mean(self) -> float:
        """The mean value; 0.0 without answers."""
        return self.y / self.n if self.n else 0.0

    @property
    def sample_variance(self) -> float:
        """The squared distances from the mean over n - 1; 0.0 with fewer than two answers."""
        return max(0.0, self.yy - self.y * self.mean) / (self.n - 1) if self.n > 1 else 0.0

    def __add__(self, other: AnswerSums) -> AnswerSums:
        return AnswerSums(self.n + other.n, self.y + other.y, self.yy + other.yy)

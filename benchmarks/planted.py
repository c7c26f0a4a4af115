"""What the generated data sets hide: tastes of users, styles of items, and a probability made of both.

    P(positive) = rate * FACTOR[taste = style][quality] / mean(FACTOR)

Half of all items are to any user's taste, so that a user alone says nothing about a label and an item little, its
quality. Features of either side hint at the taste and the style, and tell the truth in `HINT` of all cases. A data set
of mostly positives plants its negatives so.
"""

from __future__ import annotations

import numpy as np

FACTOR = np.array([[0.2, 0.6], [1.1, 2.1]])  # not to the taste, or to it; poor item or good one
HINT = 0.9


class Skewed:
    """Draws numbers in 0..count - 1, some far more often than others: lognormal weights with this sigma."""

    def __init__(self, rng: np.random.Generator, count: int, sigma: float):
        self.cumulative = np.cumsum(rng.lognormal(0, sigma, count))

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """-> (size,) int32"""
        drawn = np.searchsorted(self.cumulative, rng.random(size) * self.cumulative[-1])
        return np.minimum(drawn, len(self.cumulative) - 1).astype(np.int32)


def planted_probability(match: np.ndarray, good: np.ndarray, rate: float) -> np.ndarray:
    """match, good: (n,) bool -> (n,) float32 with a mean of about `rate`."""
    return (rate * FACTOR[match.astype(np.int8), good.astype(np.int8)] / FACTOR.mean()).astype(np.float32)


def hint(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """truth: (n,) 0/1 -> the same, wrong in 1 - HINT of all cases."""
    return np.where(rng.random(len(truth)) < HINT, truth, 1 - truth)

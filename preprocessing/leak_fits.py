"""Two fits of one number by another, each value by the other folds: what is fitted is not what it is judged on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

FOLDS = 5
BINS, PER_BIN = 256, 12  # of the curve


def _folds(fold: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places that are fitted on, and those that are judged."""
    for number in np.unique(fold):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def line(fold: np.ndarray, u: Numbers, y: Numbers, weight: Numbers) -> Numbers:
    """y by a straight line in u, by weighted least squares: (m,).

    fold: (m,) int.  u, y, weight: (m,).

    >>> u = np.arange(4.0)
    >>> line(np.array([0, 1, 0, 1]), u, 3 * u + 1, np.ones(4)).tolist()
    [1.0, 4.0, 7.0, 10.0]
    """
    result = np.empty_like(y)
    for fitted, judged in _folds(fold):
        share = weight[fitted] / weight[fitted].sum()
        middle, level = share @ u[fitted], share @ y[fitted]
        apart = u[fitted] - middle
        spread = share @ apart**2
        slope = (share @ (apart * (y[fitted] - level))) / spread if spread > 0 else 0.0
        result[judged] = level + slope * (u[judged] - middle)
    return result


def curve(fold: np.ndarray, u: Numbers, y: Numbers, weight: Numbers) -> Numbers:
    """y by its means in bins of neighbouring u, with straight lines between them: (m,). As in `line`.

    Equal values of u share a bin.
    """
    result = np.empty_like(y)
    order = np.argsort(u, kind="stable")
    of = fold[order]
    for number, (_, judged) in zip(np.unique(fold), _folds(fold), strict=True):
        fitted = order[of != number]
        values, w = u[fitted], weight[fitted]
        first = np.maximum.accumulate(np.where(np.diff(values, prepend=np.nan) != 0, np.arange(len(values)), 0))
        bins = first * max(1, min(BINS, len(fitted) // PER_BIN)) // max(1, len(fitted))
        bins = np.cumsum(np.diff(bins, prepend=0) != 0)
        total = np.bincount(bins, weights=w)
        means = (np.bincount(bins, weights=w * part) / total for part in (values, y[fitted]))
        result[judged] = np.interp(u[judged], *means)
    return result

"""How well one feature alone ranks validation rows: by target means of training rows.

Everything is counted by groups: the rows of one category, of one interval of a number, of one user. A group is one
score, so that an AUC costs as much as there are groups, however many rows there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

BINS = 256  # intervals of a number, fewer where the rows that it is fitted on are few
ROWS_PER_BIN = 20
SMOOTHING = 10.0  # rows of prior behind the mean of each group
# In standard deviations of the AUC of labels drawn at random: what few rows reach by accident is below it.
SIGNIFICANT = 5.0


@dataclass(frozen=True)
class Counts:
    """Rows and positives by group: each (groups,) float64, of training and of validation rows.

    A group is a category, an interval, or an entity; a row is in one of them.
    """

    train: np.ndarray
    train_positives: np.ndarray
    held_out: np.ndarray
    held_out_positives: np.ndarray

    @classmethod
    def of_rows(cls, group: np.ndarray, label: np.ndarray, is_train: np.ndarray, groups: int) -> Counts:
        """group: (n,) int in 0..groups - 1.  label: (n,) of 0 and 1.  is_train: (n,) bool, else a validation row."""
        cell = 4 * group.astype(np.int64) + 2 * is_train + (label == 1)
        table = np.bincount(cell, minlength=4 * groups).reshape(groups, 4).astype(np.float64)
        return cls(table[:, 2] + table[:, 3], table[:, 3], table[:, 0] + table[:, 1], table[:, 1])

    def merged(self, group: np.ndarray, groups: int) -> Counts:
        """Of groups of these groups. group: (as many as there are now,) int."""
        sums = (np.bincount(group, weights=values, minlength=groups) for values in vars(self).values())
        return Counts(*sums)

    def take(self, chosen: np.ndarray) -> Counts:
        return Counts(*(values[chosen] for values in vars(self).values()))

    def target_means(self) -> np.ndarray:
        """(groups,) the mean label of the training rows of each, smoothed; of a group without them that of all."""
        mean = self.train_positives.sum() / max(self.train.sum(), 1)
        return (self.train_positives + SMOOTHING * mean) / (self.train + SMOOTHING)


@dataclass(frozen=True)
class Ranking:
    """How well something ranks the validation rows. deviations: of labels drawn at random, that `auc` is above 0.5."""

    auc: float
    deviations: float


def ranking(score: np.ndarray, counts: Counts) -> Ranking:
    """Of validation rows by the score of their group, (groups,). Equal scores count half, as in every AUC.

    >>> counts = Counts(np.zeros(3), np.zeros(3), np.array([4.0, 2.0, 4.0]), np.array([0.0, 1.0, 4.0]))
    >>> ranking(np.array([0.1, 0.5, 0.9]), counts).auc, ranking(np.zeros(3), counts).auc
    (0.98, 0.5)
    """
    _, place = np.unique(score, return_inverse=True)
    positives = np.bincount(place, weights=counts.held_out_positives)
    negatives = np.bincount(place, weights=counts.held_out - counts.held_out_positives)
    high, low = positives.sum(), negatives.sum()
    if not (high and low):
        return Ranking(0.5, 0.0)
    below = np.cumsum(negatives) - negatives
    auc = float((positives * (below + negatives / 2)).sum() / (high * low))
    return Ranking(auc, (auc - 0.5) / math.sqrt((high + low + 1) / (12 * high * low)))


def categories(values: np.ndarray | pd.Series | pd.Categorical) -> tuple[np.ndarray, int]:
    """Groups of equal values, and one of the missing ones: (n,) int and how many there are."""
    if isinstance(values, pd.Categorical):
        codes, count = values.codes.astype(np.int64), len(values.categories)
    else:
        codes, distinct = pd.factorize(np.asarray(values))
        count = len(distinct)
    return np.where(codes < 0, count, codes), count + 1


def intervals(values: np.ndarray, fitted: np.ndarray) -> tuple[np.ndarray, int]:
    """Groups of neighbouring numbers, about as many `fitted` values in each, and one of the missing ones.

    values: (n,) float64, NaN where one is missing.  fitted: (m,) those that say where an interval ends. A number that
    many of them are has an interval of its own.
    """
    fitted = fitted[~np.isnan(fitted)]
    count = int(np.clip(len(fitted) // ROWS_PER_BIN, 8, BINS))
    edges = np.unique(np.quantile(fitted, np.linspace(0, 1, count + 1), method="lower")) if len(fitted) else fitted
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right")), len(edges) + 2


def numbers(values: np.ndarray | pd.Series | pd.Categorical) -> np.ndarray | None:
    """(n,) float64 of numbers, whole numbers that stand for categories, or texts that are all numbers; else None.

    >>> numbers(np.array(["7", None, "2.5"], dtype=object)), numbers(np.array(["7", "seven"], dtype=object))
    (array([7. , nan, 2.5]), None)
    """
    if isinstance(values, pd.Categorical):
        distinct = numbers(np.asarray(values.categories))
        return None if distinct is None else np.append(distinct, np.nan)[values.codes]
    values = np.asarray(values)
    if values.dtype.kind in "iufb":
        return _finite(values.astype(np.float64))
    codes, distinct = pd.factorize(values)
    parsed = pd.to_numeric(pd.Series(distinct, dtype=object), errors="coerce").to_numpy(np.float64)
    if not len(distinct) or np.isnan(parsed).any():
        return None
    return _finite(np.append(parsed, np.nan)[codes])


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def deviations(values: np.ndarray, entity: np.ndarray) -> np.ndarray:
    """(n,) each number less the mean of its entity's rows.

    A total that leaves out the row's own label is one number for the positives of a user and one more for the
    negatives: it gives the label away only by this difference.

    >>> deviations(np.array([3.0, 4.0, 4.0, 9.0]), np.array([0, 0, 0, 1])).round(2).tolist()
    [-0.67, 0.33, 0.33, 0.0]
    """
    known = ~np.isnan(values)
    total = np.bincount(entity[known], weights=values[known], minlength=int(entity.max()) + 1)
    count = np.bincount(entity[known], minlength=len(total))
    return np.round(values - (total / np.maximum(count, 1))[entity], 9)


def changes(values: np.ndarray, entity: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(n,) each number less that of its entity's row before, in this order of rows; of the first row the number itself.

    A running total that holds the row's own label gives it away only so.

    >>> changes(np.array([1.0, 5.0, 1.0, 2.0]), np.array([0, 1, 0, 0]), np.arange(4)).tolist()
    [1.0, 5.0, 0.0, 1.0]
    """
    order = order[np.argsort(entity[order], kind="stable")]
    in_turn, of = values[order], entity[order]
    before = np.concatenate([[0.0], in_turn[:-1]])
    before[np.diff(of, prepend=-1) != 0] = 0.0
    result = np.empty_like(values)
    result[order] = np.round(in_turn - before, 9)
    return result

"""A warning about features that decide the label: the column that it was made from, most often."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd

from foundation.errors import InputWarning
from preprocessing.raw import RawData

# A feature is warned of if it would decide labels drawn at random with a probability below this (natural logarithm),
# once in a million million features.
ACCIDENT = math.log(1e-12)


class LeakWarning(InputWarning):
    """A feature decides every label, so that a model learns nothing else."""


def deciding_features(raw: RawData, names: Iterable[str]) -> tuple[str, ...]:
    """Those of these features of the interactions whose values decide all labels, with a `LeakWarning` for each."""
    found = tuple(name for name in names if _decides(np.asarray(raw.interactions[name]), raw.label == 1))
    for name in found:
        warnings.warn(
            f"Feature '{name}' of the interactions decides the label of every row: was the label made from it? "
            f"A model that is told it learns nothing else. Leave it out with kinds={{'{name}': 'ignore'}}, or name "
            "its kind to keep it.",
            LeakWarning,
            stacklevel=4,  # the caller of `Dataset.from_frames`
        )
    return found


def _decides(values: np.ndarray, label: np.ndarray) -> bool:
    """Whether each value has labels of one kind, or a threshold parts them, and that is no accident.

    values: (n,), None or NaN where one is missing, which counts as a value. label: (n,) bool.
    """
    if label.all() or not label.any():
        return False
    # -1, missing, becomes the last one.
    codes, distinct = pd.factorize(values)
    rows = np.bincount(codes[codes >= 0], minlength=len(distinct) + 1)
    rows[-1] = len(values) - rows.sum()
    positives = np.bincount(codes[label & (codes >= 0)], minlength=len(distinct) + 1)
    positives[-1] = label.sum() - positives.sum()
    if ((positives == 0) | (positives == rows)).all() and _chance_of_values(rows, label.mean()) < ACCIDENT:
        return True
    if values.dtype.kind not in "iuf":
        return False
    present = codes >= 0
    high, low = values[present & label], values[present & ~label]
    missing_is_one = positives[-1] in (0, rows[-1])
    if not (len(high) and len(low) and missing_is_one) or not (high.min() > low.max() or low.min() > high.max()):
        return False
    return _chance_of_threshold(len(high), len(low)) < ACCIDENT


def _chance_of_values(rows: np.ndarray, share: float) -> float:
    """The log probability that each value has equal labels, if labels are drawn.

    rows: how often each value occurs. share: of positives. A value that occurs once says nothing.
    """
    return float(np.logaddexp(rows * math.log(share), rows * math.log(1 - share)).sum())


def _chance_of_threshold(positives: int, negatives: int) -> float:
    """The log probability that one of these stand above all others, or below, in a random order."""
    ways = math.lgamma(positives + negatives + 1) - math.lgamma(positives + 1) - math.lgamma(negatives + 1)
    return math.log(2) - ways

"""Generated data know the probability that each label was drawn with: its file, and the AUC that it allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foundation.errors import InputError
from preprocessing.files import map_array, open_regular

# Beside generated files (`benchmarks`): the probability that each row's label was drawn with.
PLANTED = "planted_probability.npy"


def planted_beside(folder: Path) -> list[Path]:
    """The file of probabilities in a folder, if there is one."""
    place = folder / PLANTED
    return [place] if place.is_file() else []


def read_planted(path: Path, rows: int) -> np.ndarray:
    """(rows,) float32, mapped from the file. Raises `InputError` if it does not belong to so many rows."""
    with open_regular(path) as file:
        try:
            planted = map_array(file)
        except ValueError as error:
            raise InputError(f"{path} is no array ({error}). Delete it, or generate the data again.") from None
    if planted.shape != (rows,) or planted.dtype.kind != "f":
        raise InputError(f"{path} holds {planted.dtype} {planted.shape} for {rows} rows. Delete it, or generate again.")
    return planted


def best_auc(probabilities: np.ndarray) -> float:
    """Expected AUC of ranking rows by their true probability of a positive, in closed form.

    A pair of different rows i, j counts with the probability that i is the positive and j the negative:

        sum_{i != j} p_i (1 - p_j) ([p_i > p_j] + [p_i = p_j] / 2)  /  sum_{i != j} p_i (1 - p_j)

    Two rows with 0.8 and 0.2: in 0.8 * 0.8 of all draws the right one is positive, in 0.2 * 0.2 the wrong one

    >>> round(best_auc(np.array([0.8, 0.2])), 6), round(0.64 / (0.64 + 0.04), 6)
    (0.941176, 0.941176)
    """
    value, count = np.unique(np.asarray(probabilities, dtype=np.float64), return_counts=True)
    positive, negative = count * value, count * (1 - value)
    lower_negative = np.cumsum(negative) - negative
    with_itself = (positive * (1 - value)).sum()
    concordant = (positive * (lower_negative + negative / 2)).sum() - with_itself / 2
    return float(concordant / (positive.sum() * negative.sum() - with_itself))

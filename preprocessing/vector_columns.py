"""A column of vectors in a frame: lists of numbers, all of one length."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import pandas as pd

from foundation.errors import InputError
from foundation.shown import some
from foundation.values import is_missing, shown, vector
from preprocessing.column_storage import unpacked


def has_floats(values: Iterable) -> bool:
    """Whether any entry of a list is a float or a decimal; a missing one is none."""
    return any(isinstance(one, (float, np.floating, Decimal)) and not is_missing(one) for one in values)


def vectors(where: str, column: pd.Series) -> np.ndarray:
    """(n, k) float32, zeros where a vector is missing or empty; k = 0 where all are.

    Raises `InputError` for what is no list of numbers, for lists of two lengths, and for numbers that are missing,
    infinite or beyond float32.
    """
    given = [None if is_missing(value) else value for value in unpacked(column)]
    found = [np.zeros(0) if value is None else vector(value) for value in given]
    must = f"Column '{column.name}' of {where} must hold vectors: lists of numbers of one length."
    rows = [one for one in found if one is not None]
    if len(rows) < len(found):
        row = next(place for place, one in enumerate(found) if one is None)
        raise InputError(f"{must} Received: {shown(given[row])} at row {row}.")
    has_one = np.array([len(one) > 0 for one in rows], dtype=bool)
    lengths = sorted({len(one) for one in rows} - {0})
    if len(lengths) > 1:
        raise InputError(
            f"{must} Received: lists of {some(map(str, lengths))} numbers. Lists of categories must hold integers."
        )
    result = np.zeros((len(rows), *(lengths or [0])), dtype=np.float32)
    if lengths:
        with np.errstate(over="ignore"):
            result[has_one] = [one for one in rows if len(one)]
    wrong = ~np.isfinite(result).all(axis=1)
    if wrong.any():
        raise InputError(
            f"Column '{column.name}' of {where} has {int(wrong.sum())} vectors with a number that is missing, infinite "
            f"or beyond float32, the first at row {wrong.argmax()}. Fill the number, or leave out the whole vector."
        )
    return result

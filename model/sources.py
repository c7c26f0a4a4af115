"""What `fit`, `predict` and `evaluate` are given, checked: a `Split` of a data set, or a dict of arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from preprocessing.arrays import Arrays
from preprocessing.dataset import Split
from preprocessing.errors import InputError
from preprocessing.feature_columns import Column, id_column

Source = Split | Arrays
Input = Split | Arrays | Mapping[str, np.ndarray]


def as_source(x: Input, y: np.ndarray | None, columns: list[Column]) -> Source:
    """Raises `InputError` where x does not fit the columns, has no rows, or is a `Split` that comes with labels y."""
    if isinstance(x, (Split, Arrays)):
        if y is not None:
            raise InputError("A Split brings its own labels; do not pass y with it.")
        if isinstance(x, Split):
            x.check(columns)
        source = x
    else:
        source = Arrays.check(x, y, columns, id_column(columns))
    if len(source) == 0:
        raise InputError("The input has no rows.")
    return source


def labelled_source(x: Input, y: np.ndarray | None, columns: list[Column]) -> Source:
    """As `as_source`, for training and evaluation."""
    if y is None and not isinstance(x, (Split, Arrays)):
        raise InputError("Labels are missing: pass y beside the dict of arrays.")
    return as_source(x, y, columns)


def validation_source(validation_data: Split | tuple | None, columns: list[Column]) -> Source | None:
    """validation_data: a `Split`, a tuple (x, y) as in deepctr-torch, or None."""
    if isinstance(validation_data, (tuple, list)):
        if len(validation_data) != 2:
            raise InputError(
                f"validation_data must be a Split or a tuple (x, y). Received {len(validation_data)} entries."
            )
        return labelled_source(*validation_data, columns)
    return None if validation_data is None else labelled_source(validation_data, None, columns)


def set_apart(source: Source, share: float, seed: int) -> tuple[Source, Source]:
    """-> the rows to train on, and the share to validate on.

    At random: the published scripts take the tail of rows sorted by movie, which has only unseen movies.
    """
    if not 0 < share < 1:
        raise InputError(f"validation_split must lie between 0 and 1. Received: {share}.")
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))
    size = int(len(source) * share)
    if size == 0:
        raise InputError(f"validation_split={share} of {len(source)} rows leaves no validation row.")
    return source.take(order[size:].sort().values), source.take(order[:size].sort().values)

"""What `fit`, `predict` and `evaluate` are given, checked: a `Split`, arrays by name or in order, or a frame of raw
values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from foundation.errors import InputError
from foundation.feature_columns import Column, id_column
from foundation.values import is_number, shown
from preprocessing.arrays import Arrays
from preprocessing.data_encoding import DataEncoding
from preprocessing.dataset import Dataset, Split
from preprocessing.known import arrays_for
from training.protocols import BatchSource

Input: TypeAlias = Split | Arrays | Mapping[str, np.ndarray] | Sequence[np.ndarray] | pd.DataFrame


def as_source(
    x: Input,
    y: np.ndarray | None,
    columns: list[Column],
    encoding: DataEncoding | None,
    weights: np.ndarray | None = None,
    *,
    labelled: bool = True,
) -> BatchSource:
    """encoding: that the model was trained with, None if it is not known; arrays are taken to be encoded by it.
    weights: (n,) how much each row counts. labelled: whether the rows need labels, as for training and evaluation.

    Raises `InputError` where labels are missing, x does not fit the columns or is encoded otherwise, has no rows, is a
    `Split` that comes with labels y or weights, or a frame of raw values for a model without encoding.
    """
    if isinstance(x, Dataset):
        raise InputError("A Dataset holds the rows of all its splits. Give one of them: data.train or data.test.")
    if labelled and y is None and not isinstance(x, (Split, Arrays)):
        raise InputError("Labels are missing: pass y beside the features.")
    if isinstance(x, (Split, Arrays)):
        if y is not None:
            raise InputError("A Split brings its own labels; do not pass y with it.")
        if weights is not None:
            raise InputError(
                "The rows of a Split count alike. To weigh rows, pass arrays or a frame instead of a Split."
            )
        if isinstance(x, Split):
            if encoding is not None:
                names = [column.name for column in columns]
                encoding.require_same(x.dataset.encoding, names, f"Data set '{x.dataset.name}'")
            x.check(columns)
        source: BatchSource = x
    elif isinstance(x, pd.DataFrame):
        if encoding is None:
            raise InputError(
                "A frame holds raw values, and this model does not know how they are encoded: it was trained on arrays "
                "of ids. Pass a dict of arrays."
            )
        source = Arrays.check(arrays_for(encoding, x, columns), y, columns, id_column(columns), weights)
    else:
        source = Arrays.check(x, y, columns, id_column(columns), weights)
    if len(source) == 0:
        raise InputError("The input has no rows.")
    return source


def validation_source(
    validation_data: Split | Sequence[Any] | None, columns: list[Column], encoding: DataEncoding | None
) -> BatchSource | None:
    """validation_data: a `Split`, a tuple (x, y) or (x, y, weights), or None."""
    if isinstance(validation_data, (tuple, list)):
        if len(validation_data) not in (2, 3):
            raise InputError(
                "validation_data must be a Split or a tuple (x, y) or (x, y, weights). Received "
                f"{len(validation_data)} entries."
            )
        x, y, *weights = validation_data
        return as_source(x, y, columns, encoding, *weights)
    return None if validation_data is None else as_source(validation_data, None, columns, encoding)


def encoding_of(source: BatchSource) -> DataEncoding | None:
    """None for arrays, whose ids someone else has made."""
    return source.dataset.encoding if isinstance(source, Split) else None


def set_apart(source: BatchSource, share: float, seed: int) -> tuple[BatchSource, BatchSource]:
    """-> the rows to train on, and the share to validate on.

    At random: the published scripts take the tail of rows sorted by movie, which has only unseen movies. deepctr-torch
    takes the tail, too.
    """
    if not is_number(share) or not 0 < share < 1:
        raise InputError(f"validation_split must lie between 0 and 1. Received: {shown(share)}.")
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))
    size = int(len(source) * share)
    if size == 0:
        raise InputError(f"validation_split={share} of {len(source)} rows leaves no validation row.")
    return source.take(order[size:].sort().values), source.take(order[:size].sort().values)

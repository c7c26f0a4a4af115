"""Unknown ids in training: what teaches a model what to do with a user or an item that it has never seen."""

from __future__ import annotations

import torch

from foundation.deepctr import SparseFeat
from foundation.feature_columns import Column
from foundation.features import Features, values_of
from preprocessing.encoding import UNKNOWN


def sparse_names(columns: list[Column]) -> list[str]:
    """The features of one id a row."""
    return [column.name for column in columns if isinstance(column, SparseFeat)]


def with_unknown_ids(features: Features, names: list[str], rate: float) -> Features:
    """The features with each id of `names` replaced by `UNKNOWN` with probability `rate`; lists and dense ones stay.

    A feature that several parts of a model read is replaced for all of them, as it would be where it is unknown.

    >>> ids = {"user": torch.tensor([4, 5]), "income": torch.tensor([0.1, 0.2])}
    >>> with_unknown_ids(ids, ["user"], rate=1.0)
    {'user': tensor([0, 0]), 'income': tensor([0.1000, 0.2000])}
    """
    if not names:
        return features
    ids = [values_of(features, name) for name in names]  # each (B,)
    chosen = torch.rand(len(ids), len(ids[0]), device=ids[0].device) < rate  # (F, B)
    replaced = (part.masked_fill(rows, UNKNOWN) for part, rows in zip(ids, chosen, strict=True))
    return {**features, **dict(zip(names, replaced, strict=True))}

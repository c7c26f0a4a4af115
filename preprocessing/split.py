"""`Split`: some rows of a `Dataset`, as the source of batches that `fit`, `predict` and `evaluate` read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from foundation.errors import InputError
from foundation.feature_columns import Column, kind_of
from foundation.features import Bags, Features
from foundation.shown import visible
from preprocessing.description import share

if TYPE_CHECKING:
    from preprocessing.dataset import Dataset


@dataclass(frozen=True)
class Split:
    """Some rows of a `Dataset`, numbered from 0: what `fit`, `predict` and `evaluate` read.

    rows: (n,) int64, row numbers in the data set.
    """

    dataset: Dataset
    rows: Tensor

    weights = None  # its rows count alike, those of `preprocessing.arrays.Arrays` may not

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        positive = share(self.labels.cpu().numpy())
        name = visible(self.dataset.name)
        return f"Split of {name}, {self.dataset.protocol.name}: {len(self):,} rows, {positive} positive"

    @property
    def labels(self) -> Tensor:
        """(n,) float32."""
        return self.dataset.label[self.rows]

    @property
    def users(self) -> Tensor:
        """(n,) int32: whose impression a row is, for GAUC."""
        return self.dataset.user[self.rows]

    @property
    def pairs(self) -> tuple[Tensor, Tensor] | None:
        """(n,) int32 each: user and item of training rows that are positives alone; None for rows of both labels."""
        data = self.dataset
        alone = data.raw.negatives is not None and data.raw.negatives.in_batch and bool(self.labels.all())
        return (data.user[self.rows], data.item[self.rows]) if alone else None

    @property
    def origin(self) -> str:
        """What its rows are of, for a comparison between processes."""
        data = self.dataset
        rows = hashlib.sha256(self.rows.cpu().numpy().tobytes()).hexdigest()[:12]
        return f"rows {rows} of {data.raw.fingerprint[:12]}, protocol {data.protocol.name}, seed {data.seed}"

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        """rows: (B,) int64, numbers within this split."""
        return self.dataset.batch(self.rows[rows], names)

    def distinct(self, names: list[str]) -> tuple[Tensor, Tensor]:
        """Groups rows that agree in these features, so that a tower runs once a group.

        Returns (first, group): first: (G,) int64, a row of each group; group: (n,) int64, the group of each row.
        """
        data = self.dataset
        keys: dict[str, Tensor] = {}  # an entity's features are all decided by its row
        for name in names:
            if name in data.users:
                keys["user"] = data.user
            elif name in data.items:
                keys["item"] = data.item
            elif name in data.per_row.lists:
                keys |= {f"{name}.start": data.per_row.lists[name].start, f"{name}.end": data.per_row.lists[name].end}
            else:
                keys[f"{name}.value"] = data.per_row.values[name]
        return group_rows([key[self.rows] for key in keys.values()])

    def take(self, rows: Tensor) -> Split:
        """Only these rows, in this order. rows: numbers within this split."""
        return Split(self.dataset, self.rows[rows])

    def check(self, columns: list[Column]) -> None:
        """Raises `InputError` if a column names a feature that the data lacks, or has another kind or fewer ids."""
        for column in columns:
            values = self.dataset.batch(self.rows[:1], [column.name])[column.name]
            kind = "list" if isinstance(values, Bags) else "dense" if values.is_floating_point() else "sparse"
            length = self.dataset.encoding.vectors.get(column.name, 1)
            if kind != kind_of(column) or getattr(column, "dimension", 1) != length:
                what = f"{kind} feature" if length == 1 else f"vector of {length} numbers"
                raise InputError(
                    f"Feature '{column.name}' of '{self.dataset.name}' is a {what}. "
                    f"Received: {column}. Make the columns with dataset.feature_columns()."
                )
            vocabulary = self.dataset.encoding.vocabulary_of(column.name)
            size = getattr(column, "vocabulary_size", None)
            if vocabulary is not None and size is not None and size < len(vocabulary):
                raise InputError(
                    f"Column '{column.name}' has vocabulary_size={size}, but its ids in '{self.dataset.name}' go up to "
                    f"{len(vocabulary) - 1}. Make the columns with dataset.feature_columns(), or give at least "
                    f"{len(vocabulary)}."
                )

    def to(self, device: torch.device | str) -> Split:
        return Split(self.dataset.to(device), self.rows.to(device))


def group_rows(keys: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Groups rows whose keys are all equal.

    keys: each (n,). Returns (first, group) as in `Split.distinct`; groups are numbered by first appearance.

    >>> first, group = group_rows([torch.tensor([7, 7, 3, 7]), torch.tensor([0, 1, 0, 0])])
    >>> first.tolist(), group.tolist()
    ([0, 1, 2], [0, 1, 2, 0])
    """
    group, _ = pd.factorize(keys[0].cpu().numpy())
    for key in keys[1:]:
        code, distinct = pd.factorize(key.cpu().numpy())
        group, _ = pd.factorize(group.astype(np.int64) * len(distinct) + code)
    # Groups are numbered by first appearance: a new one is where the numbers reach a new maximum.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(group), prepend=-1))
    return torch.from_numpy(first), torch.from_numpy(group.astype(np.int64, copy=False))

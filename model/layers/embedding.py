"""Lookup of sparse and list features, and the dense features beside them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column, check_columns
from foundation.features import Features, values_of
from kernels.bag_pooling import pool_lists
from kernels.lookup import lookup


class EmbeddedColumns(nn.Module):
    """Feature columns by kind. Raises `InputError` if they contradict each other."""

    def __init__(self, columns: Sequence[Column]):
        super().__init__()
        check_columns(columns)
        self.sparse = [column for column in columns if isinstance(column, SparseFeat)]
        self.lists = [column for column in columns if isinstance(column, VarLenSparseFeat)]
        self.dense = [column for column in columns if isinstance(column, DenseFeat)]
        self.fields: list[SparseFeat | VarLenSparseFeat] = [*self.sparse, *self.lists]  # in the order of F

    @property
    def num_fields(self) -> int:
        """F: sparse and list fields."""
        return len(self.fields)

    @property
    def dense_size(self) -> int:
        """Sum of the dense features' dimensions."""
        return sum(column.dimension for column in self.dense)


class FeatureEmbedding(EmbeddedColumns):
    """Feature columns -> one D-dimensional vector a field, and the dense features joined.

    All tables stand in one parameter `weight` of shape (sum of vocabulary sizes, D), so that the F sparse fields of a
    batch are one lookup and the optimiser has one tensor to update. `table(name)` is a view of one of them. Columns
    that share an `embedding_name` share a table.

    dim: overrides the columns' embedding_dim (1 for the weights of a linear model).
    Raises `InputError` if the columns contradict each other or have different embedding sizes, for which there is
    `MixedEmbedding`.
    """

    starts: Tensor  # (sparse fields,) int32: the row of `weight` where each field's table begins

    def __init__(self, columns: Sequence[Column], init_std: float = 1e-4, dim: int | None = None):
        super().__init__(columns)
        if not 0 <= init_std < float("inf"):
            raise InputError(f"init_std must be a number of at least 0. Received: {init_std}.")
        for column in self.lists:
            if column.combiner not in ("mean", "sum", "max"):
                raise InputError(f"Column '{column.name}' has combiner '{column.combiner}'. Known: mean, sum, max.")
        sizes = {column.embedding_dim for column in self.fields} or {0}  # 0 without fields
        if dim is None and len(sizes) > 1:
            raise InputError(f"All sparse columns of a table must share one embedding_dim. Received: {sorted(sizes)}.")
        self.dim = sizes.pop() if dim is None else dim
        self.start: dict[str, int] = {}
        self.vocabulary_size: dict[str, int] = {}
        rows = 0
        for field in self.fields:
            if field.embedding_name not in self.start:
                self.start[field.embedding_name] = rows
                self.vocabulary_size[field.embedding_name] = field.vocabulary_size
                rows += field.vocabulary_size
        self.weight = nn.Parameter(torch.empty(rows, self.dim).normal_(std=init_std), requires_grad=bool(rows > 0))
        starts = torch.tensor([self.start[column.embedding_name] for column in self.sparse], dtype=torch.int32)
        self.register_buffer("starts", starts, persistent=False)
        self.row_gradients = False  # whether the gradient is sparse, for updates row by row (`set_row_gradients`)

    @property
    def output_size(self) -> int:
        """Length of the flattened fields and the dense features together: the input of a tower."""
        return self.num_fields * self.dim + self.dense_size

    def table(self, name: str) -> Tensor:
        """(vocabulary_size, D), a view of the table with this `embedding_name`."""
        return self.weight[self.start[name] : self.start[name] + self.vocabulary_size[name]]

    def forward(self, features: Features) -> tuple[Tensor, Tensor]:
        """name -> (B,) ids, (B, maxlen) padded ids, `Bags` or dense values -> fields (B, F, D) and dense (B, dense)."""
        parts = []
        by_row = self.row_gradients and torch.is_grad_enabled()
        if self.sparse:
            ids = torch.stack([values_of(features, column.name) for column in self.sparse], dim=1)  # (B, sparse fields)
            parts.append(lookup(self.weight, ids + self.starts, by_row))  # (B, sparse fields, D)
        for column in self.lists:
            start = self.start[column.embedding_name]
            pooled = pool_lists(features[column.name], self.weight, start, column.combiner, by_row)
            parts.append(pooled.unsqueeze(1))
        if not parts:
            parts.append(self.weight.new_empty(len(next(iter(features.values()))), 0, self.dim))
        fields = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)  # (B, F, D)
        return fields, dense_features(self.dense, features, fields)


def dense_features(columns: Sequence[DenseFeat], features: Features, fields: Tensor) -> Tensor:
    """-> (B, dense), beside fields (B, ...)"""
    rows = fields.shape[0]  # not len(fields), which an exported program takes for a constant
    if not columns:
        return fields.new_empty(rows, 0)
    return torch.cat([values_of(features, column.name).reshape(rows, -1) for column in columns], dim=1)


def flatten(*parts: Tensor) -> Tensor:
    """Fields (B, F, D), dense features (B, dense), ... -> all numbers of a row side by side, (B, F * D + dense + ...)

    No copy where only one of them has numbers.
    """
    flat = [part.flatten(1) for part in parts]
    filled = [part for part in flat if part.shape[1]]
    return filled[0] if len(filled) == 1 else torch.cat(filled or flat, dim=1)

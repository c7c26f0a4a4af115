"""Lookup of fields that have several embedding sizes, for models that read them as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foundation.deepctr import DenseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Features
from model.layers.embedding import EmbeddedColumns, FeatureEmbedding, dense_features


class MixedEmbedding(EmbeddedColumns):
    """A `FeatureEmbedding` for each embedding size. Fields are joined sparse ones first, then lists, as there.

    Fields of different sizes have no third dimension (B, F, D), so that they come as (B, sum of sizes).
    """

    def __init__(self, columns: list[Column], init_std: float = 1e-4):
        super().__init__(columns)
        sizes = list(dict.fromkeys(column.embedding_dim for column in self.fields))
        groups = [[column for column in self.fields if column.embedding_dim == size] for size in sizes]
        self.groups = nn.ModuleList(FeatureEmbedding(group, init_std) for group in groups)
        # Of each field: its size's group, and its place there.
        chosen = [(sizes.index(column.embedding_dim), column) for column in self.fields]
        self.places = [(group, groups[group].index(column)) for group, column in chosen]

    @property
    def output_size(self) -> int:
        """Length of the fields and the dense features together: the input of a tower."""
        return sum(column.embedding_dim for column in self.fields) + self.dense_size

    def table(self, name: str) -> Tensor:
        """(vocabulary_size, D), a view of the table with this `embedding_name`."""
        groups = (group for group in self.groups if isinstance(group, FeatureEmbedding))
        return next(group.table(name) for group in groups if name in group.start)

    def forward(self, features: Features) -> tuple[Tensor, Tensor]:
        """As `FeatureEmbedding` -> fields (B, sum of sizes) and dense (B, dense)."""
        fields = [group(features)[0] for group in self.groups]  # each (B, F of its size, D)
        joined = torch.cat([fields[group][:, place] for group, place in self.places], dim=1)
        return joined, dense_features(self.dense, features, joined)


def embedding_of(columns: list[Column], init_std: float) -> FeatureEmbedding | MixedEmbedding:
    """For models that flatten the fields: one table where the sizes agree, else several."""
    return (MixedEmbedding if len(_sizes(columns)) > 1 else FeatureEmbedding)(columns, init_std)


def check_one_size(columns: list[Column], name: str) -> None:
    """Raises `InputError` for columns of several embedding sizes. name: of the model that cannot have them."""
    sizes = _sizes(columns)
    if len(sizes) > 1:
        received = "; ".join(f"{size} of {', '.join(names)}" for size, names in sorted(sizes.items()))
        raise InputError(
            f"{name} computes with fields of one size: all its sparse and list columns, of a two-tower model those of "
            f"a side, must share one embedding_dim. Received: {received}. Give them one, or use WideDeep, DCN, DSSM, "
            "DAT, or DeepFM with use_fm=False, which take several."
        )


def _sizes(columns: list[Column]) -> dict[int, list[str]]:
    """Embedding size -> names of the columns that have it."""
    sizes: dict[int, list[str]] = {}
    for column in columns:
        if not isinstance(column, DenseFeat):
            sizes.setdefault(column.embedding_dim, []).append(column.name)
    return sizes

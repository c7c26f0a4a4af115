"""IntTower as the published release computes it, on deepctr-torch's `BaseModel` and its `fit`, to compare with.

Kept from the release: one lookup a feature out of a float matrix, the FE-Block on each layer's input, dropout from
torch's generator, click loss summed over the batch, l2 by a pass over every table, per-batch scikit-learn metrics. Left
out: the contrastive term that the release computes and throws away. No line is the release's.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from foundation.deepctr import DenseFeat
from foundation.feature_columns import Column
from model.layers.light_se import LightSE
from preprocessing.utils import fe_score

# After `foundation.deepctr`, which silences deepctr-torch's import.
from deepctr_torch.layers import DNN  # isort: skip
from deepctr_torch.models.basemodel import BaseModel  # isort: skip


class PublishedIntTower(BaseModel):
    """user_columns, item_columns: deepctr-torch columns; `fit` takes a dict of arrays."""

    def __init__(
        self, user_columns: list[Column], item_columns: list[Column], heads: int, field_dim: int, dropout: float
    ):
        super().__init__([], user_columns + item_columns)
        self.sides = nn.ModuleList(
            PublishedTower(columns, self.compute_input_dim(columns), heads * field_dim, dropout)
            for columns in (user_columns, item_columns)
        )
        self.heads, self.field_dim = heads, field_dim

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for side in self.sides:
            sparse, dense = self.input_from_feature_columns(x, side.columns, self.embedding_dict)
            levels.append(side(torch.cat(sparse, dim=1), torch.cat(dense, dim=1)))
        dims = [self.field_dim] * len(levels[0])
        return self.out(fe_score(levels[0], levels[1], self.heads, self.heads, dims, dims).unsqueeze(1))


class PublishedTower(nn.Module):
    """Light-SE, three layers, and a projection of each layer's input into heads."""

    def __init__(self, columns: list[Column], input_size: int, heads_size: int, dropout: float):
        super().__init__()
        self.columns = columns
        self.light_se = LightSE(sum(not isinstance(column, DenseFeat) for column in columns))
        sizes = (input_size, 300, 300, 128)
        self.layers = nn.ModuleList(
            DNN(inputs, (outputs,), use_bn=True, dropout_rate=dropout) for inputs, outputs in pairwise(sizes)
        )
        self.projections = nn.ModuleList(nn.Linear(size, heads_size) for size in sizes[:-1])

    def forward(self, fields: Tensor, dense: Tensor) -> list[Tensor]:
        hidden = torch.cat([self.light_se(fields).flatten(1), dense], dim=1)
        levels = []
        for layer, project in zip(self.layers, self.projections, strict=True):
            levels.append(project(hidden))
            hidden = layer(hidden)
        return levels

"""IntTower as the published release computes it, on deepctr-torch's `BaseModel` and its `fit`, to compare with.

Kept from the release: one lookup a feature out of a float matrix, a projection of each user layer's input and of the
item's last output, dropout from torch's generator, click loss summed over the batch, l2 by a pass over every table,
per-batch scikit-learn metrics. Left out: the contrastive term that the release computes and throws away, and SENET
layers that it makes and does not use. No line is the release's.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from foundation.deepctr import DenseFeat
from foundation.feature_columns import Column
from layers.interaction import LightSE

# After `foundation.deepctr`, which silences deepctr-torch's import.
from deepctr_torch.layers import DNN  # isort: skip
from deepctr_torch.models.basemodel import BaseModel  # isort: skip

HIDDEN = (300, 300, 128)


class PublishedIntTower(BaseModel):
    """user_columns, item_columns: deepctr-torch columns; `fit` takes a dict of arrays."""

    def __init__(
        self, user_columns: list[Column], item_columns: list[Column], heads: int, field_dim: int, dropout: float
    ):
        super().__init__([], user_columns + item_columns)
        self.columns = user_columns, item_columns
        self.light_se = nn.ModuleList(LightSE(number_of_fields(columns)) for columns in self.columns)
        user_size, item_size = (self.compute_input_dim(columns) for columns in self.columns)
        self.user_levels = UserLevels(user_size, heads * field_dim, dropout)
        self.item_tower = DNN(item_size, HIDDEN, use_bn=True, dropout_rate=dropout)
        self.item_projection = nn.Linear(HIDDEN[-1], heads * field_dim)
        self.field_dim = field_dim

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, numbers) -> (B, 1) probabilities."""
        user, item = (self.tower_input(x, side) for side in range(2))
        score = sum_of_max_sim(self.user_levels(user), self.item_projection(self.item_tower(item)), self.field_dim)
        return self.out(score.unsqueeze(1))

    def tower_input(self, x: Tensor, side: int) -> Tensor:
        """(B, numbers) -> (B, F * D + dense): the side's fields behind Light-SE, and its numbers."""
        fields, dense = self.input_from_feature_columns(x, self.columns[side], self.embedding_dict)
        return torch.cat([self.light_se[side](torch.cat(fields, dim=1)).flatten(1), *dense], dim=1)


class UserLevels(nn.Module):
    """Three layers, and a projection of each one's input into heads; the last layer's output is not read."""

    def __init__(self, input_size: int, heads_size: int, dropout: float):
        super().__init__()
        sizes = (input_size, *HIDDEN)
        self.layers = nn.ModuleList(
            DNN(inputs, (outputs,), use_bn=True, dropout_rate=dropout) for inputs, outputs in pairwise(sizes)
        )
        self.projections = nn.ModuleList(nn.Linear(size, heads_size) for size in sizes[:-1])

    def forward(self, hidden: Tensor) -> list[Tensor]:
        """(B, inputs) -> three of (B, H * d)"""
        levels = []
        for layer, project in zip(self.layers, self.projections, strict=True):
            levels.append(project(hidden))
            hidden = layer(hidden)
        return levels


def number_of_fields(columns: list[Column]) -> int:
    return sum(not isinstance(column, DenseFeat) for column in columns)


def sum_of_max_sim(levels: list[Tensor], item: Tensor, field_dim: int) -> Tensor:
    """levels: L of (B, H * d), item (B, H * d) -> (B,): for each level and user head the best item head, summed."""
    items = item.unflatten(1, (-1, field_dim)).transpose(1, 2)  # (B, d, H)
    scores = [(level.unflatten(1, (-1, field_dim)) @ items).amax(2).sum(1) for level in levels]
    return torch.stack(scores, dim=1).sum(1)

"""The linear part of logistic regression and of the wide models."""

from __future__ import annotations

from torch import Tensor, nn

from foundation.feature_columns import Column
from foundation.features import Features
from model.layers.embedding import FeatureEmbedding


class LinearPart(nn.Module):
    """sum over sparse ids of w_id + <w, dense>; 0 without columns. A list feature adds the mean weight of its ids."""

    def __init__(self, columns: list[Column], init_std: float = 1e-4):
        super().__init__()
        self.ids = FeatureEmbedding(columns, init_std, dim=1)
        self.dense = nn.Linear(self.ids.dense_size, 1, bias=False) if self.ids.dense_size else None

    def forward(self, features: Features) -> Tensor:
        """-> (B,)"""
        weights, dense = self.ids(features)  # (B, F, 1), (B, dense)
        logits = weights.sum(dim=(1, 2))
        return logits if self.dense is None else logits + self.dense(dense).squeeze(1)

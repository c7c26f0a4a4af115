"""Logistic regression: one weight for each sparse id and each dense feature."""

from __future__ import annotations

import torch
from torch import nn

from model.base import CTRModel, Output
from model.layers.embedding import FeatureEmbedding
from preprocessing.dataset import Features
from preprocessing.feature_columns import Column


class LR(CTRModel):
    """y = sigmoid(sum over sparse ids of w_id + <w, dense> + bias). A list feature adds the mean weight of its ids."""

    def __init__(self, linear_feature_columns: list[Column], *, init_std: float = 1e-4, **common):
        super().__init__(linear_feature_columns, **common)
        self.linear = FeatureEmbedding(self.columns, init_std, dim=1)
        self.linear_dense = nn.Linear(self.linear.dense_size, 1, bias=False) if self.linear.dense_size else None
        self.bias = nn.Parameter(torch.zeros(()))
        self.to(self.device)

    def output(self, features: Features) -> Output:
        weights, dense = self.linear(features)  # (B, F, 1), (B, dense)
        logits = weights.sum(dim=(1, 2)) + self.bias  # (B,)
        if self.linear_dense is not None:
            logits = logits + self.linear_dense(dense).squeeze(1)
        return Output(logits)

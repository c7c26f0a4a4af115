"""Logistic regression: one weight for each sparse id and each dense feature."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import nn

from foundation.feature_columns import Column
from foundation.features import Features
from model.base import CTRModel, Output
from model.layers.linear_part import LinearPart
from model.signature import LinearArguments


class LR(CTRModel):
    """y = sigmoid(sum over sparse ids of w_id + <w, dense> + bias). A list feature adds the mean weight of its ids."""

    without_effect: ClassVar[dict[str, str]] = {
        "l2_reg_embedding": "which has no embeddings",
        "l2_reg_dnn": "which has no towers",
        "embedding_dim": "which has no embeddings",
    }

    def __init__(
        self, linear_feature_columns: list[Column], *, init_std: float = 1e-4, **common: Unpack[LinearArguments]
    ):
        super().__init__(linear_feature_columns, **common)
        self.linear = LinearPart(self.columns, init_std)
        self.bias = nn.Parameter(torch.zeros(()))
        self.to(self.device)

    def output(self, features: Features) -> Output:
        return Output(self.linear(features) + self.bias)

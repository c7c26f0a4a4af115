"""Wide & Deep Learning for Recommender Systems (Cheng et al., DLRS 2016).

y = sigmoid(linear(x) + <w, tower(x)> + bias)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.base import CTRModel, Output
from model.layers.embedding import FeatureEmbedding, flatten
from model.layers.linear import LinearPart
from model.layers.tower import Tower
from preprocessing.dataset import Features
from preprocessing.feature_columns import Column


class WideDeep(CTRModel):
    """A linear model beside a tower over the embeddings of all features. The other ranking models build on it.

    linear_feature_columns, dnn_feature_columns: of the linear part and of the tower; usually the same list.
    """

    def __init__(
        self,
        linear_feature_columns: list[Column],
        dnn_feature_columns: list[Column],
        *,
        dnn_hidden_units: tuple[int, ...] = (300, 300, 128),
        dnn_dropout: float = 0.0,
        dnn_use_bn: bool = False,
        init_std: float = 1e-4,
        **common,
    ):
        super().__init__([*linear_feature_columns, *dnn_feature_columns], **common)
        self.linear = LinearPart(linear_feature_columns, init_std)
        self.embedding = FeatureEmbedding(dnn_feature_columns, init_std)
        self.tower = Tower(self.embedding.output_size, dnn_hidden_units, dnn_dropout, dnn_use_bn)
        self.head = nn.Linear(dnn_hidden_units[-1], 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(()))
        self.to(self.device)

    def output(self, features: Features) -> Output:
        return Output(self.linear(features) + self.deep(*self.embedding(features)) + self.bias)

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        """Logits of everything but the linear part. fields (B, F, D), dense (B, dense) -> (B,)"""
        return self.head(self.tower(flatten(fields, dense))[-1]).squeeze(1)

"""DSSM, the vanilla two-tower model (Huang et al., CIKM 2013): y = sigmoid(gamma * cos(u, v))."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.base import TwoTower
from model.layers.embedding import FeatureEmbedding, flatten
from model.layers.tower import Tower
from preprocessing.dataset import Features
from preprocessing.errors import InputError
from preprocessing.feature_columns import Column


class DSSM(TwoTower):
    """Two towers that meet in a cosine.

    gamma: scale of the cosine. The published 1 keeps every probability in 0.27..0.73, which is what makes the published
        logloss .456 beside an AUC of .870. "learned" starts at 1 and is trained with the towers.
    """

    def __init__(
        self,
        user_dnn_feature_columns: list[Column],
        item_dnn_feature_columns: list[Column],
        *,
        gamma: float | str = 1.0,
        dnn_hidden_units: tuple[int, ...] = (300, 300, 128),
        dnn_dropout: float = 0.0,
        dnn_use_bn: bool = True,
        init_std: float = 1e-4,
        **common,
    ):
        super().__init__(user_dnn_feature_columns, item_dnn_feature_columns, **common)
        if gamma != "learned" and not (isinstance(gamma, (int, float)) and gamma > 0):
            raise InputError(f"gamma must be a positive number or 'learned'. Received: {gamma!r}.")
        log_gamma = torch.tensor(0.0 if gamma == "learned" else math.log(gamma))
        if gamma == "learned":
            self.log_gamma = nn.Parameter(log_gamma)
        else:
            self.register_buffer("log_gamma", log_gamma, persistent=False)
        self.user_embedding = FeatureEmbedding(self.user_columns, init_std)
        self.item_embedding = FeatureEmbedding(self.item_columns, init_std)
        self.user_tower = Tower(self.user_embedding.output_size, dnn_hidden_units, dnn_dropout, dnn_use_bn)
        self.item_tower = Tower(self.item_embedding.output_size, dnn_hidden_units, dnn_dropout, dnn_use_bn)
        self.to(self.device)

    def encode_user(self, features: Features) -> Tensor:
        """-> (B, d) of length 1"""
        return F.normalize(self.user_tower(flatten(*self.user_embedding(features)))[-1], dim=1)

    def encode_item(self, features: Features) -> Tensor:
        """-> (B, d) of length 1"""
        return F.normalize(self.item_tower(flatten(*self.item_embedding(features)))[-1], dim=1)

    def score_aligned(self, users: Tensor, items: Tensor) -> Tensor:
        return self.log_gamma.exp() * (users * items).sum(dim=1)  # (B,)

    def score(self, users: Tensor, items: Tensor, aligned: bool = False) -> Tensor:
        return self.score_aligned(users, items) if aligned else self.log_gamma.exp() * (users @ items.T)

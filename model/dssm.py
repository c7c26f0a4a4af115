"""DSSM, the vanilla two-tower model (Huang et al., CIKM 2013): y = sigmoid(gamma * cos(u, v) + bias)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from foundation.feature_columns import Column
from foundation.features import Features
from model.base import Output, TwoTower
from model.effects import Idle
from model.interaction import InnerProduct
from model.layers.cosine import over_lengths
from model.layers.side_tower import SideTower
from model.layers.tower import linear_output_effects
from model.signature import TowerArguments


class DSSM(TwoTower):
    """Two towers that meet in a cosine.

    gamma: scale of the cosine. The published 1 leaves the logits a span of 2 around the bias, which is what makes the
        published logloss .456 beside an AUC of .870. "learned" starts at 1 and is trained with the towers.
    dnn_activation: see `Tower`; the last layer has none. Fields may have several embedding sizes.
    relu_output: whether the last layer ends in batch norm, activation and dropout like the others, as released.
    tower_std, tower_bias: how the towers' linear maps start, and whether they have a bias beside batch norm (`Tower`).
    """

    def __init__(
        self,
        user_dnn_feature_columns: list[Column],
        item_dnn_feature_columns: list[Column],
        *,
        gamma: float | str = 1.0,
        dnn_hidden_units: tuple[int, ...] | list[int] = (300, 300, 128),
        dnn_dropout: float = 0.0,
        dnn_use_bn: bool = True,
        dnn_activation: str | type[nn.Module] = "relu",
        relu_output: bool = False,
        tower_std: float | None = None,
        tower_bias: bool = False,
        init_std: float = 1e-4,
        **common: Unpack[TowerArguments],
    ):
        super().__init__(user_dnn_feature_columns, item_dnn_feature_columns, **common)
        tower = (dnn_hidden_units, dnn_dropout, dnn_use_bn, init_std)
        output: dict[str, Any] = {"linear_output": not relu_output, "activation": dnn_activation}
        output |= {"std": tower_std, "bias": tower_bias}
        self.user_side = SideTower(self.user_columns, *tower, **output)
        self.item_side = SideTower(self.item_columns, *tower, **output)
        self.interaction = InnerProduct(gamma)
        self.relu_output = relu_output
        self.to(self.device)

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        return super().without_effect_beside(settings) | linear_output_effects(settings)

    @classmethod
    def takes_several_sizes(cls, settings: Mapping[str, Any]) -> bool:
        return True

    def output(self, features: Features) -> Output:
        if not self.relu_output:
            return super().output(features)
        users, items = self.user_side(features), self.item_side(features)  # (B, d) each
        unit_users, unit_items = (F.normalize(part, dim=1).unsqueeze(1) for part in (users, items))
        logits = self.interaction(over_lengths(users, items).unsqueeze(1), items.unsqueeze(1))
        return Output(logits, vectors=([unit_users], unit_items))

    def encode_user(self, features: Features) -> Tensor:
        """-> (B, 1, d) of length 1"""
        return F.normalize(self.user_side(features), dim=1).unsqueeze(1)

    def encode_item(self, features: Features) -> Tensor:
        """-> (B, 1, d) of length 1"""
        return F.normalize(self.item_side(features), dim=1).unsqueeze(1)

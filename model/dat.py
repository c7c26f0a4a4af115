"""DAT: A Dual Augmented Two-tower Model for Online Large-scale Recommendation (Yu et al., DLP-KDD 2021).

p_u = normalize(tower_u([x_u, a_u])),  p_v = normalize(tower_v([x_v, a_v]))      a_u, a_v: one learned vector an id
y   = sigmoid(gamma * <p_u, p_v> + bias)
L_u = mean ||y a_u + (1 - y) p_v - p_v||^2,  p_v stopped                         the adaptive mimic mechanism
L   = L_ctr + mimic_weight * (L_u + L_v) + l2 * ||Theta||^2
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from foundation.deepctr import SparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Features
from model.base import Output, TwoTower
from model.effects import Idle
from model.interaction import InnerProduct
from model.layers.cosine import over_lengths
from model.layers.side_tower import SideTower
from model.layers.tower import last_size, linear_output_effects
from model.losses import mimic_loss
from model.signature import TowerArguments


class DAT(TwoTower):
    """Two towers that each read a learned vector of their id, trained to mimic what its owner liked on the other side.

    An augmented vector has the size of the towers' last layer, because it mimics one. It is also an input, so the click
    loss trains it as it trains an embedding. The paper's category alignment loss is left out: no data set here labels
    items with one major category.

    mimic_weight: of L_u and L_v. mimic_mean: whether they are means over rows and d numbers, not over rows alone.
    gamma: as in DSSM; 1 is published, "learned" has the better logloss.
    dnn_activation: see `Tower`; the last layer has none. Fields may have several embedding sizes.
    relu_output: whether the last layer ends in batch norm, activation and dropout like the others, as released.
    tower_std, tower_bias: how the towers' linear maps start, and whether they have a bias beside batch norm (`Tower`).
    """

    def __init__(
        self,
        user_dnn_feature_columns: list[Column],
        item_dnn_feature_columns: list[Column],
        *,
        mimic_weight: float = 0.5,
        mimic_mean: bool = False,
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
        if not mimic_weight > 0:
            raise InputError(
                f"mimic_weight must be positive: without the mimic loss this model is DSSM. Received: {mimic_weight}."
            )
        self.mimic_weight, self.mimic_mean, self.relu_output = mimic_weight, mimic_mean, relu_output
        size = last_size(dnn_hidden_units)
        tower = (dnn_hidden_units, dnn_dropout, dnn_use_bn, init_std, size)
        output: dict[str, Any] = {"linear_output": not relu_output, "activation": dnn_activation}
        output |= {"std": tower_std, "bias": tower_bias}
        self.user_side = SideTower(self.user_columns, *tower, **output)
        self.item_side = SideTower(self.item_columns, *tower, **output)
        self.user_augmented_embedding = _table(self.user_columns, self.user_id, size, init_std)
        self.item_augmented_embedding = _table(self.item_columns, self.item_id, size, init_std)
        self.interaction = InnerProduct(gamma)
        self.to(self.device)

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        return super().without_effect_beside(settings) | linear_output_effects(settings)

    @classmethod
    def takes_several_sizes(cls, settings: Mapping[str, Any]) -> bool:
        return True

    def encode_user(self, features: Features) -> Tensor:
        """-> p_u (B, 1, d) of length 1"""
        return F.normalize(self._user(features)[0], dim=1).unsqueeze(1)

    def encode_item(self, features: Features) -> Tensor:
        """-> p_v (B, 1, d) of length 1"""
        return F.normalize(self._item(features)[0], dim=1).unsqueeze(1)

    def output(self, features: Features) -> Output:
        (users, user_mimic), (items, item_mimic) = self._user(features), self._item(features)
        unit_users, unit_items = F.normalize(users, dim=1), F.normalize(items, dim=1)
        latent = {"user": unit_users, "item": unit_items, "user_mimic": user_mimic, "item_mimic": item_mimic}
        pair = (over_lengths(users, items), items) if self.relu_output else (unit_users, unit_items)
        vectors = [unit_users.unsqueeze(1)], unit_items.unsqueeze(1)
        return Output(self.interaction(*(part.unsqueeze(1) for part in pair)), latent, vectors=vectors)

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        losses = super().losses(features, labels, output)
        latent = {name: value.float() for name, value in output.latent.items()}
        user = mimic_loss(latent["user_mimic"], latent["item"], labels, self.mimic_mean)
        item = mimic_loss(latent["item_mimic"], latent["user"], labels, self.mimic_mean)
        losses["mimic"] = self.mimic_weight * (user + item)
        return losses

    def _user(self, features: Features) -> tuple[Tensor, Tensor]:
        """-> the tower's output and a_u, each (B, d)"""
        augmented = self.user_augmented_embedding(features[self.user_id])
        return self.user_side(features, augmented), augmented

    def _item(self, features: Features) -> tuple[Tensor, Tensor]:
        """-> the tower's output and a_v, each (B, d)"""
        augmented = self.item_augmented_embedding(features[self.item_id])
        return self.item_side(features, augmented), augmented


def _table(columns: list[Column], name: str, size: int, init_std: float) -> nn.Embedding:
    """One vector for each id of a side's id feature."""
    column = next(column for column in columns if isinstance(column, SparseFeat) and column.name == name)
    table = nn.Embedding(column.vocabulary_size, size)
    nn.init.normal_(table.weight, std=init_std)
    return table

"""IntTower: the Next Generation of Two-Tower Model for Pre-Ranking System (Li et al., CIKM 2022, arXiv 2210.09890).

V   = E + softmax(W mean(E) + b) * E                  Light-SE in each tower, section 3.2
s^i = sum_p max_q <M_u^i[p], M_v[q]>                   FE-Block, one score for each user layer, section 3.3
y   = sigmoid(sum_i s^i + bias)
L   = L_ctr + cir_weight * L_cir + l2 * ||Theta||^2    CIR, section 3.4
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from foundation.errors import InputError, one_of
from foundation.feature_columns import Column
from foundation.features import Features, values_of
from model.base import Output, TwoTower
from model.effects import Idle
from model.interaction import NO_COSINE, SumOfMaxima
from model.layers.embedding import FeatureEmbedding, flatten
from model.layers.fe_block import FEBlock
from model.layers.light_se import LightSE
from model.layers.tower import Tower, bias_effects
from model.losses import cir_loss
from model.signature import TowerArguments


class IntTower(TwoTower):
    """Two towers whose layers meet in an FE-Block.

    user_head, item_head, field_dim: H_u, H_v and d of the FE-Block.
    light_se, light_se_bias: whether Light-SE weighs the fields before the towers, and whether with its bias b.
    fe_score: "all" levels, or the "last" alone, which is faster online.
    fe_input: what the FE-Block projects of the user's layers: "post" each one's output, as the paper has it; "pre" its
        input, as the published code does. Of the item it is the last layer's output in both.
    fe_bias, fe_sum: whether the projections have biases, and whether maxima are summed undivided (`FEBlock`).
    cir_weight, cir_temperature: lambda_1 and tau; 0 switches CIR off.
    gamma: 1 alone, which the published code takes and does not use. dnn_activation: see `Tower`.
    tower_std, tower_bias: how the towers' linear maps start, and whether they have a bias beside batch norm (`Tower`).
    user_filed_size, item_filed_size: number of fields, checked against the columns; the published scripts pass them.
    """

    def __init__(
        self,
        user_dnn_feature_columns: list[Column],
        item_dnn_feature_columns: list[Column],
        *,
        field_dim: int = 64,
        user_head: int = 4,
        item_head: int = 4,
        dnn_hidden_units: tuple[int, ...] | list[int] = (300, 300, 128),
        dnn_dropout: float = 0.0,
        dnn_use_bn: bool = True,
        dnn_activation: str | type[nn.Module] = "relu",
        tower_std: float | None = None,
        tower_bias: bool = False,
        gamma: float | str = 1.0,
        light_se: bool = True,
        light_se_bias: bool = True,
        fe_score: str = "all",
        fe_input: str = "post",
        fe_bias: bool = False,
        fe_sum: bool = False,
        cir_weight: float = 0.0,
        cir_temperature: float = 0.1,
        init_std: float = 1e-4,
        user_filed_size: int | None = None,
        item_filed_size: int | None = None,
        **common: Unpack[TowerArguments],
    ):
        super().__init__(user_dnn_feature_columns, item_dnn_feature_columns, **common)
        one_of("fe_score", fe_score, ("all", "last"))
        one_of("fe_input", fe_input, ("post", "pre"))
        if cir_weight < 0 or cir_temperature <= 0:
            raise InputError(
                "CIR needs cir_weight >= 0 and cir_temperature > 0. "
                f"Received: cir_weight={cir_weight}, cir_temperature={cir_temperature}."
            )
        self.cir_weight, self.cir_temperature = cir_weight, cir_temperature
        self.user_embedding = FeatureEmbedding(self.user_columns, init_std)
        self.item_embedding = FeatureEmbedding(self.item_columns, init_std)
        _check_field_size("user_filed_size", user_filed_size, self.user_embedding.num_fields)
        _check_field_size("item_filed_size", item_filed_size, self.item_embedding.num_fields)
        self.user_light_se = LightSE(self.user_embedding.num_fields, light_se_bias) if light_se else nn.Identity()
        self.item_light_se = LightSE(self.item_embedding.num_fields, light_se_bias) if light_se else nn.Identity()
        tower = (dnn_hidden_units, dnn_dropout, dnn_use_bn)
        maps: dict[str, Any] = {"activation": dnn_activation, "std": tower_std, "bias": tower_bias}
        self.user_tower = Tower(self.user_embedding.output_size, *tower, **maps)
        self.item_tower = Tower(self.item_embedding.output_size, *tower, **maps)
        # A tower returns [input, h^1, ..., h^L]; these slices pick what the FE-Block projects of the user's.
        first = 0 if fe_input == "pre" else 1
        levels = range(first, first + len(dnn_hidden_units))
        self.levels = list(levels) if fe_score == "all" else [levels[-1]]
        self.has_idle_parameters = fe_input == "pre" and not cir_weight  # CIR alone reads the user's last layer then
        self.fe_block = FEBlock(
            [self.user_tower.sizes[level] for level in self.levels],
            self.item_tower.sizes[-1],
            user_head,
            item_head,
            field_dim,
            fe_bias,
            fe_sum,
        )
        if fe_input == "pre":
            # In the file of weights: those of earlier versions, whose items went in as the last layer's input, lack it.
            self.register_buffer("item_level", torch.tensor(float(len(dnn_hidden_units))))
        self.interaction = SumOfMaxima(self.fe_block.user_heads, self.fe_block.item_heads, len(self.levels))
        self.to(self.device)

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        idle = super().without_effect_beside(settings) | NO_COSINE | bias_effects(settings)
        if not settings["light_se"]:
            idle["light_se_bias"] = Idle("which has no Light-SE", "set light_se to true")
        if not settings["cir_weight"] and settings["cir_temperature"] > 0:  # else a bad value, which is said first
            idle["cir_temperature"] = Idle("whose cir_weight is 0", "set cir_weight above 0")
        one_level = len(settings["dnn_hidden_units"]) == 1
        if one_level:
            idle["fe_score"] = Idle("whose towers have one level", "give dnn_hidden_units a second layer")
        if settings["user_head"] == 1 and (one_level or settings["fe_score"] == "last"):
            idle["fe_sum"] = Idle("which sums one number", "set user_head above 1")
        return idle

    def encode_user(self, features: Features) -> Tensor:
        """-> M_u^i of the levels in use, one behind the other: (B, levels * H_u, d)"""
        return torch.cat(self._user_levels(self._user_layers(features)), dim=1)

    def encode_item(self, features: Features) -> Tensor:
        """-> M_v (B, H_v, d)"""
        return self._item_vectors(self._item_layers(features))

    def output(self, features: Features) -> Output:
        users, items = self._user_layers(features), self._item_layers(features)
        vectors = self._user_levels(users), self._item_vectors(items)
        return Output(self.interaction.score_levels(*vectors), {"user": users[-1], "item": items[-1]}, vectors=vectors)

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        losses = super().losses(features, labels, output)
        if self.cir_weight:
            users, items = output.latent["user"].float(), output.latent["item"].float()
            ids = values_of(features, self.user_id), values_of(features, self.item_id)
            losses["cir"] = self.cir_weight * cir_loss(users, items, labels, *ids, self.cir_temperature)
        return losses

    def field_weights(self, side: Literal["user", "item"], features: Features) -> dict[str, Tensor]:
        parts = {"user": (self.user_embedding, self.user_light_se), "item": (self.item_embedding, self.item_light_se)}
        embedding, light_se = parts[side]
        if not isinstance(light_se, LightSE):
            return {}
        weights = light_se.weights(embedding(features)[0])  # (B, F)
        return dict(zip([column.name for column in embedding.fields], weights.unbind(1), strict=True))

    def _user_layers(self, features: Features) -> list[Tensor]:
        fields, dense = self.user_embedding(features)
        return self.user_tower(flatten(self.user_light_se(fields), dense))

    def _item_layers(self, features: Features) -> list[Tensor]:
        fields, dense = self.item_embedding(features)
        return self.item_tower(flatten(self.item_light_se(fields), dense))

    def _user_levels(self, layers: list[Tensor]) -> list[Tensor]:
        return self.fe_block.user_levels([layers[level] for level in self.levels])

    def _item_vectors(self, layers: list[Tensor]) -> Tensor:
        return self.fe_block.item_vectors(layers[-1])


def _check_field_size(name: str, given: int | None, actual: int) -> None:
    if given is not None and given != actual:
        raise InputError(f"{name}={given}, but the feature columns have {actual} fields. Leave it out, or correct it.")

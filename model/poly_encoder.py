"""Poly-encoder (Humeau et al., ICLR 2020) for clicks: m views of a user, weighed by the item.

u_i = tower([sum_f softmax_f(<c_i, e_f>) e_f, dense]) / sqrt(d)    m learned codes c_i over the user's field embeddings
w_i = softmax_i(<v, u_i>)                                          the item attends to the m vectors
y   = sigmoid(<sum_i w_i u_i, v> + bias)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from torch import Tensor, nn

from foundation.errors import at_least
from foundation.feature_columns import Column
from foundation.features import Features
from model.base import TwoTower
from model.effects import Idle
from model.interaction import NO_COSINE, CosineOfMixture, SoftmaxOverCodes
from model.layers.attention import CodeAttention
from model.layers.side_tower import SideTower, VectorsTower
from model.layers.tower import bias_effects
from model.signature import TowerArguments


class PolyEncoder(TwoTower):
    """A user tower with m vectors, between which the item chooses.

    num_codes: m.
    cosine: whether the score is the cosine of the mixture and v, as released (`CosineOfMixture`). Such a model ranks
        more slowly, and is neither explained nor exported.
    gamma: 1 alone, by which the published code scales its cosine.
    dnn_activation: see `Tower`.
    tower_std, tower_bias: how the towers' linear maps start, and whether they have a bias beside batch norm (`Tower`).
    """

    def __init__(
        self,
        user_dnn_feature_columns: list[Column],
        item_dnn_feature_columns: list[Column],
        *,
        num_codes: int = 4,
        dnn_hidden_units: tuple[int, ...] | list[int] = (300, 300, 128),
        dnn_dropout: float = 0.0,
        gamma: float | str = 1.0,
        cosine: bool = False,
        dnn_use_bn: bool = True,
        dnn_activation: str | type[nn.Module] = "relu",
        tower_std: float | None = None,
        tower_bias: bool = False,
        init_std: float = 1e-4,
        **common: Unpack[TowerArguments],
    ):
        super().__init__(user_dnn_feature_columns, item_dnn_feature_columns, **common)
        at_least("num_codes", num_codes, 1)
        tower = (dnn_hidden_units, dnn_dropout, dnn_use_bn, init_std)
        maps: dict[str, Any] = {"activation": dnn_activation, "std": tower_std, "bias": tower_bias}
        self.user_side = VectorsTower(self.user_columns, *tower, **maps)
        self.codes = CodeAttention(num_codes, self.user_side.embedding.dim)
        self.item_side = SideTower(self.item_columns, *tower, **maps)
        self.interaction = CosineOfMixture() if cosine else SoftmaxOverCodes()
        self.to(self.device)

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        return super().without_effect_beside(settings) | NO_COSINE | bias_effects(settings)

    def encode_user(self, features: Features) -> Tensor:
        """-> u_i (B, m, d)"""
        return self.user_side(features, self.codes)

    def encode_item(self, features: Features) -> Tensor:
        """-> v (B, 1, d)"""
        return self.item_side(features).unsqueeze(1)

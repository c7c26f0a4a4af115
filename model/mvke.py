"""MVKE: Mixture of Virtual-Kernel Experts for Multi-Objective User Profile Modeling (Xu et al., KDD 2022), one task.

u_k = tower([sum_f softmax_f(<W_Q c_k, W_K e_f> / sqrt(D)) W_V e_f, dense]) / sqrt(d)    c_k attends to the fields
g_k = softmax_k(<v, c_k>)                                        gate: how much item v asks for expert k
y   = sigmoid(<sum_k g_k u_k, v> + bias)
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
from model.interaction import NO_COSINE, CosineOfMixture, GatedKernels
from model.layers.attention import KernelAttention
from model.layers.side_tower import SideTower, VectorsTower
from model.layers.tower import bias_effects
from model.signature import TowerArguments


class MVKE(TwoTower):
    """A user tower with K experts, mixed by the item.

    Experts differ by their kernel; the maps W and the tower are shared among them. A user is represented by all K
    experts, and the mixture is made when an item comes, so that both sides can be encoded ahead of time.

    num_kernels: K.
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
        num_kernels: int = 4,
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
        at_least("num_kernels", num_kernels, 1)
        tower = (dnn_hidden_units, dnn_dropout, dnn_use_bn, init_std)
        maps: dict[str, Any] = {"activation": dnn_activation, "std": tower_std, "bias": tower_bias}
        self.user_side = VectorsTower(self.user_columns, *tower, **maps)
        self.attention = KernelAttention(num_kernels, dnn_hidden_units[-1], self.user_side.embedding.dim)
        self.item_side = SideTower(self.item_columns, *tower, **maps)
        self.interaction = CosineOfMixture(self.attention) if cosine else GatedKernels(self.attention)
        self.to(self.device)

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        return super().without_effect_beside(settings) | NO_COSINE | bias_effects(settings)

    def encode_user(self, features: Features) -> Tensor:
        """-> all experts u_k (B, K, d)"""
        return self.user_side(features, self.attention)

    def encode_item(self, features: Features) -> Tensor:
        """-> v (B, 1, d)"""
        return self.item_side(features).unsqueeze(1)

"""HIT, formerly TIM: A Hierarchical Interaction-Enhanced Two-Tower Model for Pre-Ranking Systems (arXiv 2505.19849).

g_u^+, g_u^- = generators(detach(E_u,static))                  early interaction, mirrored on the item side
h_u = tower_u([x_u, detach(g_u^+), detach(g_u^-)])
r_u = reshape(P h_u),  r_v = reshape(Q h_v)                    multi-head representers: H heads of size d
y   = sigmoid(sum_p max_q <r_u[p], r_v[q]> + bias)             late interaction, as IntTower's on the last layer
L_gen = mean over y=1 of [dist(g_u^+, r_v) + dist(g_v^+, r_u)] + mean over y=0 of [dist(g_u^-, r_v) + dist(g_v^-, r_u)]
L   = L_ctr + alpha * L_gen + l2 * ||Theta||^2                 r stopped in L_gen; dist = 1 - cos
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from foundation.errors import InputError, one_of
from foundation.feature_columns import Column
from foundation.features import Features
from model.base import Output, TwoTower
from model.effects import Idle
from model.interaction import NO_COSINE, SumOfMaxima
from model.layers.fe_block import FEBlock
from model.layers.generator import Generators
from model.layers.side_tower import SideTower
from model.layers.tower import bias_effects, last_size
from model.losses import DISTANCES, generation_loss
from model.signature import TowerArguments
from published.hit_tower import hit_arguments


class HIT(TwoTower):
    """Two towers that read mimics of each other and meet head by head.

    num_heads, field_dim: H and d of both representers.
    user_static, item_static: names of the features that the generators read; default: all sparse ones of the side.
    use_target, use_non_target: whether there are the generators that learn from clicks, and from their absence.
    generation_loss: distance of mimic and original: cosine, euclidean, manhattan, mae, mse; "none", an ablation in
        which the generators keep their random weights, frozen, and still feed the towers; "released", the release's
        (`generation_loss` in `model/losses.py`).
    alpha: weight of the generation loss.
    generator_relu: whether generators end in a ReLU, as released.
    fe_bias, fe_sum: whether the projections have biases, and whether maxima are summed undivided (`FEBlock`).
    gamma: 1 alone, which the published code takes and does not use. dnn_activation: see `Tower`.
    tower_std, tower_bias: how the linear maps of towers and generators start, and whether those of the towers have a
        bias beside batch norm (`Tower`).
    """

    def __init__(
        self,
        user_dnn_feature_columns: list[Column],
        item_dnn_feature_columns: list[Column],
        *,
        num_heads: int = 2,
        field_dim: int = 16,
        user_static: tuple[str, ...] | None = None,
        item_static: tuple[str, ...] | None = None,
        use_target: bool = True,
        use_non_target: bool = True,
        generation_loss: str = "cosine",
        alpha: float = 0.1,
        generator_relu: bool = False,
        fe_bias: bool = False,
        fe_sum: bool = False,
        dnn_hidden_units: tuple[int, ...] | list[int] = (300, 300, 32),
        dnn_dropout: float = 0.0,
        gamma: float | str = 1.0,
        dnn_use_bn: bool = True,
        dnn_activation: str | type[nn.Module] = "relu",
        tower_std: float | None = None,
        tower_bias: bool = False,
        init_std: float = 1e-4,
        **common: Unpack[TowerArguments],
    ):
        super().__init__(user_dnn_feature_columns, item_dnn_feature_columns, **common)
        kinds = [kind for kind, used in (("target", use_target), ("non_target", use_non_target)) if used]
        _check_generation(generation_loss, alpha, bool(kinds))
        self.distance, self.alpha = generation_loss, alpha
        self.generates = bool(kinds) and generation_loss != "none"
        last = last_size(dnn_hidden_units)
        self.fe_block = FEBlock([last], last, num_heads, num_heads, field_dim, fe_bias, fe_sum)
        tower = (dnn_hidden_units, dnn_dropout, dnn_use_bn, init_std, len(kinds) * num_heads * field_dim)
        maps: dict[str, Any] = {"activation": dnn_activation, "std": tower_std, "bias": tower_bias}
        self.user_side = SideTower(self.user_columns, *tower, **maps)
        self.item_side = SideTower(self.item_columns, *tower, **maps)
        size = num_heads * field_dim
        self.user_generators = Generators(self.user_side.embedding, kinds, user_static, size, generator_relu, tower_std)
        self.item_generators = Generators(self.item_side.embedding, kinds, item_static, size, generator_relu, tower_std)
        if not self.generates:
            self.user_generators.requires_grad_(False)
            self.item_generators.requires_grad_(False)
        self.interaction = SumOfMaxima(self.fe_block.user_heads, self.fe_block.item_heads)
        self.to(self.device)

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        idle = super().without_effect_beside(settings) | NO_COSINE | bias_effects(settings)
        if not settings["use_target"] and not settings["use_non_target"]:
            reason = Idle("which has no generators", "set use_target or use_non_target to true")
            idle |= dict.fromkeys(("alpha", "generation_loss", "generator_relu", "user_static", "item_static"), reason)
        elif settings["generation_loss"] == "none":
            idle["alpha"] = Idle("whose generation_loss is none", "choose a distance")
        if settings["num_heads"] == 1:
            idle["fe_sum"] = Idle("which sums one number", "set num_heads above 1")
        for name, off in (("alpha", 0), ("generation_loss", "none")):
            if settings[name] == off:  # true as it stands
                idle.pop(name, None)
        return idle

    def encode_user(self, features: Features) -> Tensor:
        """-> r_u (B, H, d)"""
        return self._user(features)[0]

    def encode_item(self, features: Features) -> Tensor:
        """-> r_v (B, H, d)"""
        return self._item(features)[0]

    def output(self, features: Features) -> Output:
        (users, user_mimics), (items, item_mimics) = self._user(features), self._item(features)
        latent: dict[str, Any] = {"user": users.flatten(1), "item": items.flatten(1)}
        latent |= {"user_mimics": user_mimics, "item_mimics": item_mimics}
        return Output(self.interaction(users, items), latent, vectors=([users], items))

    def losses(self, features: Features, labels: Tensor, output: Output) -> dict[str, Tensor]:
        losses = super().losses(features, labels, output)
        if self.generates:
            rows = {"target": labels, "non_target": 1.0 - labels}
            pairs = [
                (mimic, output.latent[other], rows[kind])
                for mimics, other in (("user_mimics", "item"), ("item_mimics", "user"))
                for kind, mimic in output.latent[mimics].items()
            ]
            mimics, originals, chosen = (torch.stack(part) for part in zip(*pairs, strict=True))
            terms = generation_loss(mimics.float(), originals.float(), chosen, self.distance)  # (generators,)
            losses["generation"] = self.alpha * terms.sum()
        return losses

    def _user(self, features: Features) -> tuple[Tensor, dict[str, Tensor]]:
        """-> r_u (B, H, d) and the mimics of items, each (B, H * d)"""
        hidden, mimics = _hidden(self.user_side, self.user_generators, features)
        return self.fe_block.user_levels([hidden])[0], mimics

    def _item(self, features: Features) -> tuple[Tensor, dict[str, Tensor]]:
        """-> r_v (B, H, d) and the mimics of users, each (B, H * d)"""
        hidden, mimics = _hidden(self.item_side, self.item_generators, features)
        return self.fe_block.item_vectors(hidden), mimics


def HitTower(
    user_dnn_feature_columns: list[Column],
    item_dnn_feature_columns: list[Column],
    user_input_for_recon: list[Column],
    item_input_for_recon: list[Column],
    **published: Any,
) -> HIT:
    """HIT by the keywords of its release (`published.hit_tower`)."""
    sides = (user_dnn_feature_columns, item_dnn_feature_columns)
    return HIT(*sides, **hit_arguments(*sides, user_input_for_recon, item_input_for_recon, **published))


def _hidden(side: SideTower, generators: Generators, features: Features) -> tuple[Tensor, dict[str, Tensor]]:
    """-> h (B, size of the last layer), and the mimic vectors that the tower read, detached there."""
    fields, dense = side.embedding(features)
    mimics = generators(fields, dense)
    return side.join(fields, dense, *(mimic.detach() for mimic in mimics.values())), mimics


def _check_generation(kind: str, alpha: float, has_generators: bool) -> None:
    one_of("generation_loss", kind, (*DISTANCES, "released", "none"))
    if alpha < 0:
        raise InputError(f"alpha must not be negative. Received: {alpha}.")
    if alpha == 0 and has_generators and kind != "none":
        raise InputError("With alpha=0 the generators would never learn. Use generation_loss='none' to say so.")

"""Wide & Deep Learning for Recommender Systems (Cheng et al., DLRS 2016).

y = sigmoid(linear(x) + <w, tower(x)> + bias)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from foundation.feature_columns import Column
from foundation.features import Features
from model.base import CTRModel, Output
from model.effects import Idle, constructor_defaults
from model.layers.embedding import flatten
from model.layers.linear_part import LinearPart
from model.layers.mixed_embedding import embedding_of
from model.layers.tower import Tower, bias_effects, start_maps
from model.signature import WideArguments


class WideDeep(CTRModel):
    """A linear model beside a tower over the embeddings of all features. The other ranking models build on it.

    deepctr-torch calls it WDL, and has the same options.

    linear_feature_columns, dnn_feature_columns: of the linear part and of the tower; usually the same list. [] leaves a
        part out. Dense columns alone will do, and fields of several embedding sizes.
    dnn_hidden_units: () for no tower. dnn_activation: see `Tower`.
    tower_std, tower_bias: how the linear maps of tower and linear part start, and whether those of the tower have a
        bias beside batch norm (`Tower`).
    """

    def __init__(
        self,
        linear_feature_columns: list[Column],
        dnn_feature_columns: list[Column],
        *,
        dnn_hidden_units: tuple[int, ...] | list[int] = (300, 300, 128),
        dnn_dropout: float = 0.0,
        dnn_use_bn: bool = False,
        dnn_activation: str | type[nn.Module] = "relu",
        tower_std: float | None = None,
        tower_bias: bool = False,
        init_std: float = 1e-4,
        **common: Unpack[WideArguments],
    ):
        super().__init__([*linear_feature_columns, *dnn_feature_columns], **common)
        self.check_sizes(dnn_feature_columns)
        settings = {**constructor_defaults(type(self)), **self.arguments}
        settings |= {"dnn_hidden_units": dnn_hidden_units, "dnn_feature_columns": dnn_feature_columns}
        self.linear = LinearPart(linear_feature_columns, init_std)
        start_maps(self.linear, tower_std)
        self.embedding = embedding_of(dnn_feature_columns if self.reads_fields(settings) else [], init_std)
        self.tower = self.head = None
        if self.has_tower(settings):
            size = self.embedding.output_size
            maps: dict[str, Any] = {"activation": dnn_activation, "std": tower_std, "bias": tower_bias}
            self.tower = Tower(size, dnn_hidden_units, dnn_dropout, dnn_use_bn, **maps)
            self.head = nn.Linear(dnn_hidden_units[-1], 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(()))
        self.to(self.device)

    @classmethod
    def has_tower(cls, settings: Mapping[str, Any]) -> bool:
        """settings: every argument of the constructor; of the command line, which has all columns, without these."""
        return len(settings["dnn_hidden_units"]) > 0 and len(settings.get("dnn_feature_columns", "all")) > 0

    @classmethod
    def reads_fields(cls, settings: Mapping[str, Any]) -> bool:
        """Whether any part reads embeddings. settings: as `has_tower`."""
        return cls.has_tower(settings)

    @classmethod
    def takes_several_sizes(cls, settings: Mapping[str, Any]) -> bool:
        return True

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        idle = super().without_effect_beside(settings) | bias_effects(settings)
        if not cls.has_tower(settings):
            reason = Idle("which has no tower", "give dnn_hidden_units a layer", habit=True)
            idle |= dict.fromkeys(("dnn_dropout", "dnn_use_bn", "dnn_activation", "l2_reg_dnn"), reason)
            idle["tower_bias"] = Idle(reason.why, reason.change)
        if not cls.reads_fields(settings):
            reason = Idle("which has no part that reads embeddings", habit=True)
            idle |= dict.fromkeys(("l2_reg_embedding", "embedding_dim"), reason)
        if not len(settings.get("linear_feature_columns", "all")):
            idle["l2_reg_linear"] = Idle("whose linear part has no columns", "give it some", habit=True)
            if not cls.has_tower(settings):
                idle["tower_std"] = Idle("which has neither a tower nor columns of the linear part")
        return idle

    def output(self, features: Features) -> Output:
        return Output(self.linear(features) + self.deep(*self.embedding(features)) + self.bias)

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        """Logits of everything but the linear part. fields (B, F, D) or flattened, dense (B, dense) -> (B,)"""
        if self.tower is None or self.head is None:
            return fields.new_zeros(fields.shape[0])
        return self.head(self.tower(flatten(fields, dense))[-1]).squeeze(1)

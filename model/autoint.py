"""AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks (Song et al., CIKM 2019).

E_{l+1} = interacting layer(E_l)                          multi-head self-attention over the fields of a row
y       = sigmoid(linear(x) + <w, [E_L, tower(x)]> + bias)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from torch import Tensor, nn

from foundation.errors import InputError
from foundation.feature_columns import Column
from model.effects import Idle
from model.layers.attention import InteractingLayer
from model.layers.embedding import FeatureEmbedding
from model.regularization import owners
from model.signature import WideDeepArguments
from model.wdm import WideDeep


class AutoInt(WideDeep):
    """Wide & Deep with interacting layers beside the tower. Other arguments as `WideDeep`.

    att_layer_num, att_head_num: number of interacting layers, 0 for none beside a tower, and of heads in each; heads
        divide the embedding size, which is one for all fields.
    att_res: whether an interacting layer adds a linear map of its input.
    l2_reg_dnn: of the tower alone, as in deepctr-torch, which has no l2 on the linear part: l2_reg_linear=0.
    """

    def __init__(
        self,
        linear_feature_columns: list[Column],
        dnn_feature_columns: list[Column],
        *,
        att_layer_num: int = 3,
        att_head_num: int = 2,
        att_res: bool = True,
        **common: Unpack[WideDeepArguments],
    ):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        if att_layer_num < 0 or not (att_layer_num or self.tower):
            raise InputError(
                "AutoInt needs an interacting layer or a tower: att_layer_num of at least 1, or dnn_hidden_units of at "
                f"least one layer. Received: att_layer_num={att_layer_num}, {'a' if self.tower else 'no'} tower."
            )
        self.interacting = self.interacting_head = None
        if att_layer_num:
            fields = self.embedding.num_fields
            if not fields:
                raise InputError(
                    "AutoInt's interacting layers relate sparse and list columns. dnn_feature_columns has none. "
                    "Use DCN, or att_layer_num=0."
                )
            assert isinstance(self.embedding, FeatureEmbedding)  # `check_sizes` has seen to it
            dim = self.embedding.dim
            layers = (InteractingLayer(dim, att_head_num, att_res) for _ in range(att_layer_num))
            self.interacting = nn.Sequential(*layers)
            self.interacting_head = nn.Linear(fields * dim, 1, bias=False)
        self.to(self.device)

    @classmethod
    def reads_fields(cls, settings: Mapping[str, Any]) -> bool:
        return settings["att_layer_num"] > 0 or super().reads_fields(settings)

    @classmethod
    def takes_several_sizes(cls, settings: Mapping[str, Any]) -> bool:
        return settings["att_layer_num"] == 0

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        idle = super().without_effect_beside(settings)
        if settings["att_layer_num"] == 0:
            reason = Idle("which has no interacting layers", "set att_layer_num above 0")
            idle |= dict.fromkeys(("att_head_num", "att_res"), reason)
        return idle

    def l2_of(self, parameter_name: str) -> float:
        without = {self.head, self.interacting, self.interacting_head} - {None}
        return 0.0 if without & {*owners(self, parameter_name)} else super().l2_of(parameter_name)

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        logits = super().deep(fields, dense)  # (B,)
        if self.interacting is None or self.interacting_head is None:
            return logits
        interactions = self.interacting(fields).flatten(1)  # (B, F * D)
        return logits + self.interacting_head(interactions).squeeze(1)

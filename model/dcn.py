"""DCN: Deep & Cross Network for Ad Click Predictions (Wang et al., ADKDD 2017), and DCN-M (Wang et al., 2020).

x_{l+1} = x_0 <w_l, x_l> + b_l + x_l        "vector"
x_{l+1} = x_0 * (W_l x_l + b_l) + x_l       "matrix", DCN-M, also called DCN V2
y       = sigmoid(linear(x) + <w, [x_L, tower(x_0)]> + bias)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from torch import Tensor, nn

from foundation.errors import InputError
from foundation.feature_columns import Column
from model.effects import Idle
from model.layers.cross import CrossNetwork
from model.layers.embedding import flatten
from model.regularization import owners
from model.signature import WideDeepArguments
from model.wdm import WideDeep


class DCN(WideDeep):
    """Wide & Deep with a cross network beside the tower. Other arguments as `WideDeep`.

    cross_num: number of cross layers; 0 for none, beside a tower.
    cross_parameterization: "vector" or "matrix".
    l2_reg_cross: l2 weight of w_l or W_l, 1e-5 in deepctr-torch, where the head (w above) has l2_reg_linear. Here it
        has l2_reg_dnn.
    """

    def __init__(
        self,
        linear_feature_columns: list[Column],
        dnn_feature_columns: list[Column],
        *,
        cross_num: int = 2,
        cross_parameterization: str = "vector",
        l2_reg_cross: float = 0.0,
        **common: Unpack[WideDeepArguments],
    ):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        self.set_l2(cross=l2_reg_cross)
        if cross_num < 0 or not (cross_num or self.tower):
            raise InputError(
                "DCN needs a cross layer or a tower: cross_num of at least 1, or dnn_hidden_units of at least one "
                f"layer. Received: cross_num={cross_num}, {'a' if self.tower else 'no'} tower."
            )
        size = self.embedding.output_size
        if not size:
            raise InputError("DCN crosses the features of dnn_feature_columns. Received an empty list.")
        self.cross = self.cross_head = None
        if cross_num:
            self.cross = CrossNetwork(size, cross_num, cross_parameterization)
            self.cross_head = nn.Linear(size, 1, bias=False)
        self.to(self.device)

    @classmethod
    def reads_fields(cls, settings: Mapping[str, Any]) -> bool:
        return settings["cross_num"] > 0 or super().reads_fields(settings)

    @classmethod
    def without_effect_beside(cls, settings: Mapping[str, Any]) -> dict[str, Idle]:
        idle = super().without_effect_beside(settings)
        if settings["cross_num"] == 0:
            reason = Idle("which has no cross layers", "set cross_num above 0")
            idle |= dict.fromkeys(("cross_parameterization", "l2_reg_cross"), reason)
        elif "l2_reg_dnn" in idle:
            del idle["l2_reg_dnn"]  # of the head
        return idle

    def l2_of(self, parameter_name: str) -> float:
        if self.cross is not None and self.cross in owners(self, parameter_name):
            return 0.0 if parameter_name == "cross.bias" else self.l2["cross"]
        return super().l2_of(parameter_name)

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        logits = super().deep(fields, dense)  # (B,)
        if self.cross is None or self.cross_head is None:
            return logits
        crossed = self.cross(flatten(fields, dense))  # (B, F * D + dense)
        return logits + self.cross_head(crossed).squeeze(1)

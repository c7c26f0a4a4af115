"""DCN: Deep & Cross Network for Ad Click Predictions (Wang et al., ADKDD 2017).

x_{l+1} = x_0 <w_l, x_l> + b_l + x_l
y       = sigmoid(linear(x) + <w, [x_L, tower(x_0)]> + bias)
"""

from __future__ import annotations

from torch import Tensor, nn

from model.layers.cross import CrossNetwork
from model.layers.embedding import flatten
from model.wdm import WideDeep
from preprocessing.errors import InputError
from preprocessing.feature_columns import Column


class DCN(WideDeep):
    """Wide & Deep with a cross network beside the tower. Other arguments as `WideDeep`.

    cross_num: number of cross layers.
    """

    def __init__(
        self, linear_feature_columns: list[Column], dnn_feature_columns: list[Column], *, cross_num: int = 2, **common
    ):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        if cross_num < 1:
            raise InputError(f"cross_num must be at least 1; without it use WideDeep. Received: {cross_num}.")
        size = self.embedding.output_size
        self.cross = CrossNetwork(size, cross_num)
        self.cross_head = nn.Linear(size, 1, bias=False)
        self.to(self.device)

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        crossed = self.cross(flatten(fields, dense))  # (B, F * D + dense)
        return super().deep(fields, dense) + self.cross_head(crossed).squeeze(1)  # (B,)

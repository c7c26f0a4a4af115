"""COLD: Towards the Next Generation of Pre-Ranking System (Wang et al., DLP-KDD 2020, arXiv 2007.16122).

s = sigmoid(W [e_1, ..., e_F] + b),  v_f = s_f e_f        SE block over the fields of user and item
y = sigmoid(linear(x) + <w, tower([v, dense])> + bias)
"""

from __future__ import annotations

from torch import Tensor

from model.layers.cold_se import ColdSE
from model.wdm import WideDeep
from preprocessing.feature_columns import Column


class COLD(WideDeep):
    """One tower over the fields of both sides, each weighed by an SE block; a linear part. Arguments as `WideDeep`."""

    def __init__(self, linear_feature_columns: list[Column], dnn_feature_columns: list[Column], **common):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        self.se = ColdSE(self.embedding.num_fields, self.embedding.dim)
        self.to(self.device)

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        return super().deep(self.se(fields), dense)


Cold = COLD  # the published name

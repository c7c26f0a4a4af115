"""DeepFM (Guo et al., IJCAI 2017): y = sigmoid(linear(x) + sum_{f<g} <e_f, e_g> + <w, tower(x)> + bias)."""

from __future__ import annotations

from torch import Tensor

from model.wdm import WideDeep
from preprocessing.deepctr import FM
from preprocessing.feature_columns import Column


class DeepFM(WideDeep):
    """Wide & Deep with a factorisation machine over the embeddings that the tower reads. Arguments as `WideDeep`."""

    def __init__(self, linear_feature_columns: list[Column], dnn_feature_columns: list[Column], **common):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        self.fm = FM()

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        return super().deep(fields, dense) + self.fm(fields).squeeze(1)  # (B,)

"""COLD: Towards the Next Generation of Pre-Ranking System (Wang et al., DLP-KDD 2020, arXiv 2007.16122).

s = sigmoid(W [e_1, ..., e_F] + b),  v_f = s_f e_f        SE block over the fields of user and item, or SENET
y = sigmoid(linear(x) + <w, tower([v, dense])> + bias)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from torch import Tensor

from foundation.errors import InputError, one_of
from foundation.feature_columns import Column
from model.layers.cold_se import ColdSE
from model.layers.embedding import FeatureEmbedding
from model.layers.senet import SENET
from model.signature import WideDeepArguments
from model.wdm import WideDeep


class COLD(WideDeep):
    """One tower over the fields of both sides, each weighed by an SE block; a linear part. Arguments as `WideDeep`.

    se: "cold", the paper's block, or "senet", the published code's (`layers/senet.py`).
    The tower and at least one sparse or list column must be there, and fields of one size.
    """

    def __init__(
        self,
        linear_feature_columns: list[Column],
        dnn_feature_columns: list[Column],
        *,
        se: str = "cold",
        **common: Unpack[WideDeepArguments],
    ):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        one_of("se", se, ("cold", "senet"))
        if self.tower is None:
            raise InputError("COLD without a tower is LR: dnn_hidden_units needs at least one layer. Received none.")
        if not self.embedding.num_fields:
            raise InputError("COLD weighs sparse and list columns. dnn_feature_columns has none. Use WideDeep, or DCN.")
        assert isinstance(self.embedding, FeatureEmbedding)  # `check_sizes` has seen to it
        fields = self.embedding.num_fields
        self.se = SENET(fields) if se == "senet" else ColdSE(fields, self.embedding.dim)
        self.to(self.device)

    @classmethod
    def takes_several_sizes(cls, settings: Mapping[str, Any]) -> bool:
        return False

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        return super().deep(self.se(fields), dense)


Cold = COLD  # the published name

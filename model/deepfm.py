"""DeepFM (Guo et al., IJCAI 2017): y = sigmoid(linear(x) + sum_{f<g} <e_f, e_g> + <w, tower(x)> + bias)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from torch import Tensor

from foundation.deepctr import FM
from foundation.feature_columns import Column
from model.signature import WideDeepArguments
from model.wdm import WideDeep


class DeepFM(WideDeep):
    """Wide & Deep with a factorisation machine over the embeddings that the tower reads. Other arguments as `WideDeep`.

    use_fm: whether there is the factorisation machine, whose fields have one size.
    """

    def __init__(
        self,
        linear_feature_columns: list[Column],
        dnn_feature_columns: list[Column],
        *,
        use_fm: bool = True,
        **common: Unpack[WideDeepArguments],
    ):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        self.fm = FM() if use_fm else None

    @classmethod
    def reads_fields(cls, settings: Mapping[str, Any]) -> bool:
        return settings["use_fm"] or super().reads_fields(settings)

    @classmethod
    def takes_several_sizes(cls, settings: Mapping[str, Any]) -> bool:
        return not settings["use_fm"]

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        logits = super().deep(fields, dense)  # (B,)
        return logits if self.fm is None else logits + self.fm(fields).squeeze(1)

"""AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks (Song et al., CIKM 2019).

E_{l+1} = interacting layer(E_l)                          multi-head self-attention over the fields of a row
y       = sigmoid(linear(x) + <w, [E_L, tower(x)]> + bias)
"""

from __future__ import annotations

from torch import Tensor, nn

from model.layers.attention import InteractingLayer
from model.wdm import WideDeep
from preprocessing.errors import InputError
from preprocessing.feature_columns import Column


class AutoInt(WideDeep):
    """Wide & Deep with interacting layers beside the tower. Other arguments as `WideDeep`.

    att_layer_num, att_head_num: number of interacting layers, and of heads in each; heads divide the embedding size.
    att_res: whether an interacting layer adds a linear map of its input.
    """

    def __init__(
        self,
        linear_feature_columns: list[Column],
        dnn_feature_columns: list[Column],
        *,
        att_layer_num: int = 3,
        att_head_num: int = 2,
        att_res: bool = True,
        **common,
    ):
        super().__init__(linear_feature_columns, dnn_feature_columns, **common)
        if att_layer_num < 1:
            raise InputError(f"att_layer_num must be at least 1; without it use WideDeep. Received: {att_layer_num}.")
        dim = self.embedding.dim
        self.interacting = nn.Sequential(*(InteractingLayer(dim, att_head_num, att_res) for _ in range(att_layer_num)))
        self.interacting_head = nn.Linear(self.embedding.num_fields * dim, 1, bias=False)
        self.to(self.device)

    def deep(self, fields: Tensor, dense: Tensor) -> Tensor:
        interactions = self.interacting(fields).flatten(1)  # (B, F * D)
        return super().deep(fields, dense) + self.interacting_head(interactions).squeeze(1)  # (B,)

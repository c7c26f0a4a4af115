"""COLD's squeeze-and-excitation block (section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ColdSE(nn.Module):
    """s = sigmoid(W [e_1, ..., e_F] + b),  v_f = s_f e_f.

    deepctr-torch's `SENETLayer` is another block (two layers with ReLU on the mean of each field). It starts with
    weights of the size of the embeddings, so that the products, and with them the gradients, all but vanish.

    >>> block = ColdSE(num_fields=2, dim=1)
    >>> _ = nn.init.zeros_(block.excitation.weight), nn.init.zeros_(block.excitation.bias)
    >>> block(torch.tensor([[[2.0], [6.0]]])).tolist()  # sigmoid(0) = 1/2
    [[[1.0], [3.0]]]
    """

    def __init__(self, num_fields: int, dim: int):
        super().__init__()
        self.excitation = nn.Linear(num_fields * dim, num_fields)

    def forward(self, fields: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D)"""
        return fields * torch.sigmoid(self.excitation(fields.flatten(1))).unsqueeze(2)

"""SENET, the block of FiBiNET (Huang et al., RecSys 2019), with a residual, as the published code has it in COLD."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SENET(nn.Module):
    """z = mean over D of E,  a = ReLU(W_2 ReLU(W_1 z)),  V = E + a * E.

    W_1 has half as many rows as there are fields, and at least one.

    >>> block = SENET(num_fields=2)
    >>> for layer, weight in zip(block.maps, ([[1.0, 0.0]], [[1.0], [-1.0]])):
    ...     _ = layer.weight.data.copy_(torch.tensor(weight))
    >>> block(torch.tensor([[[2.0, 4.0], [6.0, 8.0]]])).tolist()  # z = (3, 7), a = (3, 0)
    [[[8.0, 16.0], [6.0, 8.0]]]
    """

    def __init__(self, num_fields: int):
        super().__init__()
        hidden = max(1, num_fields // 2)
        sizes = ((num_fields, hidden), (hidden, num_fields))
        self.maps = nn.ModuleList(nn.Linear(*size, bias=False) for size in sizes)

    def forward(self, fields: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D)"""
        weights = fields.mean(dim=2)  # (B, F)
        for layer in self.maps:
            weights = torch.relu(layer(weights))
        return torch.addcmul(fields, fields, weights.unsqueeze(2))

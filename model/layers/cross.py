"""The cross network of DCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CrossNetwork(nn.Module):
    """x_{l+1} = x_0 <w_l, x_l> + b_l + x_l  (Wang et al., ADKDD 2017, equation 3).

    The same function, parameters and initial weights as deepctr-torch's `CrossNet`, which computes <w, x> by a batch of
    tiny matrix products.

    size: of x; layers: how many.
    """

    def __init__(self, size: int, layers: int):
        super().__init__()
        self.kernels = nn.Parameter(torch.empty(layers, size, 1))
        for kernel in self.kernels:
            nn.init.xavier_normal_(kernel)
        self.bias = nn.Parameter(torch.zeros(layers, size, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, size) -> (B, size)"""
        first = x
        for kernel, bias in zip(self.kernels, self.bias, strict=True):
            x = torch.addcmul(x + bias.squeeze(1), first, x @ kernel)  # x @ kernel: (B, 1)
        return x

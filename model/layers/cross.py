"""The cross networks of DCN: with a vector, or with a matrix, a layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foundation.errors import one_of
from kernels.linear import linear

PARAMETERIZATIONS = ("vector", "matrix")


class CrossNetwork(nn.Module):
    """x_{l+1} = x_0 <w_l, x_l> + b_l + x_l      "vector" (DCN, Wang et al., ADKDD 2017, equation 3)
    x_{l+1} = x_0 * (W_l x_l + b_l) + x_l     "matrix" (DCN-M or DCN V2, Wang et al., 2020, equation 1)

    The same functions, parameters and initial weights as deepctr-torch's `CrossNet`, which computes both by a batch of
    tiny matrix products.

    size: of x; layers: how many.

    >>> network = CrossNetwork(2, 1, "matrix")
    >>> _ = network.kernels.data.copy_(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))  # W swaps the two
    >>> network(torch.tensor([[2.0, 3.0]])).tolist()  # 2 * 3 + 2 and 3 * 2 + 3
    [[8.0, 9.0]]
    """

    def __init__(self, size: int, layers: int, parameterization: str = "vector"):
        super().__init__()
        one_of("cross_parameterization", parameterization, PARAMETERIZATIONS)
        self.parameterization = parameterization
        self.kernels = nn.Parameter(torch.empty(layers, size, 1 if parameterization == "vector" else size))
        for kernel in self.kernels:
            nn.init.xavier_normal_(kernel)
        self.bias = nn.Parameter(torch.zeros(layers, size, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, size) -> (B, size)"""
        first = x
        for kernel, bias in zip(self.kernels, self.bias.squeeze(2), strict=True):
            if self.parameterization == "vector":
                x = torch.addcmul(x + bias, first, x @ kernel)  # x @ kernel: (B, 1)
            else:
                x = torch.addcmul(x, first, linear(x, kernel, bias))
        return x

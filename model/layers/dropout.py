"""Dropout with cheap random numbers on CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preprocessing.errors import InputError

_LANES = 65536  # values of the 16 random bits that decide about one element


class Dropout(nn.Module):
    """Sets a share `p` of the elements to 0 in training and scales the rest by 1 / (1 - p).

    torch draws one random number an element on CPU, which takes longer than the matrix product before it. Here one
    64-bit draw decides about four elements; p is rounded to a multiple of 1/65536. Other devices use torch's kernel.

    Raises `InputError` unless 0 <= p < 1.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise InputError(f"Dropout must lie in [0, 1). Received: {p}.")
        self.p = p
        self.dropped = min(round(p * _LANES), _LANES - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or self.dropped == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        return x * self.mask(x)

    def mask(self, x: Tensor) -> Tensor:
        """0 or 1 / (1 - p) for each element of x, from torch's global generator."""
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        lanes = draws.view(torch.int16)[: x.numel()].view(x.shape)  # uniform over -32768..32767
        kept = (lanes >= self.dropped - _LANES // 2).to(x.dtype)
        return kept.mul_(_LANES / (_LANES - self.dropped))

    def extra_repr(self) -> str:
        return f"p={self.p}"

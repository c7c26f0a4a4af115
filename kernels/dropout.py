"""Dropout with cheap random numbers on CPU."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import kernels
from foundation.errors import InputError

LANES = 1 << 16  # values of the 16 random bits that decide about one element


class Dropout(nn.Module):
    """Sets a share `p` of the elements to 0 in training and scales the rest by 1 / (1 - p).

    torch draws one random number an element on CPU, which takes longer than the matrix product before it. Here one
    64-bit draw of a fast generator, seeded by torch's, decides about four elements; p is rounded to a multiple of
    1/65536. Other devices use torch's kernel.

    Raises `InputError` unless 0 <= p < 1.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise InputError(f"Dropout must lie in [0, 1). Received: {p}.")
        self.p = p
        self.dropped = min(round(p * LANES), LANES - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or self.dropped == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        return (dropout if kernels.fast() else plain_dropout)(x, random_lanes(x), self.dropped)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def dropout(x: Tensor, lanes: Tensor, dropped: int) -> Tensor:
    """`plain_dropout` as a product: a mask of 0 and 1 as int16 takes a tenth of the time of one through bool.

    Overwrites lanes.
    """
    kept = lanes.ge_(dropped - LANES // 2)
    return x * kept.to(x.dtype).mul_(LANES / (LANES - dropped))


def plain_dropout(x: Tensor, lanes: Tensor, dropped: int) -> Tensor:
    """y_i = x_i / (1 - p) where lane i is none of the lowest p, else 0;  p = dropped / 65536

    The lanes are drawn as for the fast path, so that a run under one can be compared with a run under the other.
    """
    return x * (lanes >= dropped - LANES // 2) / (1 - dropped / LANES)


def random_lanes(x: Tensor) -> Tensor:
    """int16, uniform over -32768..32767, one for each element of x and in its shape, by torch's global generator."""
    seed = int(torch.randint(2**63 - 1, ()))
    draws = np.random.SFC64(seed).random_raw(x.numel() // 4 + 1)  # 64 bits each
    return torch.from_numpy(draws).view(torch.int16)[: x.numel()].view(x.shape)

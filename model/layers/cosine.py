"""The score of DSSM and DAT: a scaled cosine."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from foundation.errors import InputError
from model.effects import Idle

# Of models that take gamma because the published constructors do.
NO_COSINE = {"gamma": Idle("which does not score by a cosine", "use DSSM or DAT")}


class CosineScore(nn.Module):
    """logit = gamma * <u, v> + bias for vectors of length 1.

    The published code has the bias, too (deepctr-torch's prediction layer). With gamma = 1 it matters: where most
    labels are positive, 0.73 is below what most rows deserve, and without a bias they all end up there, in no order.

    gamma: a fixed positive number, or "learned": then it starts at 1 and is trained with the towers.
    """

    def __init__(self, gamma: float | str):
        super().__init__()
        if gamma != "learned" and not (isinstance(gamma, (int, float)) and 0 < gamma < math.inf):
            raise InputError(f"gamma must be a positive number or 'learned'. Received: {gamma!r}.")
        if gamma == "learned":
            self.log_gamma = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("log_gamma", torch.tensor(math.log(gamma)), persistent=False)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, users: Tensor, items: Tensor, aligned: bool) -> Tensor:
        """(U, d) and (N, d) -> (U, N), or of aligned rows -> (B,)"""
        cosine = (users * items).sum(dim=1) if aligned else users @ items.T
        return self.log_gamma.exp() * cosine + self.bias

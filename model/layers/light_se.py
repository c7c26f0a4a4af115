"""Light-SE: how much each field of a tower matters (IntTower, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foundation.errors import InputError


class LightSE(nn.Module):
    """z = mean over D of E,  a = softmax(W z + b),  V = E + a * E.

    One square layer where SENET has two, and a residual, so that no field is switched off. bias: whether there is b.

    >>> light_se = LightSE(num_fields=2)
    >>> _ = nn.init.zeros_(light_se.excitation.weight), nn.init.zeros_(light_se.excitation.bias)
    >>> light_se(torch.tensor([[[2.0, 4.0], [6.0, 8.0]]])).tolist()  # equal weights of 1/2: E + E / 2
    [[[3.0, 6.0], [9.0, 12.0]]]
    """

    def __init__(self, num_fields: int, bias: bool = True):
        super().__init__()
        self.num_fields = num_fields
        self.excitation: nn.Module = nn.Linear(num_fields, num_fields, bias=bias)

    def weights(self, fields: Tensor) -> Tensor:
        """fields (B, F, D) -> a (B, F), each row summing to 1."""
        return torch.softmax(self.excitation(fields.mean(dim=2)), dim=1)

    def forward(self, fields: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D). Raises `InputError` for another shape."""
        if fields.ndim != 3 or fields.shape[1] != self.num_fields:
            raise InputError(
                f"Light-SE expects fields of shape (B, {self.num_fields}, D). Received: {tuple(fields.shape)}."
            )
        return torch.addcmul(fields, fields, self.weights(fields).unsqueeze(2))

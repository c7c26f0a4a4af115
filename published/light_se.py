"""Light-SE by the signature of the releases."""

from __future__ import annotations

from torch import nn

from model.layers import light_se


class LightSE(light_se.LightSE):
    """z = mean over D of E,  a = softmax(W z),  V = E + a * E: (B, F, D) -> (B, F, D), as released, without a bias.

    The weight has the name that it has there, `excitation.0.weight`.
    field_size: F.  seed, embedding_size: taken and without effect, as there.
    """

    def __init__(self, field_size: int, seed: int = 1024, device: str = "cpu", embedding_size: int = 32):
        super().__init__(field_size)
        self.excitation = nn.Sequential(nn.Linear(field_size, field_size, bias=False))
        self.to(device)

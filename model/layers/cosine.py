"""The cosine as the releases compute it."""

from __future__ import annotations

from torch import Tensor

ADDED = 1e-8  # to the product of the lengths; vectors are that short while towers start at N(0, 1e-4)


def over_lengths(users: Tensor, items: Tensor) -> Tensor:
    """users and items (B, d) -> u / (|u| |v| + 1e-8) (B, d), whose product with v is the cosine.

    >>> import torch
    >>> over_lengths(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 2.0]])).tolist()
    [[0.5, 0.0]]
    """
    lengths = users.norm(dim=1, keepdim=True) * items.norm(dim=1, keepdim=True)  # (B, 1)
    return users / (lengths + ADDED)

"""Logits of every user of a batch with every item of it."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from model.interaction import AdditiveInteraction, Interaction, SumOfMaxima


def all_pairs(interaction: Interaction, users: Tensor, items: Tensor) -> Tensor:
    """Logits (U, N) float32 of user vectors (U, R, d) with item vectors (N, H, d), by `forward`: the plain way."""
    count = len(items)
    rows = [interaction(user.repeat(count, 1, 1), items).float() for user in users]
    return torch.stack(rows) if rows else torch.empty(0, count)


def pair_logits(interaction: Interaction, users: Tensor, items: Tensor) -> Tensor:
    """`all_pairs` by one product of matrices, where the interaction reduces products. Has a gradient."""
    users, items = users.float(), items.float()
    if not isinstance(interaction, AdditiveInteraction) or not _reduces_as_it_scores(interaction):
        return all_pairs(interaction, users, items)
    query = interaction.query(users)  # (U, Q, d)
    products = query.flatten(0, 1) @ items.permute(1, 2, 0)  # (H, U * Q, N)
    return interaction.reduce(products.unflatten(1, query.shape[:2]).unsqueeze(0))[0]


def _reduces_as_it_scores(interaction: AdditiveInteraction) -> bool:
    """Whether `forward` and `reduce` agree. They do unless someone has edited `fe_score`, which `forward` calls."""
    if not isinstance(interaction, SumOfMaxima):
        return True
    heads = interaction.user_heads, interaction.item_heads
    return _agrees(*heads, interaction.num_levels or 1, interaction.editable["fe_score"])


@lru_cache
def _agrees(user_heads: int, item_heads: int, levels: int, version: str) -> bool:
    """version: of `fe_score`, which is looked at once."""
    draws = torch.Generator().manual_seed(0)
    plain = SumOfMaxima(user_heads, item_heads, levels)
    users = torch.randn(3, levels * user_heads, 4, generator=draws)
    items = torch.randn(3, item_heads, 4, generator=draws)
    products = users.flatten(0, 1) @ items.permute(1, 2, 0)
    logits = plain.reduce(products.unflatten(1, users.shape[:2]).unsqueeze(0))[0]
    return bool(torch.allclose(logits, all_pairs(plain, users, items), 1e-4, 1e-4))

"""Logits of users with many items, from a model's interaction: one GEMM a chunk, then the interaction's reduction.

An interaction that is not additive, or whose `fe_score` was edited, is scored by its own `forward` (`is_plain`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.linear import product
from model.all_pairs import all_pairs
from model.interaction import AdditiveInteraction, Interaction, Levels

# Bytes of products that one chunk makes: they are read again at once, from the cache and not from memory.
CHUNK_BYTES = 3 << 19
# U * R from which a product with item vectors on the left, whose inner size is R, is as efficient as one with blocks;
# its result needs one pass less.
MANY_VECTORS = 48
PLAIN_ITEMS = 4096  # that are scored at a time by an interaction's `forward`


class Scorer:
    """Logits of users with items.

    Item vectors come as (N, H * d) float32; an index can have them in `serving.blocks`, too. A query (U, Q, d) is what
    `query` makes of user vectors.

    interaction: of a model in evaluation mode. heads, dim: H and d of an item.
    is_plain: whether the interaction's `forward` scores.
    """

    def __init__(self, interaction: Interaction, heads: int, dim: int, is_plain: bool = False):
        self.interaction, self.heads, self.dim = interaction, heads, dim
        self.additive = interaction if isinstance(interaction, AdditiveInteraction) and not is_plain else None

    @property
    def is_plain(self) -> bool:
        return self.additive is None

    @property
    def is_product(self) -> bool:
        """Whether a logit is one product of two vectors, and a bias."""
        return self.additive is not None and self.additive.is_product

    @property
    def bias(self) -> Tensor:
        """(), of an additive interaction."""
        assert self.additive is not None
        return self.additive.bias

    def query(self, users: Tensor, levels: Levels = None) -> Tensor:
        """What `encode_user` returned for U users (U, R, d) -> (U, Q, d), of the chosen levels."""
        users = self.interaction.choose(users, levels)
        return users if self.additive is None else self.additive.query(users)

    def multiplied(self, query: Tensor) -> Tensor:
        """The vectors (U, Q', d) that meet the items: those of the query, or one, where their products only add up."""
        return query.sum(1, keepdim=True) if self.is_product and query.shape[1] > 1 else query

    def score_vectors(self, query: Tensor, items: Tensor) -> Tensor:
        """query (U, Q, d), items (N, H * d) -> (U, N), exact."""
        if self.additive is None:
            parts = [part.unflatten(1, (self.heads, self.dim)) for part in items.split(PLAIN_ITEMS)]
            return torch.cat([all_pairs(self.interaction, query, part) for part in parts], dim=1)
        query = self.multiplied(query)
        users, vectors, _ = query.shape
        heads = items.view(-1, self.heads, self.dim).permute(1, 2, 0)  # (H, d, N)
        if self.heads == 1:
            products = query.reshape(-1, self.dim) @ heads[0]  # (U * Q, N)
        else:
            products = torch.matmul(query.reshape(-1, self.dim), heads)  # (H, U * Q, N)
        return self.additive.reduce(products.reshape(1, self.heads, users, vectors, -1))[0]

    def prefers_vectors(self, query: Tensor) -> bool:
        """Whether `score_items` with the vectors of all items is faster than `Blocks.score` in float32."""
        return self.heads > 1 and query.shape[0] * query.shape[1] >= MANY_VECTORS

    def score_items(self, query: Tensor, items: Tensor) -> Tensor:
        """The same as `score_vectors` by the fastest way there is, which need not be one that can be exported."""
        if self.additive is None or not self.prefers_vectors(query):
            return self.score_vectors(query, items)
        users, vectors, dim = query.shape
        left = query.reshape(-1, dim)  # (U * Q, d)
        size = max(1, CHUNK_BYTES // (4 * self.heads * len(left)))
        logits = items.new_empty(len(items), users)
        for part, result in zip(items.split(size), logits.split(size), strict=True):
            products = product(part.reshape(-1, dim), left)  # (m * H, U * Q): m groups of one item
            result.copy_(self.additive.reduce(products.view(-1, self.heads, users, vectors, 1))[:, :, 0])
        return logits.t()


def make_scorer(interaction: Interaction, users: Tensor, items: Tensor) -> Scorer:
    """The scorer of an interaction, checked on a few users (U, R, d) and items (N, H, d) against its `forward`."""
    heads, dim = items.shape[1:]
    scorer = Scorer(interaction, heads, dim)
    if scorer.is_plain:
        return scorer
    logits = scorer.score_vectors(scorer.query(users), items.flatten(1))
    agrees = torch.allclose(logits, all_pairs(interaction, users, items), 1e-4, 1e-4)
    return scorer if agrees else Scorer(interaction, heads, dim, is_plain=True)

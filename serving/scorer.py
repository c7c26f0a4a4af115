"""How a model's user and item vectors become logits, for one user with all items: one GEMM a chunk, then a reduction.

Every two-tower model here scores from the products P of R vectors of the user with the H heads of an item:

    dssm, dat        logit = gamma P + bias                                     R = H = 1
    int_tower, hit   logit = sum_p max_h P_hp + bias                            R = levels * H_u
    poly_encoder     logit = sum_i softmax_i(P_i) P_i + bias                    R = m codes, H = 1
    mvke             logit = sum_k softmax_k(P_Kk) P_k + bias                   R = K experts and K kernels, H = 1

A `Scorer` says what the R vectors are (`query`) and how products are reduced (`reduce`). A two-tower model that is none
of these, or whose `fe_score` was edited, is scored by its own `score` (`PlainScorer`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from foundation.errors import InputError
from foundation.values import shown
from kernels.linear import product
from kernels.short_softmax import short_softmax
from model.base import TwoTower
from model.dat import DAT
from model.dssm import DSSM
from model.hit import HIT
from model.IntTower import IntTower
from model.mvke import MVKE
from model.poly_encoder import PolyEncoder
from serving.blocks import Columns

# Bytes of products that one chunk makes: they are read again at once, from the cache and not from memory.
CHUNK_BYTES = 3 << 19
# U * R from which a product with rows of items, whose inner size is R, is as efficient as one with columns; its result
# needs one pass less.
MANY_VECTORS = 48
PLAIN_ROWS = 4096

Levels = str | list[int] | tuple[int, ...] | None


class Scorer(ABC):
    """Logits of users with items.

    model: in evaluation mode. heads, dim: H and d of an item vector (H * d).
    reads_rows: whether `score_rows` is all there is, and `score_all` is not.
    is_product: whether a logit is nothing but the product of the user's R vectors, summed, with the item's, and a bias.
    """

    reads_rows = False
    is_product = False

    def __init__(self, model: TwoTower, heads: int, dim: int):
        self.model, self.heads, self.dim = model, heads, dim

    @abstractmethod
    def query(self, users, levels: Levels = None) -> Tensor:
        """What `encode_user` returned for U users -> (U, R, d)"""

    @abstractmethod
    def parts(self, products: Tensor) -> Tensor:
        """Products (G, H, U, R, n) -> the terms (G, U, R', n) whose sum over R' is the logit without its bias."""

    @property
    @abstractmethod
    def bias(self) -> Tensor:
        """()"""

    def reduce(self, products: Tensor) -> Tensor:
        """Products (G, H, U, R, n) -> logits (G, U, n) float32: sums are float32, whatever the products are."""
        parts = self.parts(products)
        summed = parts[:, :, 0].float() if parts.shape[2] == 1 else parts.sum(2, dtype=torch.float32)
        return summed + self.bias  # not in place: `parts` may be a view of products that the next chunk overwrites

    def multiplied(self, query: Tensor) -> Tensor:
        """The vectors (U, R', d) that meet the items: those of the query, or one, where their products only add up."""
        return query.sum(1, keepdim=True) if self.is_product and query.shape[1] > 1 else query

    def score_rows(self, query: Tensor, rows: Tensor) -> Tensor:
        """query (U, R, d), item vectors (N, H * d) float32 -> (U, N), exact."""
        query = self.multiplied(query)
        users, vectors, _ = query.shape
        items = rows.view(-1, self.heads, self.dim).permute(1, 2, 0)  # (H, d, N)
        if self.heads == 1:
            products = query.reshape(-1, self.dim) @ items[0]  # (U * R, N)
        else:
            products = torch.matmul(query.reshape(-1, self.dim), items)  # (H, U * R, N)
        return self.reduce(products.reshape(1, self.heads, users, vectors, -1))[0]

    def score_items(self, query: Tensor, rows: Tensor) -> Tensor:
        """The same as `score_rows` by the fastest way there is, which need not be one that can be exported."""
        return self.score_rows(query, rows)

    def prefers_rows(self, query: Tensor) -> bool:
        """Whether `score_items` with the rows of all items is faster than `score_all` with float32 columns."""
        return False

    def score_all(self, query: Tensor, columns: Columns) -> Tensor:
        """query (U, R, d) -> (U, N) with every item, in the precision of the columns."""
        query = self.multiplied(query)
        users, vectors, dim = query.shape
        blocks, heads, _, size = columns.blocks.shape
        queries = columns.queries(query.reshape(1, -1, dim))  # (1 or H, U * R, d)
        row_bytes = queries.element_size() * heads * users * vectors * size
        chunk = min(max(1, CHUNK_BYTES // row_bytes), blocks)
        left = queries.expand(chunk * heads, -1, -1) if len(queries) == 1 else queries.repeat(chunk, 1, 1)
        parts = []
        for first in range(0, blocks, chunk):
            values = columns.values(first, first + chunk).view(-1, dim, size)  # (chunk * H, d, n), fewer at the end
            products = torch.bmm(left if len(values) == len(left) else left[: len(values)], values)
            parts.append(self.reduce(products.view(-1, heads, users, vectors, size)))  # (chunk, U, n)
        logits = parts[0] if len(parts) == 1 else torch.cat(parts)  # (blocks, U, n)
        return logits.transpose(0, 1).reshape(users, -1)[:, : columns.count]


class DotScorer(Scorer):
    """DSSM and DAT: a scaled cosine of vectors that have length 1 already."""

    is_product = True

    def query(self, users: Tensor, levels: Levels = None) -> Tensor:
        _no_levels(levels)
        return (users * self.model.cosine.log_gamma.exp()).unsqueeze(1)  # (U, 1, d)

    def parts(self, products: Tensor) -> Tensor:
        return products[:, 0]

    @property
    def bias(self) -> Tensor:
        return self.model.cosine.bias


class MaxSimScorer(Scorer):
    """IntTower and HIT: the sum over the user's heads, of all chosen levels, of the maximum over the item's heads."""

    def query(self, users: Tensor | list[Tensor], levels: Levels = None) -> Tensor:
        if isinstance(users, Tensor):
            _no_levels(levels)
        else:
            users = torch.cat([users[level] for level in chosen_levels(levels, len(users))], dim=1)
        return users.unflatten(1, (-1, self.dim))  # (U, levels * H_u, d)

    def parts(self, products: Tensor) -> Tensor:
        return products[:, 0] if self.heads == 1 else products.amax(1)

    @property
    def is_product(self) -> bool:
        return self.heads == 1  # there is no maximum to take then, however many heads the user has

    def prefers_rows(self, query: Tensor) -> bool:
        return self.heads > 1 and query.shape[0] * query.shape[1] >= MANY_VECTORS

    def score_items(self, query: Tensor, rows: Tensor) -> Tensor:
        if not self.prefers_rows(query):
            return self.score_rows(query, rows)
        users, vectors, dim = query.shape
        left = query.reshape(-1, dim)  # (U * R, d)
        size = max(1, CHUNK_BYTES // (4 * self.heads * len(left)))
        logits = rows.new_empty(len(rows), users)
        for part, result in zip(rows.split(size), logits.split(size), strict=True):
            products = product(part.reshape(-1, dim), left)  # (m * H, U * R)
            largest = products.view(-1, self.heads, len(left)).amax(1)  # (m, U * R)
            torch.sum(largest.view(-1, users, vectors), 2, out=result)
        return logits.t() + self.bias

    @property
    def bias(self) -> Tensor:
        return self.model.bias


class CodesScorer(Scorer):
    """Poly-encoder: the item weighs the user's m vectors by a softmax of its products with them."""

    def query(self, users, levels: Levels = None) -> Tensor:
        _no_levels(levels)
        return users  # (U, m, d)

    def parts(self, products: Tensor) -> Tensor:
        products = products[:, 0].float()  # (G, U, m, n)
        return short_softmax(products, dim=2) * products

    @property
    def bias(self) -> Tensor:
        return self.model.bias


class KernelsScorer(CodesScorer):
    """MVKE: the item weighs the user's K experts by a softmax of its products with the K kernels."""

    def query(self, users, levels: Levels = None) -> Tensor:
        _no_levels(levels)
        kernels = self.model.attention.kernels
        return torch.cat([users, kernels.expand(users.shape[0], -1, -1)], dim=1)  # (U, 2 K, d)

    def parts(self, products: Tensor) -> Tensor:
        experts, kernels = products[:, 0].float().chunk(2, dim=2)  # (G, U, K, n) each
        return short_softmax(kernels, dim=2) * experts


class PlainScorer(Scorer):
    """Any other two-tower model with one vector an item: its own `score`, on float32 rows."""

    reads_rows = True

    def query(self, users, levels: Levels = None):
        if not isinstance(users, list):
            _no_levels(levels)
            return users
        return [users[level] for level in chosen_levels(levels, len(users))]

    def parts(self, products: Tensor) -> Tensor:
        raise InputError("The score of this model has no parts to explain: it is the model's own function.")

    @property
    def bias(self) -> Tensor:
        return torch.zeros(())

    def score_rows(self, query, rows: Tensor) -> Tensor:
        return torch.cat([self.model.score(query, part) for part in rows.split(PLAIN_ROWS)], dim=1).float()


SCORERS: dict[type[TwoTower], type[Scorer]] = {
    DSSM: DotScorer,
    DAT: DotScorer,
    IntTower: MaxSimScorer,
    HIT: MaxSimScorer,
    PolyEncoder: CodesScorer,
    MVKE: KernelsScorer,
}


def item_heads(model: TwoTower) -> int:
    """H: heads of the model's item vectors."""
    return model.fe_block.item_heads if type(model) in (IntTower, HIT) else 1


def make_scorer(model: TwoTower, users, rows: Tensor) -> Scorer:
    """The scorer of a model, checked on a few users and items, as encoded, against the model's own `score`."""
    heads = item_heads(model)
    scorer = SCORERS.get(type(model), PlainScorer)(model, heads, rows.shape[1] // heads)
    expected = model.score(users, rows)
    if scorer.reads_rows or torch.allclose(scorer.score_rows(scorer.query(users), rows), expected, 1e-4, 1e-4):
        return scorer
    return PlainScorer(model, 1, rows.shape[1])


def chosen_levels(levels: Levels, count: int) -> list[int]:
    """Places of the levels to score: "all" (or None), "last", or numbers from 1, the first layer's.

    >>> chosen_levels("last", 3), chosen_levels([1, 3], 3)
    ([2], [0, 2])
    """
    if levels is None or levels == "all":
        return list(range(count))
    if levels == "last":
        return [count - 1]
    wrong = not isinstance(levels, (list, tuple)) or not levels or len(set(levels)) < len(levels)
    if wrong or any(not isinstance(level, int) or not 1 <= level <= count for level in levels):
        raise InputError(
            f"levels must be 'all', 'last' or distinct numbers from 1 to {count}. Received: {shown(levels)}."
        )
    return [level - 1 for level in levels]


def _no_levels(levels: Levels) -> None:
    if levels is not None:
        raise InputError(f"Only IntTower has levels to choose from. Leave levels={shown(levels)} out.")

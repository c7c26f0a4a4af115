"""Item vectors in the layout that scoring wants: candidate innermost, in blocks, in float32, bfloat16 or int8.

Vectors (N, H * d) float32 serve single candidates. To score everything, the same numbers stand as (blocks, H, d, n):
then the products of all user vectors with all heads of n candidates are one GEMM a head with contiguous operands and
result, and the maximum over heads and the sum over user vectors run along contiguous candidates.

int8 has one scale a head: value = q * scale, so that the scale moves to the user's side and q, exact in bfloat16, meets
the same kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.scorer import CHUNK_BYTES, Scorer

PRECISIONS = ("float32", "bfloat16", "int8")
STORED = {"float32": "<f4", "bfloat16": "<u2", "int8": "|i1"}  # numpy has no bfloat16
# d * n of a block: a head's block stays in the cache while it meets the user's vectors. Measured with d = 64, n from
# 48 to 528; powers of two are slower, because their strides fall on the same cache sets.
BLOCK_VALUES = 18_432


def block_size(dim: int) -> int:
    """n: candidates a block, a multiple of 16 (a vector register holds 16 float32)."""
    return max(16, BLOCK_VALUES // dim // 16 * 16)


def blocks_shape(count: int, heads: int, dim: int) -> tuple[int, int, int, int]:
    """(blocks, H, d, n)"""
    size = block_size(dim)
    return -(-count // size), heads, dim, size


def head_scales(vectors: np.ndarray, heads: int) -> np.ndarray:
    """(N, H * d) -> (H,) float32: with it the largest value of a head becomes 127; 1 for a head of zeros."""
    largest = np.zeros(heads, dtype=np.float32)
    for part in np.array_split(vectors, len(vectors) // 65536 + 1):
        if len(part):
            largest = np.maximum(largest, np.abs(part).reshape(len(part), heads, -1).max(axis=(0, 2)))
    return np.where(largest > 0, largest / 127, 1).astype(np.float32)


def fill_blocks(blocks: np.ndarray, vectors: np.ndarray, scales: np.ndarray) -> None:
    """Writes (N, H * d) float32 into blocks (blocks, H, d, n) of a dtype in `STORED`; places beyond N stay 0."""
    _, heads, dim, size = blocks.shape
    for block, target in enumerate(blocks):
        part = torch.from_numpy(vectors[block * size : (block + 1) * size]).view(-1, heads, dim)  # (m, H, d)
        values = part.permute(1, 2, 0)  # (H, d, m)
        if blocks.dtype == np.int8:
            values = (values / torch.from_numpy(scales)[:, None, None]).round().clamp(-127, 127).to(torch.int8)
        _typed(target)[..., : len(part)] = values


def _typed(array: np.ndarray) -> Tensor:
    """The array as a tensor without a copy, uint16 as the bfloat16 that it holds."""
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if tensor.dtype == torch.uint16 else tensor


@dataclass(frozen=True)
class Blocks:
    """array: (blocks, H, d, n) in float32, bfloat16 or int8. scales: (H,), of int8 alone. num_items: N."""

    array: Tensor
    scales: Tensor
    num_items: int

    @classmethod
    def from_arrays(cls, array: np.ndarray, scales: np.ndarray, num_items: int) -> Blocks:
        """array: of a dtype in `STORED`."""
        return cls(_typed(array), torch.from_numpy(scales), num_items)

    @property
    def is_exact(self) -> bool:
        """Whether scores need no rescore."""
        return self.array.dtype == torch.float32

    def queries(self, query: Tensor) -> Tensor:
        """(1, Q, d) user vectors -> (1 or H, Q, d), as they meet each head."""
        if self.is_exact:
            return query
        if self.array.dtype == torch.int8:
            query = query * self.scales[:, None, None]  # (H, Q, d)
        return query.to(torch.bfloat16)

    def part(self, first: int, last: int) -> Tensor:
        """Blocks first..last-1 in the dtype of the product: (last - first, H, d, n)."""
        blocks = self.array[first:last]
        return blocks.to(torch.bfloat16) if blocks.dtype == torch.int8 else blocks

    def score(self, scorer: Scorer, query: Tensor) -> Tensor:
        """query (U, Q, d) -> logits (U, N) with every item, in the precision of the blocks; not by a plain scorer."""
        assert scorer.additive is not None
        query = scorer.multiplied(query)
        users, vectors, dim = query.shape
        count, heads, _, size = self.array.shape
        queries = self.queries(query.reshape(1, -1, dim))  # (1 or H, U * Q, d)
        block_bytes = queries.element_size() * heads * users * vectors * size
        chunk = min(max(1, CHUNK_BYTES // block_bytes), count)
        left = queries.expand(chunk * heads, -1, -1) if len(queries) == 1 else queries.repeat(chunk, 1, 1)
        parts = []
        for first in range(0, count, chunk):
            values = self.part(first, first + chunk).view(-1, dim, size)  # (chunk * H, d, n), fewer at the end
            products = torch.bmm(left if len(values) == len(left) else left[: len(values)], values)
            parts.append(scorer.additive.reduce(products.view(-1, heads, users, vectors, size)))  # (chunk, U, n)
        logits = parts[0] if len(parts) == 1 else torch.cat(parts)  # (blocks, U, n)
        return logits.transpose(0, 1).reshape(users, -1)[:, : self.num_items]

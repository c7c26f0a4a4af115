"""Pooling of embeddings over lists of ids."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import kernels
from foundation.features import Bags


def pool_lists(ids: Tensor | Bags, table: Tensor, start: int, mode: str, row_gradients: bool = False) -> Tensor:
    """One vector a list: the mean, sum or maximum of its ids' embeddings; 0 for an empty list.

    ids: `Bags`, or (B, maxlen) padded with 0. Id 0, unknown or padding, does not count, unless the bags say so.
    table: (rows, D), in which id i has row start + i.  Returns (B, D).
    row_gradients: makes the gradient of the table sparse.

    >>> bags = Bags(torch.tensor([1, 2, 0, 2], dtype=torch.int32), torch.tensor([0, 3, 4], dtype=torch.int32))
    >>> pool_lists(bags, torch.tensor([[9.0], [2.0], [4.0]]), 0, "mean").tolist()  # (2 + 4) / 2 and 4
    [[3.0], [4.0]]
    """
    if not kernels.fast():
        return plain_pool_lists(ids, table, start, mode, row_gradients)
    bags = _without_zeros(ids)
    values = bags.values + start
    if row_gradients:  # of the distinct ids' rows, which stand in for the table from here on
        rows, places = values.unique(return_inverse=True)
        table, values = F.embedding(rows, table, sparse=True), places.to(bags.offsets.dtype)
    if mode == "max" or table.device.type != "cpu":
        return F.embedding_bag(values, table, bags.offsets, mode=mode, include_last_offset=True)
    sums = _BagSum.apply(table, values, bags.offsets)
    return sums if mode == "sum" else sums / bags.offsets.diff().clamp(min=1).unsqueeze(1)


def plain_pool_lists(ids: Tensor | Bags, table: Tensor, start: int, mode: str, row_gradients: bool = False) -> Tensor:
    """Looks up every id, then reduces the vectors of each list: y_b = mean, sum or max over i in list b of table[i]"""
    if isinstance(ids, Tensor):
        return _pool_padded(ids, table, start, mode, row_gradients)
    bags = _without_zeros(ids)
    vectors = F.embedding(bags.values + start, table, sparse=row_gradients)  # (total, D)
    lists = torch.repeat_interleave(bags.offsets.diff().long())  # (total,), of each vector its list
    places, reduction = lists.unsqueeze(1).expand_as(vectors), "amax" if mode == "max" else mode
    empty = vectors.new_zeros(len(bags), table.shape[1])
    return empty.scatter_reduce(0, places, vectors, reduction, include_self=False)


def _pool_padded(ids: Tensor, table: Tensor, start: int, mode: str, row_gradients: bool) -> Tensor:
    """The same for padded ids (B, maxlen), in operations that an exported program has."""
    if mode == "max":
        ids = F.pad(ids, (0, 1))  # there is no maximum over lists that are all empty
    known = (ids != 0).unsqueeze(2)  # (B, maxlen, 1)
    vectors = F.embedding(ids + start, table, padding_idx=start, sparse=row_gradients)  # (B, maxlen, D)
    if mode == "max":
        return vectors.masked_fill(~known, float("-inf")).amax(1).masked_fill(~known.any(1), 0.0)
    sums = (vectors * known).sum(1)
    return sums if mode == "sum" else sums / known.sum(1).clamp(min=1)


def _without_zeros(ids: Tensor | Bags) -> Bags:
    """The lists without id 0."""
    if isinstance(ids, Bags):
        known = ids.values != 0
        if ids.zero_counts or known.all():
            return ids
        before = F.pad(known.cumsum(0, dtype=torch.int32), (1, 0))  # (total + 1,), known ids before each place
        return Bags(ids.values[known], before[ids.offsets])
    known = ids != 0  # (B, maxlen)
    return Bags(ids[known].int(), F.pad(known.sum(1).cumsum(0), (1, 0)).int())


class _BagSum(torch.autograd.Function):
    """Sums of rows of a table, on CPU.

    torch's backward pass, and its forward pass with a padding id, take twenty times as long as its plain sum over bags.
    The gradient of a table row is a sum over bags, too: of the gradients of the lists that hold its id.
    """

    @staticmethod
    def forward(ctx, table: Tensor, values: Tensor, offsets: Tensor) -> Tensor:
        ctx.save_for_backward(values, offsets)
        ctx.rows = len(table)
        return F.embedding_bag(values, table, offsets, mode="sum", include_last_offset=True)  # (B, D)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        values, offsets = ctx.saved_tensors
        order = _places_by_id(values, ctx.rows)  # (total,): places of id 0, of id 1, ...
        lists = torch.repeat_interleave(offsets.diff())[order]  # (total,): the list at each place
        counts = torch.bincount(values, minlength=ctx.rows)
        ends = F.pad(counts.cumsum(0), (1, 0))  # (rows + 1,)
        summed = F.embedding_bag(
            lists, gradient.contiguous(), ends.to(lists.dtype), mode="sum", include_last_offset=True
        )
        return summed, None, None


def _places_by_id(ids: Tensor, bound: int) -> Tensor:
    """Stable argsort of int32 ids below `bound`, by numpy: its radix sort of 16 bits takes a tenth of torch's time."""
    numbers = ids.numpy()
    order = np.argsort(numbers.astype(np.uint16), kind="stable")  # by the low half
    if bound > 1 << 16:
        order = order[np.argsort((numbers >> 16).astype(np.uint16)[order], kind="stable")]
    return torch.from_numpy(order)

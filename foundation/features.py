"""List-valued features on tensors: rows as slices of one pool, batches as bags for `F.embedding_bag`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.errors import InputError


@dataclass(frozen=True)
class Bags:
    """The lists of one batch, end to end.

    values: (total,) int32 ids.  offsets: (B + 1,) int32, where each row begins, and the total.
    zero_counts: whether id 0 is a value as others are, and not an unknown one that adds nothing.
    """

    values: Tensor
    offsets: Tensor
    zero_counts: bool = False

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Lists:
    """A list a row: row i holds `values[start[i]:end[i]]`. Rows may overlap, as histories do.

    values: (total,) int32 ids; start, end: (rows,) int64.

    >>> lists = Lists(torch.tensor([5, 6, 7], dtype=torch.int32), torch.tensor([0, 0, 1]), torch.tensor([0, 2, 3]))
    >>> bags = lists.batch(torch.tensor([2, 0, 1]))
    >>> bags.values.tolist(), bags.offsets.tolist()
    ([6, 7, 5, 6], [0, 2, 2, 4])
    """

    values: Tensor
    start: Tensor
    end: Tensor

    def __len__(self) -> int:
        return len(self.start)

    def batch(self, rows: Tensor) -> Bags:
        """rows: (B,) -> their lists, end to end."""
        start = self.start[rows]  # (B,)
        length = self.end[rows] - start  # (B,)
        offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=start.device)
        torch.cumsum(length, 0, out=offsets[1:])
        # Entry j of the output lies in row r(j), at start[r] + (j - offsets[r]).
        shift = torch.repeat_interleave(start - offsets[:-1], length)  # (total,)
        values = self.values[shift + torch.arange(len(shift), device=start.device)]
        return Bags(values, offsets.to(torch.int32))

    def to(self, device: torch.device | str) -> Lists:
        return Lists(self.values.to(device), self.start.to(device), self.end.to(device))


# A batch by feature name: ids (B,) or padded (B, maxlen), numbers (B,) or (B, k), or lists.
Features = Mapping[str, Tensor | Bags]


def values_of(features: Features, name: str) -> Tensor:
    """One id or number (or k of them) a row. Raises `InputError` for a feature of lists."""
    values = features[name]
    if isinstance(values, Bags):
        raise InputError(f"Feature '{name}' holds lists. A VarLenSparseFeat reads them.")
    return values

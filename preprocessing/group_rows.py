"""Rows that agree in some features, found once, so that what depends on these alone is computed once a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor


def group_rows(keys: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Groups rows whose keys are all equal.

    keys: each (n,). Returns (first, group) as in `Split.distinct`; groups are numbered by first appearance.

    >>> first, group = group_rows([torch.tensor([7, 7, 3, 7]), torch.tensor([0, 1, 0, 0])])
    >>> first.tolist(), group.tolist()
    ([0, 1, 2], [0, 1, 2, 0])
    """
    group, _ = pd.factorize(keys[0].cpu().numpy())
    for key in keys[1:]:
        code, distinct = pd.factorize(key.cpu().numpy())
        group, _ = pd.factorize(group.astype(np.int64) * len(distinct) + code)
    # Groups are numbered by first appearance: a new one is where the numbers reach a new maximum.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(group), prepend=-1))
    return torch.from_numpy(first), torch.from_numpy(group.astype(np.int64, copy=False))

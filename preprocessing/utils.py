"""`fe_score`, the function that users may edit (`docs/extending.md`). IntTower and HIT call it for every score."""

from __future__ import annotations

from typing import Any

import torch  # noqa: F401 (for the versions of `fe_score` that people paste)
from torch import Tensor

from kernels.max_sim import max_sim


def fe_score(
    user_rep: list[Tensor],
    item_rep: list[Tensor],
    user_fea_col: int,
    item_fea_col: int,
    user_embedding_dim: list[int],
    item_embedding_dim: list[int],
) -> Tensor:
    """MaxSim of each user level with the item's heads, summed: s = sum_i sum_p max_q <M_u^i[p], M_v[q]>.

    user_rep: L tensors (B, H_u * d_i); item_rep: a list whose last entry is (B, H_v * d_i).
    user_fea_col, item_fea_col: H_u, H_v.  user_embedding_dim, item_embedding_dim: [d_1, ..., d_L].
    Returns (B,).

    Two user heads (1, 0) and (0, 1) against two item heads (3, 1) and (2, 5), one level: max(3, 2) + max(1, 5)

    >>> fe_score([torch.tensor([[1., 0., 0., 1.]])], [torch.tensor([[3., 1., 2., 5.]])], 2, 2, [2], [2]).tolist()
    [8.0]
    """
    score: Any = 0.0
    for level, user_dim, item_dim in zip(user_rep, user_embedding_dim, item_embedding_dim, strict=True):
        users = level.reshape(-1, user_fea_col, user_dim)  # (B, H_u, d)
        items = item_rep[-1].reshape(-1, item_fea_col, item_dim)  # (B, H_v, d)
        score = score + max_sim(users, items)  # (B,)
    return score

"""MaxSim: how well the heads of two representations match."""

from __future__ import annotations

import torch
from torch import Tensor


def max_sim(users: Tensor, items: Tensor) -> Tensor:
    """sum_p max_q <users[b, p], items[b, q]> for each row b.

    users: (B, H_u, d); items: (B, H_v, d). Returns (B,), under bf16 summed in float32: a sum has more digits than its
    terms.

    >>> users, items = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[[3.0, 1.0], [2.0, 5.0]]])
    >>> max_sim(users, items).tolist()  # max(3, 2) + max(1, 5)
    [8.0]
    """
    if torch.is_grad_enabled():
        return _MaxSim.apply(users, items)
    return _forward(users, items)[0]


def _forward(users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """-> (B,), and (B, H_u): the item head that each user head chose"""
    best = torch.bmm(users, items.transpose(1, 2)).max(dim=2)
    return best.values.sum(dim=1, dtype=torch.promote_types(users.dtype, torch.float32)), best.indices


class _MaxSim(torch.autograd.Function):
    """The gradient as two products with the matrix of choices; autograd takes several times as long, for its copies."""

    @staticmethod
    def forward(ctx, users: Tensor, items: Tensor) -> Tensor:
        score, chosen = _forward(users, items)
        ctx.save_for_backward(users, items, chosen)
        return score

    @staticmethod
    def backward(ctx, gradient: Tensor):
        users, items, chosen = ctx.saved_tensors
        choices = users.new_zeros(*chosen.shape, items.shape[1])  # (B, H_u, H_v)
        values = gradient.to(users.dtype).view(-1, 1, 1).expand(*chosen.shape, 1)
        choices.scatter_(2, chosen.unsqueeze(2), values)
        return torch.bmm(choices, items), torch.bmm(choices.transpose(1, 2), users)

"""MaxSim: how well the heads of two representations match."""

from __future__ import annotations

import torch
from torch import Tensor

import kernels


def max_sim(users: Tensor, items: Tensor) -> Tensor:
    """`plain_max_sim` with a faster gradient.

    users: (B, H_u, d); items: (B, H_v, d). Returns (B,), under bf16 summed in float32: a sum has more digits than its
    terms.

    >>> users, items = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[[3.0, 1.0], [2.0, 5.0]]])
    >>> max_sim(users, items).tolist()  # max(3, 2) + max(1, 5)
    [8.0]
    """
    if torch.is_grad_enabled() and kernels.fast():
        return _MaxSim.apply(users, items)
    return plain_max_sim(users, items)


def plain_max_sim(users: Tensor, items: Tensor) -> Tensor:
    """s_b = sum_p max_q <users[b, p], items[b, q]>"""
    return _summed(_best(users, items).values)


def _best(users: Tensor, items: Tensor) -> torch.return_types.max:
    """-> values and indices, (B, H_u) each: the item head that each user head matches best."""
    return torch.bmm(users, items.transpose(1, 2)).max(dim=2)


def _summed(values: Tensor) -> Tensor:
    return values.sum(dim=1, dtype=torch.promote_types(values.dtype, torch.float32))


class _MaxSim(torch.autograd.Function):
    """The gradient as two products with the matrix of choices; autograd takes several times as long, for its copies."""

    @staticmethod
    def forward(ctx, users: Tensor, items: Tensor) -> Tensor:
        best = _best(users, items)
        ctx.save_for_backward(users, items, best.indices)
        return _summed(best.values)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        users, items, chosen = ctx.saved_tensors
        choices = users.new_zeros(*chosen.shape, items.shape[1])  # (B, H_u, H_v)
        values = gradient.to(users.dtype).view(-1, 1, 1).expand(*chosen.shape, 1)
        choices.scatter_(2, chosen.unsqueeze(2), values)
        return torch.bmm(choices, items), torch.bmm(choices.transpose(1, 2), users)

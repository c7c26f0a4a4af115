"""InfoNCE over a batch: the contrastive loss of IntTower's CIR."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

import kernels


def info_nce(users: Tensor, items: Tensor, excluded: Tensor, positive: Tensor) -> Tensor:
    """`plain_info_nce` in one pass over the similarities for the loss and its gradient.

    users: (P, d), P at least 1; items: (B, d); excluded: (P, B) bool; positive: (P,), the item of each user, which is
    not excluded. Returns a scalar.

    Three items score 0 for the user, of which one is left out: the loss is log 2

    >>> users, items = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    >>> excluded, positive = torch.tensor([[False, True, False]]), torch.tensor([0])
    >>> round(info_nce(users, items, excluded, positive).item(), 4)
    0.6931
    """
    return (_InfoNCE.apply if kernels.fast() else plain_info_nce)(users, items, excluded, positive)


def plain_info_nce(users: Tensor, items: Tensor, excluded: Tensor, positive: Tensor) -> Tensor:
    """- mean over p of log softmax_b(<users_p, items_b>)[positive_p], without the excluded b"""
    return choice_entropy(users @ items.T, excluded, positive)


def choice_entropy(scores: Tensor, excluded: Tensor, positive: Tensor) -> Tensor:
    """- mean over p of log softmax_b(scores_pb)[positive_p], without the excluded b. scores, excluded: (P, B)."""
    return F.cross_entropy(scores.masked_fill(excluded, float("-inf")), positive)


class _InfoNCE(torch.autograd.Function):
    """The (P, B) similarities are the largest tensor of a training step; autograd would pass over them a dozen times.

    The gradient needs the softmax only, which is kept in the same memory.
    """

    @staticmethod
    def forward(ctx, users: Tensor, items: Tensor, excluded: Tensor, positive: Tensor) -> Tensor:
        similarity = (users @ items.T).masked_fill_(excluded, float("-inf"))  # (P, B)
        log_softmax = torch.log_softmax(similarity, dim=1)
        own = log_softmax.gather(1, positive.unsqueeze(1))  # (P, 1)
        residual = log_softmax.exp_()
        residual.scatter_add_(1, positive.unsqueeze(1), -torch.ones_like(own))  # softmax minus the one-hot target
        ctx.save_for_backward(users, items, residual)
        return -own.mean()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        users, items, residual = ctx.saved_tensors
        scale = gradient / len(users)
        return scale * (residual @ items), scale * (residual.T @ users), None, None

"""Losses beside the click loss. Each is a batch mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cir_loss(
    users: Tensor, items: Tensor, labels: Tensor, user_ids: Tensor, item_ids: Tensor, temperature: float
) -> Tensor:
    """Contrastive interaction regularisation (IntTower, section 3.4) as InfoNCE over the batch.

        L = - mean over {b: y_b = 1} of log( exp(cos(u_b, v_b) / tau) / sum over c of exp(cos(u_b, v_c) / tau) )

    where c runs over b itself and the rows that are true negatives for it: a copy of its item, and an item that the
    same user liked in this batch, are left out.

    users, items: (B, d) latent representations; labels, user_ids, item_ids: (B,). Returns a scalar, 0 without positives.
    """
    liked = labels > 0.5
    anchors = liked.nonzero().squeeze(1)  # (P,)
    if len(anchors) == 0:
        return users.sum() * 0.0
    excluded = _liked_by_same_user(user_ids, item_ids, liked)[anchors]  # (P, B)
    excluded.scatter_(1, anchors.unsqueeze(1), False)  # the positive itself stays
    users, items = F.normalize(users[anchors], dim=1), F.normalize(items, dim=1)
    return _InfoNCE.apply(users / temperature, items, excluded, anchors)


class _InfoNCE(torch.autograd.Function):
    """Mean of -log softmax(users @ items.T)[p, positive_p] without the excluded entries.

    The (P, B) similarities are the largest tensor of a training step; autograd would pass over them a dozen times. The
    gradient needs the softmax only, which is kept in the same memory.
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


def _liked_by_same_user(user_ids: Tensor, item_ids: Tensor, liked: Tensor) -> Tensor:
    """(B, B) bool: whether row c shows an item that the user of row b likes in this batch (its own item included)."""
    _, user = user_ids.unique(return_inverse=True)
    items, item = item_ids.unique(return_inverse=True)
    likes = torch.zeros(int(user.max()) + 1, len(items), dtype=torch.bool, device=liked.device)
    likes[user[liked], item[liked]] = True
    return likes[user][:, item]

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
    similarity = F.normalize(users[anchors], dim=1) @ F.normalize(items, dim=1).T / temperature  # (P, B)
    excluded = _liked_by_same_user(user_ids, item_ids, liked)[anchors]  # (P, B)
    positive = similarity.gather(1, anchors.unsqueeze(1))  # (P, 1)
    negatives = similarity.masked_fill(excluded, float("-inf"))  # (P, B); the positive itself is among the excluded
    return (torch.cat([positive, negatives], dim=1).logsumexp(dim=1) - positive.squeeze(1)).mean()


def _liked_by_same_user(user_ids: Tensor, item_ids: Tensor, liked: Tensor) -> Tensor:
    """(B, B) bool: whether row c shows an item that the user of row b likes in this batch (its own item included)."""
    _, user = user_ids.unique(return_inverse=True)
    items, item = item_ids.unique(return_inverse=True)
    likes = torch.zeros(int(user.max()) + 1, len(items), dtype=torch.bool, device=liked.device)
    likes[user[liked], item[liked]] = True
    return likes[user][:, item]

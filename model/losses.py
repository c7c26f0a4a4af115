"""Losses beside the click loss. Each is a batch mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.info_nce import choice_entropy, info_nce
from training.protocols import Candidates


def cir_loss(
    users: Tensor, items: Tensor, labels: Tensor, user_ids: Tensor, item_ids: Tensor, temperature: float
) -> Tensor:
    """Contrastive interaction regularisation (IntTower, section 3.4) as InfoNCE over the batch.

        L = - mean over {b: y_b = 1} of log( exp(cos(u_b, v_b) / tau) / sum over c of exp(cos(u_b, v_c) / tau) )

    where c runs over b itself and the rows that are true negatives for it: a copy of its item, and an item that the
    same user liked in this batch, are left out.

    users, items: (B, d) latent representations; labels, user_ids, item_ids: (B,). Returns a scalar, 0 if none is liked.
    """
    liked = labels > 0.5
    anchors = liked.nonzero().squeeze(1)  # (P,)
    if len(anchors) == 0:
        return users.sum() * 0.0
    excluded = _liked_by_same_user(user_ids, item_ids, liked)[anchors]  # (P, B)
    excluded.scatter_(1, anchors.unsqueeze(1), False)  # the positive itself stays
    users, items = F.normalize(users[anchors], dim=1), F.normalize(items, dim=1)
    return info_nce(users / temperature, items, excluded, anchors)


def _liked_by_same_user(user_ids: Tensor, item_ids: Tensor, liked: Tensor) -> Tensor:
    """(B, B) bool: whether row c shows an item that the user of row b likes in this batch (its own item included)."""
    _, user = user_ids.unique(return_inverse=True)
    items, item = item_ids.unique(return_inverse=True)
    likes = torch.zeros(int(user.max()) + 1, len(items), dtype=torch.bool, device=liked.device)
    likes[user[liked], item[liked]] = True
    return likes[user][:, item]


def in_batch_loss(logits: Tensor, candidates: Candidates) -> Tensor:
    """The softmax over the items of a batch of positives, with the logQ correction (Yi et al., RecSys 2019, section 4).

        L = - mean over b of log( exp(s_bb - log q_b) / sum over c of exp(s_bc - log q_c) )

    q_c: the probability that a row of a batch has the item of row c. Popular items are negatives more often than
    others, and without the correction their scores would be too low. c runs over b itself and the rows whose item is a
    negative of the user of b.

    logits: (B, B), of the user of each row with the item of each row. Returns a scalar.

    Two users and two items that are equally frequent, all logits 0: log 2

    >>> candidates = Candidates(torch.tensor([0.5, 0.5]).log(), torch.zeros(2, 2, dtype=torch.bool))
    >>> round(in_batch_loss(torch.zeros(2, 2), candidates).item(), 4)
    0.6931
    """
    own = torch.arange(len(logits), device=logits.device)
    return choice_entropy(logits - candidates.log_share, candidates.excluded, own)


def generation_loss(mimic: Tensor, original: Tensor, rows: Tensor, kind: str) -> Tensor:
    """How far mimic vectors are from what they mimic, as a mean over the chosen rows (HIT, section 3.2).

    original: (..., B, n), the other tower's representation, through which no gradient flows; mimic: (..., B, n).
    rows: (..., B) 1 for the rows that count, 0 for others.
    kind: a key of `DISTANCES`; or "released", the cosine itself, which training then makes small, as a mean over all
    rows, where those that do not count are zeros.
    Returns (...), 0 without rows.

    Two rows count, of which one points the right way and one at a right angle: (0 + 1) / 2

    >>> mimic = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> original = torch.tensor([[1.0, 0.0], [1.0, 0.0], [5.0, 0.0]])
    >>> generation_loss(mimic, original, torch.tensor([1.0, 1.0, 0.0]), "cosine").item()
    0.5
    """
    original = original.detach()
    if kind == "released":
        return (F.cosine_similarity(mimic, original, dim=-1) * rows).mean(-1)
    distances = DISTANCES[kind](mimic, original)  # (..., B)
    return (distances * rows).sum(-1) / rows.sum(-1).clamp(min=1.0)


DISTANCES = {  # of vectors g and r in rows, (..., n) -> (...)
    "cosine": lambda g, r: 1.0 - F.cosine_similarity(g, r, dim=-1),
    "euclidean": lambda g, r: torch.linalg.vector_norm(g - r, dim=-1),
    "manhattan": lambda g, r: (g - r).abs().sum(dim=-1),
    "mae": lambda g, r: (g - r).abs().mean(dim=-1),
    "mse": lambda g, r: (g - r).square().mean(dim=-1),
}


def mimic_loss(augmented: Tensor, original: Tensor, labels: Tensor, mean: bool = False) -> Tensor:
    """DAT's adaptive mimic loss: mean over the batch of ||y a + (1 - y) p - p||^2, which is ||a - p||^2 where y = 1.

    augmented: a, (B, d); original: p, (B, d), the other tower's output, through which no gradient flows; labels: (B,).
    mean: divides by d, as released.

    >>> a, p = torch.tensor([[1.0, 0.0], [9.0, 9.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    >>> mimic_loss(a, p, torch.tensor([1.0, 0.0])).item()  # ((1 + 1) + 0) / 2
    1.0
    """
    squares = (augmented - original.detach()).square()  # (B, d)
    return (labels * (squares.mean(dim=1) if mean else squares.sum(dim=1))).mean()

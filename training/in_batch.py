"""What the in-batch softmax loss knows of training rows that are all positives (`model.losses.in_batch_loss`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.errors import InputError
from foundation.features import Lists
from training.click_loss import ClickLoss
from training.protocols import BatchSource, Candidates


@dataclass(frozen=True)
class TrainingPairs:
    """The user and the item of each training row, and what follows from all of them.

    user, item: (n,) int64.  log_share: (n,) float32, the log of the share of the rows that have the row's item: with
    what probability a row of a batch has it.  items: of each user.
    """

    user: Tensor
    item: Tensor
    log_share: Tensor
    items: Lists

    @classmethod
    def of(cls, source: BatchSource) -> TrainingPairs | None:
        """None for rows that have labels of both kinds."""
        if source.pairs is None:
            return None
        user, item = (part.long() for part in source.pairs)
        share = item.bincount().double() / len(item)
        order = torch.argsort(user, stable=True)
        bounds = torch.searchsorted(user[order], torch.arange(int(user.max()) + 2, device=user.device))
        return cls(user, item, share.log().float()[item], Lists(item[order], bounds[:-1], bounds[1:]))

    def batch(self, rows: Tensor) -> Candidates:
        """The items of these rows, as candidates of each of them. rows: (B,) int64.

        The items that a user has in any training row are no negatives of the user's; nor are copies of a row's own
        item, which is one of them. The lists of the users of a batch are read, and no table of all users and items.
        """
        owned = self.items.batch(self.user[rows])
        distinct, place = self.item[rows].unique(return_inverse=True)
        found = torch.searchsorted(distinct, owned.values).clamp_(max=len(distinct) - 1)
        hit = distinct[found] == owned.values
        row = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), owned.offsets.diff())
        has = torch.zeros(len(rows), len(distinct), dtype=torch.bool, device=rows.device)
        has[row[hit], found[hit]] = True
        return Candidates(self.log_share[rows], has[:, place].fill_diagonal_(False))


def require_fitting_loss(loss: ClickLoss, train: BatchSource, model: str) -> None:
    """Raises `InputError` for the in-batch loss on labelled rows, and for another one on positives alone.

    model: its name.
    """
    if loss.in_batch and train.pairs is None:
        raise InputError(
            "loss='in_batch' learns from positives alone, and these training rows have labels of both kinds. Leave it "
            "out, or use a log of positives with Negatives(train='in_batch')."
        )
    if not loss.in_batch and train.pairs is not None:
        raise InputError(
            f"The training rows are positives alone, their negatives are the other items of a batch: {model} needs "
            "loss='in_batch' (--loss in_batch), which two-tower models have. Or sample negatives: "
            "Negatives(train='uniform')."
        )

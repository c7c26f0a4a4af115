"""The best items of a catalogue for many users of a data set, exact, by the scores of the item index.

A user stands for a request after training: statistics and histories are those that an index holds
(`preprocessing.label_features.request_tables`). Each item is encoded once for thousands of users, and blocks of users
meet blocks of items, so that memory stays small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from foundation.errors import InputError
from model.pairs import Pairs
from model.scorer import make_scorer
from preprocessing.dataset import Dataset
from preprocessing.feature_table import FeatureTable
from preprocessing.label_features import request_tables

if TYPE_CHECKING:
    from model.base import TwoTower

USERS_ENCODED, ITEMS_ENCODED = 4096, 8192  # at once
USERS_SCORED = 64  # at once
SAMPLE = 8  # users and items on which the scorer is checked
LAST = (1 << 32) - 1  # above the place of any item


class NotMeasuredError(InputError):
    """Nothing is wrong with the input, but a figure has no value for this model or these rows."""


@dataclass(frozen=True)
class Requests:
    """Users and items as a request finds them, and what encodes them. users, items: features, on the model's device."""

    model: TwoTower
    users: FeatureTable
    items: FeatureTable

    @classmethod
    def of(cls, model: TwoTower, data: Dataset) -> Requests:
        """Raises `NotMeasuredError` for a model that reads something of the impression itself."""
        users, items = request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)
        strange = [column.name for column in model.user_columns if column.name not in users]
        strange += [column.name for column in model.item_columns if column.name not in items]
        if strange:
            raise NotMeasuredError(
                f"This {type(model).__name__} reads {', '.join(strange)} of an impression, which is not known of a "
                "user or an item as such, so that all items cannot be ranked for a user."
            )
        return cls(model, users.to(model.device), items.to(model.device))

    def user_vectors(self, rows: np.ndarray) -> Tensor:
        """(U,) rows of users -> (U, R, d)"""
        place = torch.from_numpy(rows).to(self.model.device)
        return self.model.encode_user({one.name: self.users.batch(one.name, place) for one in self.model.user_columns})

    def item_vectors(self, rows: np.ndarray) -> Tensor:
        """(n,) rows of items -> (n, H, d)"""
        place = torch.from_numpy(rows).to(self.model.device)
        return self.model.encode_item({one.name: self.items.batch(one.name, place) for one in self.model.item_columns})


@torch.no_grad()
def best_items(
    requests: Requests, users: np.ndarray, items: np.ndarray, k: int, left_out: Pairs, own: Pairs | None = None
) -> np.ndarray:
    """(U, K) int64, places in `items` of the best K = min(k, N) for each user, best first. Equal ones are in the order
    of `items`, and what is no candidate comes last.

    users: (U,) and items: (N,) rows. left_out: users with places of items that are no candidates of theirs. own: with
    those that are, where it is not all others.
    Raises `NotMeasuredError` for scores that are not finite.
    """
    model = requests.model
    training = model.training
    model.eval()
    try:
        few = requests.user_vectors(users[:SAMPLE]), requests.item_vectors(items[:SAMPLE])
        scorer = make_scorer(model.interaction, *few)
        found = []
        for some in _parts(users, USERS_ENCODED):
            queries = scorer.query(requests.user_vectors(some)).split(USERS_SCORED)
            best = [torch.empty(len(query), 0, dtype=torch.int64, device=model.device) for query in queries]
            for number, rows in enumerate(_parts(items, ITEMS_ENCODED)):
                vectors, first = requests.item_vectors(rows).flatten(1), number * ITEMS_ENCODED
                for part, (own_users, query) in enumerate(zip(_parts(some, USERS_SCORED), queries, strict=True)):
                    logits = scorer.score_items(query, vectors)
                    _require_finite(logits, model)
                    logits = _of_candidates(logits, own_users, first, left_out, own)
                    keys = torch.cat([best[part], sort_keys(logits, first)], dim=1)
                    best[part] = keys.topk(min(k, keys.shape[1])).values
            found += best
        return (LAST - (torch.cat(found) & LAST)).cpu().numpy()
    finally:
        model.train(training)


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def _require_finite(logits: Tensor, model: TwoTower) -> None:
    if not logits.isfinite().all():
        raise NotMeasuredError(
            f"Some scores of this {type(model).__name__} are NaN or infinite, so that items have no order. Train it "
            "again, with a lower learning rate."
        )


def _of_candidates(logits: Tensor, users: np.ndarray, first: int, left_out: Pairs, own: Pairs | None) -> Tensor:
    """Logits (U, n) of the items from place `first` on, -inf where an item is no candidate of the user."""
    places = (left_out if own is None else own).block(users, first, first + logits.shape[1])
    row, column = (torch.from_numpy(part).to(logits.device) for part in places)
    if own is None:
        return logits.index_put((row, column), logits.new_tensor(-torch.inf))
    return torch.full_like(logits, -torch.inf).index_put((row, column), logits[row, column])


def sort_keys(logits: Tensor, first: int) -> Tensor:
    """Logits (U, n) of the items from place `first` on -> (U, n) int64 that are all different and in the same order,
    of equal ones that of the first item above the others: the bits of the logit, then how far its place is from `LAST`.

    >>> sort_keys(torch.tensor([[-0.5, -0.0, 0.0, 2.0]]), 0).argsort(descending=True).tolist()
    [[3, 1, 2, 0]]
    """
    bits = (logits + 0.0).contiguous().view(torch.int32).long()  # of -0.0, too, those of 0.0
    ordered = bits ^ ((bits >> 63) & 0x7FFFFFFF)  # the larger the bits of a negative number, the smaller it is
    return (ordered << 32) + (LAST - first - torch.arange(logits.shape[1], device=logits.device))

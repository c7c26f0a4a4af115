"""Requests as pre-ranking gets them: some users, each with every item of the catalogue, as models score them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from model.base import CTRModel
from model.sources import as_source
from preprocessing.dataset import Dataset, Split
from preprocessing.feature_table import FeatureTable
from preprocessing.label_features import request_tables
from training.evaluation import predict_logits


def draw_users(data: Dataset, count: int) -> np.ndarray:
    """(count,) int64, rows of `data.users` with test rows, drawn by the data set's seed; all where there are fewer."""
    users = np.unique(data.raw.user[data.protocol.splits["test"]]).astype(np.int64)
    order = np.random.default_rng([data.seed, count]).permutation(len(users))
    return np.sort(users[order[:count]])


def candidates(data: Dataset, users: np.ndarray) -> Split:
    """Each of these users (U,) with every item, U * N rows, the items of one user after another.

    Statistics and histories are those that a request finds (`request_tables`). Features of the log (a page, a position)
    are for all items those of the user's first test row, which each of the users must have then.
    """
    user_table, item_table = request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)
    items, test = len(data.raw.items), data.protocol.splits["test"]
    context = {}
    if data.raw.interactions:
        tested, place = np.unique(data.raw.user[test], return_index=True)
        first = torch.from_numpy(test[place[np.searchsorted(tested, users)]])
        context = {name: data.per_row.values[name][first] for name in data.raw.interactions}
    pairs = replace(
        data,
        users=user_table,
        items=item_table,
        per_row=FeatureTable({name: values.repeat_interleave(items) for name, values in context.items()}),
        user=torch.from_numpy(np.repeat(users, items).astype(np.int32)),
        item=torch.arange(items, dtype=torch.int32).repeat(len(users)),
        label=torch.zeros(len(users) * items),  # nobody knows
    )
    return Split(pairs, torch.arange(len(users) * items))


def candidate_scores(model: CTRModel, requests: Split) -> np.ndarray:
    """(U, N) float32 logits. requests: of `candidates`.

    A two-tower model encodes each user and item once; a ranking model reads all pairs, 8,192 at a time.
    Raises `InputError` for requests that are encoded otherwise than what the model was trained on.
    """
    source = as_source(requests, None, model.columns, model.encoding, labelled=False)
    logits = predict_logits(model, source.to(model.device))
    return logits.cpu().numpy().reshape(-1, len(requests.dataset.raw.items))

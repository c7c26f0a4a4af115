"""Requests as pre-ranking gets them: some users, each with every item of the catalogue, as models score them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from foundation.features import Lists
from model.base import CTRModel
from model.sources import as_source
from preprocessing.dataset import Dataset, Split
from preprocessing.feature_table import FeatureTable
from serving.from_run import histories, mean_labels
from training.trainer import predict_logits


def draw_users(data: Dataset, count: int) -> np.ndarray:
    """(count,) int64, rows of `data.users` with test rows, drawn by the data set's seed; all where there are fewer."""
    users = np.unique(data.raw.user[data.protocol.splits["test"]]).astype(np.int64)
    order = np.random.default_rng([data.seed, count]).permutation(len(users))
    return np.sort(users[order[:count]])


def candidates(data: Dataset, users: np.ndarray) -> Split:
    """Each of these users (U,) with every item, U * N rows, the items of one user after another.

    Statistics and histories are made of all training rows, as for a request (`serving.from_run`). Under `holdout` and
    `temporal` a test row of the pair has the same. Under `published` a test row has statistics of the test labels,
    which pairs without a test row do not have, and a request neither.
    """
    schema, items = data.schema, len(data.raw.items)
    user_values, item_values = {}, {}
    user_lists: dict[str, Lists] = {}
    if schema.user_statistic:
        user_values[schema.user_statistic] = mean_labels(data, data.raw.user, len(data.raw.users))
    if schema.item_statistic:
        item_values[schema.item_statistic] = mean_labels(data, data.raw.item, items)
    if schema.history:
        user_lists[schema.history] = histories(data)
    pairs = replace(
        data,
        users=FeatureTable(data.users.values | user_values, data.users.lists | user_lists),
        items=FeatureTable(data.items.values | item_values, data.items.lists),
        per_row=FeatureTable(),
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

"""The `published` protocol: rows, splits and label statistics as the releases' scripts make them."""

from __future__ import annotations

import numpy as np

from preprocessing.raw import RawData, Schema
from preprocessing.split_protocol import SplitProtocol, View, random_split


def published(raw: RawData, seed: int, validation_rows: str, statistics: str) -> SplitProtocol:
    """As the published scripts do: a random split without the users that have no positive, and label statistics, not
    smoothed, that hold the labels of the rows that read them."""
    positives = np.bincount(raw.user, weights=raw.label, minlength=len(raw.users))
    kept = positives[raw.user] > 0
    splits = {split: rows[kept[rows]] for split, rows in random_split(len(raw), seed).items()}
    if raw.schema.published_statistics == "all":
        sharing = [np.concatenate(list(splits.values()))]
    else:
        sharing = list(splits.values())
    views = [View(rows, rows) for rows in sharing]
    return SplitProtocol("published", splits, views, smoothing=0.0, leak=_leak(raw.schema))


def _leak(schema: Schema) -> str:
    """What the published protocol leaks, in words."""
    how = {
        "split": "the labels of the split they are used in, the scored row included",
        "all": "the labels of all rows before the split, the scored one included",
    }[schema.published_statistics]
    if schema.reads_labels:
        statistics = ["a user's and an item's mean label"] * bool(schema.user_statistic or schema.item_statistic)
        return f"{' and '.join(statistics + ['the history'] * bool(schema.history))} are made from {how}"
    return "users are dropped for having no positive among all rows, those of the test split included"

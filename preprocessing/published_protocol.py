"""The `published` protocol: rows, splits and label statistics as the releases' scripts make them, to the row.

The releases (docs/published_code.md) join tables with pandas, which drops and sorts rows. What follows from that is
written here as what it does: which rows are left, and in which order, since validation rows are the last of that order.
A log is in order of time first, equal times in file order.

MovieLens ("split" in `Schema.published_statistics`): rows are divided, then each part is joined with its own
statistics. Amazon and Taobao ("all"): all rows are joined, then divided. Taobao's rows are also joined with profiles
and ads, so that rows without one of them drop out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from foundation.errors import InputError
from preprocessing.raw import RawData, Schema
from preprocessing.split_protocol import SplitProtocol, View

RANDOM_VALIDATION = 20  # beside the seed, of the generator that draws validation rows in place of the tail


def published(raw: RawData, seed: int, validation_rows: str, statistics: str) -> SplitProtocol:
    """Raises `InputError` for a seed that the releases' generator does not take, and for a switch without an effect.

    validation_rows: "tail", the last 20 % of the training part in the order of its joins, or "random" ones of it.
    statistics: of "two_parts", training and validation rows together and test rows, or of "three_parts".
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"The published protocol takes seeds from 0 to {2**32 - 1}. Received: {seed}.")
    _require_effect(raw, validation_rows, statistics)
    described = np.flatnonzero(raw.described)
    log = described[np.argsort(raw.timestamp[described], kind="stable")]
    if raw.schema.published_statistics == "all":
        joined = _joined(log, raw)
        part, test = _train_test_split(joined, seed)
        encoded = scaled = joined
    else:
        divided = _train_test_split(log, seed)
        part, test = (_joined(rows, raw) for rows in divided)
        encoded, scaled = log, test
    train, validation = _tail(part) if validation_rows == "tail" else _random(part, seed)
    splits = {"train": train, "validation": validation, "test": test}
    if raw.schema.published_statistics == "all":
        sharing = [encoded]
    else:
        sharing = [part, test] if statistics == "two_parts" else list(splits.values())
    return SplitProtocol(
        "published",
        splits,
        [View(rows, rows) for rows in sharing],
        smoothing=0.0,
        leak=_leak(raw.schema, statistics),
        encoded_by=encoded,
        filled_by=np.arange(len(raw)),
        scaled_by=scaled,
        dropped={
            "users or items without a description": len(raw) - len(log),
            "users without a positive": len(log) - len(part) - len(test),
        },
    )


def _require_effect(raw: RawData, validation_rows: str, statistics: str) -> None:
    schema = raw.schema
    if validation_rows == "random" and schema.published_statistics == "all":
        raise InputError(
            f"validation_rows=random does nothing for '{raw.name}': its releases shuffle all rows before they take the "
            "last as validation rows, which are random therefore. Leave it out."
        )
    if statistics == "three_parts" and schema.published_statistics == "all":
        raise InputError(
            f"statistics=three_parts does nothing for '{raw.name}': its statistics are of all rows. Leave it out."
        )


def _train_test_split(rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As scikit-learn's `train_test_split(rows, test_size=0.2)` with numpy's global generator at this seed."""
    order = np.random.RandomState(seed).permutation(len(rows))
    count = int(np.ceil(0.2 * len(rows)))
    return rows[order[count:]], rows[order[:count]]


def _joined(rows: np.ndarray, raw: RawData) -> np.ndarray:
    """The rows of users with a positive among them, by user, and by item where items have a statistic: its join comes
    last. Equal ones stay in order."""
    positives = np.bincount(raw.user[rows], weights=raw.label[rows], minlength=len(raw.users))
    rows = rows[positives[raw.user[rows]] > 0]
    keys = [_ranks(raw.users[raw.schema.user_id])[raw.user[rows]]]
    if raw.schema.item_statistic:
        keys.append(_ranks(raw.items[raw.schema.item_id])[raw.item[rows]])
    return rows[np.lexsort(keys)]


def _ranks(ids: pd.Series) -> np.ndarray:
    """The place of each id among all in order."""
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[pd.Index(ids).argsort()] = np.arange(len(ids))
    return ranks


def _tail(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `fit(validation_split=0.2)` of deepctr-torch."""
    cut = int(len(part) * (1.0 - 0.2))
    return part[:cut], part[cut:]


def _random(part: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As many validation rows as `_tail` takes."""
    places = np.random.default_rng([seed, RANDOM_VALIDATION]).permutation(len(part))
    train, validation = _tail(places)
    return part[np.sort(train)], part[np.sort(validation)]


def _leak(schema: Schema, statistics: str) -> str:
    """What the published protocol leaks, in words."""
    if not schema.reads_labels:
        return "users are dropped for having no positive among all rows, those of the test split included"
    made = ["a user's and an item's mean label"] * bool(schema.user_statistic or schema.item_statistic)
    made += ["the history"] * bool(schema.history)
    if schema.published_statistics == "all":
        how = "all rows before the split"
    elif statistics == "three_parts":
        how = "the split they are used in"
    else:
        how = "the part they are used in (training and validation rows are one, test rows the other)"
    return f"{' and '.join(made)} are made from the labels of {how}, the scored row included"

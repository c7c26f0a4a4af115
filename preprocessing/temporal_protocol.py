"""The `temporal` protocol: a model is tested on what comes after all that it was trained on.

The test rows come last. What is before them is the training period, and validation rows are taken from its end. There,
most rows are of users who have just come, because a log that grows does so by new users: rows that merely come next
("next") are of users that training never saw far more often than the test rows are of users that the training period
never saw, and choose what suits such users. "known" takes them so that both shares agree, and leaves the rest of the
window to training.
"""

from __future__ import annotations

import numpy as np

from foundation.errors import InputError
from preprocessing.raw import RawData
from preprocessing.split_protocol import SMOOTHING, SPLITS, SplitProtocol, View

DAY_SECONDS = 86_400
DRAW = 20  # seeds the draw of new users, which is to be the same whatever the seed of a run


def temporal(raw: RawData, seed: int, validation_rows: str, statistics: str, refit: bool) -> SplitProtocol:
    """A split by time, whatever the seed. validation_rows: "known" or "next".

    A training row reads the labels of earlier training rows. Rows of the other splits read those of all training rows
    ("frozen") or, as a request would find them, all that are earlier ("as_of"): a validation row those of training and
    validation rows, a test row those of the whole log.

    refit: the validation rows are training rows.
    Raises `InputError` for rows that all have one time, and for fewer than three days where the split is by days.
    """
    if len(raw) > 1 and raw.timestamp.min() == raw.timestamp.max():
        raise InputError(
            f"The temporal protocol needs times, and all {len(raw):,} rows of '{raw.name}' have the same one or none. "
            "Name their column (timestamp=..., or time = ... in dataset.toml), or use --protocol holdout."
        )
    parts = _by_order(raw, validation_rows) if raw.schema.day_start is None else _by_days(raw, raw.schema.day_start)
    before, window, test = parts
    held_out = np.ones(len(window), dtype=bool) if validation_rows == "next" else _as_known(raw.user, *parts)
    if refit:
        splits = {"train": np.concatenate([before, window]), "test": test}
    else:
        train = np.concatenate([before, window[~held_out]])
        splits = {"train": train, "validation": window[held_out], "test": test}
    if raw.schema.day_start is not None:
        splits = {split: np.sort(rows) for split, rows in splits.items()}
    return SplitProtocol("temporal", splits, _views(splits, statistics), SMOOTHING)


def _by_order(raw: RawData, validation_rows: str) -> list[np.ndarray]:
    """Rows before the window that validation rows are taken from, the window, and the test rows: the last 10 %.

    In order of time, equal times in file order. The window is the last 20 % of what is before the test rows; for
    "next", which takes all of it, 10 % of the log.
    """
    order = np.argsort(raw.timestamp, kind="stable")
    test = int(len(order) * 0.9)
    window = int(len(order) * 0.8) if validation_rows == "next" else int(test * 0.8)
    return np.split(order, [window, test])


def _by_days(raw: RawData, day_start: int) -> list[np.ndarray]:
    """As `_by_order`: the last day is test, the one before it the window. Raises `InputError` for fewer than three."""
    day = (raw.timestamp - day_start) // DAY_SECONDS
    day -= day.max() - 2 if len(day) else 0
    parts = [np.flatnonzero(chosen) for chosen in (day < 1, day == 1, day == 2)]
    empty = [split for split, rows in zip(SPLITS, parts, strict=True) if not len(rows)]
    if empty:
        raise InputError(
            f"The temporal protocol of '{raw.name}' tests on the last day, validates on the day before and trains on "
            f"the days before that; {', '.join(empty)} would be empty. Use data of at least three days in a row "
            "(--sample_rate keeps all days, --max_rows the first) or another protocol."
        )
    return parts


def _as_known(user: np.ndarray, before: np.ndarray, window: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Which rows of the window are for validation, so that its users are as known as the test's: (window,) bool.

    All rows of users that have rows before the window, and all rows of some users that have none: drawn, one after the
    other, until the share of their rows is as near as can be to the share of test rows of users that have rows neither
    before the window nor in it. All users of the window where none of them is known.
    """
    known = np.isin(user[window], user[before])
    if not known.any():
        return np.ones(len(window), dtype=bool)
    new = float(np.mean(~np.isin(user[test], np.concatenate([user[before], user[window]]))))
    users, rows = np.unique(user[window[~known]], return_counts=True)
    order = np.random.default_rng(DRAW).permutation(len(users))
    drawn = np.concatenate([[0], np.cumsum(rows[order])])
    nearest = int(np.argmin(np.abs(drawn / (drawn + np.count_nonzero(known)) - new)))
    return known | np.isin(user[window], users[order[:nearest]])


def _views(splits: dict[str, np.ndarray], statistics: str) -> list[View]:
    train = splits["train"]
    views = [View(train, train, earlier_only=True)]
    if statistics == "frozen":
        return [*views, View(np.concatenate([rows for split, rows in splits.items() if split != "train"]), train)]
    so_far = train
    for split in SPLITS[1:]:
        if split in splits:
            so_far = np.concatenate([so_far, splits[split]])
            views.append(View(splits[split], so_far, earlier_only=True))
    return views

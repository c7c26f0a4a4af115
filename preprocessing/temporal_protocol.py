"""The `temporal` protocol: a model is tested on what comes after all that it was trained on."""

from __future__ import annotations

import numpy as np

from foundation.errors import InputError
from preprocessing.raw import RawData
from preprocessing.split_protocol import SMOOTHING, SPLITS, SplitProtocol, View

DAY_SECONDS = 86_400


def temporal(raw: RawData, seed: int, validation_rows: str, statistics: str) -> SplitProtocol:
    """A split by time, whatever the seed; a training row reads the labels of earlier training rows, a row of the other
    splits those of all training rows."""
    splits = _split_in_order(raw) if raw.schema.day_start is None else _split_by_days(raw, raw.schema.day_start)
    train, scored = splits["train"], np.concatenate([splits["validation"], splits["test"]])
    views = [View(train, train, earlier_only=True), View(scored, train)]
    return SplitProtocol("temporal", splits, views, SMOOTHING)


def _split_in_order(raw: RawData) -> dict[str, np.ndarray]:
    """First 80 % train, next 10 % validation, last 10 % test, equal times in file order."""
    order = np.argsort(raw.timestamp, kind="stable")
    return dict(zip(SPLITS, np.split(order, [int(len(order) * 0.8), int(len(order) * 0.9)]), strict=True))


def _split_by_days(raw: RawData, day_start: int) -> dict[str, np.ndarray]:
    """The last day is test, the one before it validation. Raises `InputError` for fewer than three days."""
    day = (raw.timestamp - day_start) // DAY_SECONDS
    day -= day.max() - 2 if len(day) else 0
    splits = {"train": day < 1, "validation": day == 1, "test": day == 2}
    empty = [split for split, chosen in splits.items() if not chosen.any()]
    if empty:
        raise InputError(
            f"The temporal protocol of '{raw.name}' tests on the last day, validates on the day before and trains on "
            f"the days before that; {', '.join(empty)} would be empty. Use data of at least three days in a row "
            "(--sample_rate keeps all days, --max_rows the first) or another protocol."
        )
    return {split: np.flatnonzero(chosen) for split, chosen in splits.items()}

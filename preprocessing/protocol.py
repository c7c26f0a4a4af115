"""What each row may know: the splits and the views of the three protocols (`README.md`, "Protocols").

A protocol is a split and a list of `View`s. A view says which rows *read* a statistic or a history and which rows'
labels they see. All of the honesty of an evaluation is in that one list; what is computed from it
(`preprocessing.label_statistics`) is the same code for every protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from foundation.errors import InputError
from preprocessing.raw import RawData, Schema

SPLITS = ("train", "validation", "test")
FOLDS = 5
# Rows of prior that a mean label is smoothed with, where the protocol is honest. The published one does not smooth.
SMOOTHING = 10.0
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class View:
    """`readers` see the labels of `sources`; with `earlier_only`, of those with a smaller timestamp alone."""

    readers: np.ndarray
    sources: np.ndarray
    earlier_only: bool = False

    def __repr__(self) -> str:
        """
        >>> View(np.arange(2), np.arange(5), earlier_only=True)
        View: 2 rows read the earlier labels of 5
        """
        which = "earlier labels" if self.earlier_only else "labels"
        return f"View: {len(self.readers):,} rows read the {which} of {len(self.sources):,}"


@dataclass(frozen=True)
class SplitProtocol:
    """Row numbers of the splits, and the views that cover each row as a reader exactly once (none if no one reads)."""

    name: str
    splits: dict[str, np.ndarray]
    views: list[View]
    smoothing: float
    leak: str | None = None  # how labels reach features or splits that should not know them, in words

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in self.splits.items())
        return f"SplitProtocol {self.name}: {sizes} rows; leaks {'labels' if self.leaks_labels else 'no labels'}"

    @property
    def leaks_labels(self) -> bool:
        """Whether labels reach what should not know them; encoders are then fitted on all splits, too."""
        return self.leak is not None


def make_protocol(name: str, raw: RawData, seed: int) -> SplitProtocol:
    """Splits `raw` and says what each row may see. Depends on the protocol, the data and the seed alone.

    Raises `InputError` for an unknown name, too few rows, or a split with a single class.
    """
    if name not in PROTOCOLS:
        raise InputError(f"Unknown protocol '{name}'. Known: {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[name](raw, seed)
    _require_both_classes(protocol.splits, raw.label)
    return protocol if raw.schema.reads_labels else replace(protocol, views=[])


def published(raw: RawData, seed: int) -> SplitProtocol:
    """As the published scripts do: a random split without the users that have no positive, and label statistics, not
    smoothed, that hold the labels of the rows that read them."""
    positives = np.bincount(raw.user, weights=raw.label, minlength=len(raw.users))
    kept = positives[raw.user] > 0
    splits = {split: rows[kept[rows]] for split, rows in _random_split(len(raw), seed).items()}
    if raw.schema.published_statistics == "all":
        sharing = [np.concatenate(list(splits.values()))]
    else:
        sharing = list(splits.values())
    views = [View(rows, rows) for rows in sharing]
    return SplitProtocol("published", splits, views, smoothing=0.0, leak=_leak(raw.schema))


def holdout(raw: RawData, seed: int) -> SplitProtocol:
    """A random split; a training row reads the labels of the four folds of the training rows that it is not in, a row
    of the other splits those of all training rows."""
    splits = _random_split(len(raw), seed)
    train, scored = splits["train"], np.concatenate([splits["validation"], splits["test"]])
    fold = np.random.default_rng([seed, FOLDS]).permutation(len(train)) % FOLDS
    views = [View(train[fold == k], train[fold != k]) for k in range(FOLDS)]
    return SplitProtocol("holdout", splits, [*views, View(scored, train)], SMOOTHING)


def temporal(raw: RawData, seed: int) -> SplitProtocol:
    """A split by time, whatever the seed; a training row reads the labels of earlier training rows, a row of the other
    splits those of all training rows."""
    splits = _split_in_order(raw) if raw.schema.day_start is None else _split_by_days(raw, raw.schema.day_start)
    train, scored = splits["train"], np.concatenate([splits["validation"], splits["test"]])
    views = [View(train, train, earlier_only=True), View(scored, train)]
    return SplitProtocol("temporal", splits, views, SMOOTHING)


PROTOCOLS: dict[str, Callable[[RawData, int], SplitProtocol]] = {
    "published": published,
    "holdout": holdout,
    "temporal": temporal,
}


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


def _random_split(count: int, seed: int) -> dict[str, np.ndarray]:
    """80 % train, of which 20 % are set apart for validation; 20 % test. Rows of a split are in order."""
    order = np.random.default_rng(seed).permutation(count)
    test = count - int(count * 0.8)
    validation = int((count - test) * 0.2)
    part = np.zeros(count, dtype=np.uint8)  # marking and reading off the marks is faster than sorting
    part[order[:test]] = 2
    part[order[test : test + validation]] = 1
    return {split: np.flatnonzero(part == number) for number, split in enumerate(SPLITS)}


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


def _require_both_classes(splits: dict[str, np.ndarray], label: np.ndarray) -> None:
    for split, rows in splits.items():
        positives = int(np.count_nonzero(label[rows]))
        if positives in (0, len(rows)):
            raise InputError(
                f"The {split} split has labels of one class only: {positives} positive of {len(rows)} rows. "
                "AUC needs both; use more rows (--max_rows) or another protocol."
            )

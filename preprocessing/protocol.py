"""What each row may know: splits, label statistics and histories of the three protocols (`README.md`, "Protocols").

A protocol is a split and a list of `View`s. A view says which rows *read* a statistic or a history and which rows'
labels they see. All of the honesty of an evaluation is in that one list; what is computed from it is the same code for
every protocol.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foundation.errors import InputError
from preprocessing.raw import RawData, Schema

PROTOCOLS = ("published", "holdout", "temporal")
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


@dataclass(frozen=True)
class Protocol:
    """Row numbers of the splits, and the views that cover each row as a reader exactly once (none if no one reads)."""

    name: str
    splits: dict[str, np.ndarray]
    views: list[View]
    smoothing: float
    leak: str | None = None  # how labels reach features or splits that should not know them, in words

    @property
    def leaks_labels(self) -> bool:
        """Whether labels reach what should not know them; encoders are then fitted on all splits, too."""
        return self.name == "published"


def make_protocol(name: str, raw: RawData, seed: int) -> Protocol:
    """Splits `raw` and says what each row may see. Depends on the protocol, the data and the seed alone.

    Raises `InputError` for an unknown name, too few rows, or a split with a single class.
    """
    if name not in PROTOCOLS:
        raise InputError(f"Unknown protocol '{name}'. Known: {', '.join(PROTOCOLS)}.")
    splits = _split_by_time(raw) if name == "temporal" else _split_at_random(len(raw), seed)
    if name == "published":
        kept = _has_positive(raw)[raw.user]
        splits = {split: rows[kept[rows]] for split, rows in splits.items()}
    _check_splits(splits, raw.label)
    return Protocol(
        name,
        splits,
        views=_views(name, splits, raw.schema, seed) if raw.schema.reads_labels else [],
        smoothing=0.0 if name == "published" else SMOOTHING,
        leak=_leak(raw.schema) if name == "published" else None,
    )


def _leak(schema: Schema) -> str:
    how = {
        "split": "the labels of the split they are used in, the scored row included",
        "all": "the labels of all rows before the split, the scored one included",
    }[schema.published_statistics]
    if schema.reads_labels:
        statistics = ["a user's and an item's mean label"] * bool(schema.user_statistic or schema.item_statistic)
        return f"{' and '.join(statistics + ['the history'] * bool(schema.history))} are made from {how}"
    return "users are dropped for having no positive among all rows, those of the test split included"


def _views(name: str, splits: dict[str, np.ndarray], schema: Schema, seed: int) -> list[View]:
    train, scored = splits["train"], np.concatenate([splits["validation"], splits["test"]])
    if name == "published" and schema.published_statistics == "all":
        rows = np.concatenate([train, scored])
        return [View(rows, rows)]
    if name == "published":
        return [View(rows, rows) for rows in splits.values()]
    if name == "holdout":
        fold = np.random.default_rng([seed, FOLDS]).permutation(len(train)) % FOLDS
        return [View(train[fold == k], train[fold != k]) for k in range(FOLDS)] + [View(scored, train)]
    return [View(train, train, earlier_only=True), View(scored, train)]


def _split_at_random(count: int, seed: int) -> dict[str, np.ndarray]:
    """80 % train, of which 20 % are set apart for validation; 20 % test. Rows of a split are in order."""
    order = np.random.default_rng(seed).permutation(count)
    test = count - int(count * 0.8)
    validation = int((count - test) * 0.2)
    part = np.zeros(count, dtype=np.uint8)  # marking and reading off the marks is faster than sorting
    part[order[:test]] = 2
    part[order[test : test + validation]] = 1
    return {split: np.flatnonzero(part == number) for number, split in enumerate(SPLITS)}


def _split_by_time(raw: RawData) -> dict[str, np.ndarray]:
    """First 80 % train, next 10 % validation, last 10 % test, equal times in file order; or by the last two days."""
    if raw.schema.day_start is None:
        order = np.argsort(raw.timestamp, kind="stable")
        return dict(zip(SPLITS, np.split(order, [int(len(order) * 0.8), int(len(order) * 0.9)]), strict=True))
    day = (raw.timestamp - raw.schema.day_start) // DAY_SECONDS
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


def _has_positive(raw: RawData) -> np.ndarray:
    """(users,) bool: the published scripts keep no row of a user without a positive."""
    return np.bincount(raw.user, weights=raw.label, minlength=len(raw.users)) > 0


def _check_splits(splits: dict[str, np.ndarray], label: np.ndarray) -> None:
    for split, rows in splits.items():
        positives = int(np.count_nonzero(label[rows]))
        if positives in (0, len(rows)):
            raise InputError(
                f"The {split} split has labels of one class only: {positives} positive of {len(rows)} rows. "
                "AUC needs both; use more rows (--max_rows) or another protocol."
            )


def mean_label(views: list[View], entity: np.ndarray, raw: RawData, smoothing: float) -> np.ndarray:
    """The mean label of each row's entity, over the rows that it may see: (n,) float32 in 0..1.

    With s = `smoothing` and the mean label m of all visible rows: (sum + s m) / (count + s), so that an entity without
    visible rows gets m. A row that sees nothing at all gets 0.5.

    entity: (n,) int, row numbers of the users or of the items.
    """
    result = np.full(len(raw), 0.5, dtype=np.float64)
    for view in views:
        if view.earlier_only:
            total, count = _earlier_sums(entity[view.sources], raw.timestamp[view.sources], raw.label[view.sources])
            all_total, all_count = _earlier_sums(
                np.zeros(len(view.sources), dtype=np.int64), raw.timestamp[view.sources], raw.label[view.sources]
            )
            prior = np.divide(all_total, all_count, out=np.full(len(count), 0.5), where=all_count > 0)
        else:
            seen, label = entity[view.sources], raw.label[view.sources]
            size = int(entity.max()) + 1
            total = np.bincount(seen, weights=label, minlength=size)[entity[view.readers]]
            count = np.bincount(seen, minlength=size)[entity[view.readers]]
            prior = np.full(len(count), label.mean(dtype=np.float64))
        weight = count + smoothing
        result[view.readers] = np.divide(total + smoothing * prior, weight, out=prior, where=weight > 0)
    return result.astype(np.float32)


def _earlier_sums(entity: np.ndarray, timestamp: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row, the sum and the count of its entity's labels at strictly smaller timestamps."""
    order, entity_start, tie_start = _time_groups(entity, timestamp)
    cumulative = np.concatenate([[0.0], np.cumsum(label[order], dtype=np.float64)])
    total, count = np.empty(len(order)), np.empty(len(order), dtype=np.int64)
    total[order] = cumulative[tie_start] - cumulative[entity_start]
    count[order] = tie_start - entity_start
    return total, count


def _time_groups(entity: np.ndarray, timestamp: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows ordered by entity, then time, and for each place in that order where its entity and its tie began."""
    order = np.lexsort((timestamp, entity))
    place = np.arange(len(order))
    new_entity = np.diff(entity[order], prepend=-1) != 0
    new_time = new_entity | (np.diff(timestamp[order], prepend=-1) != 0)
    starts = [np.maximum.accumulate(np.where(new, place, 0)) for new in (new_entity, new_time)]
    return order, starts[0], starts[1]


@dataclass(frozen=True)
class Histories:
    """The liked items of each row's user, oldest first: row i has `items[start[i]:end[i]]`.

    items: (total,) int32 row numbers of items, one time-ordered pool a view; start, end: (n,) int64.
    """

    items: np.ndarray
    start: np.ndarray
    end: np.ndarray


def liked_items(views: list[View], raw: RawData) -> Histories:
    """Each row's history as a slice of its user's time-ordered liked items, over the rows that it may see."""
    pools, offset = [], 0
    start, end = np.zeros(len(raw), dtype=np.int64), np.zeros(len(raw), dtype=np.int64)
    for view in views:
        liked = view.sources[raw.label[view.sources] == 1]
        liked = liked[np.lexsort((raw.timestamp[liked], raw.user[liked]))]
        pools.append(raw.item[liked])
        bounds = offset + np.searchsorted(raw.user[liked], np.arange(len(raw.users) + 1))
        start[view.readers] = bounds[raw.user[view.readers]]
        if view.earlier_only:
            earlier, _ = _earlier_sums(
                raw.user[view.sources], raw.timestamp[view.sources], raw.label[view.sources]
            )  # a sum of 0/1 labels is the number of liked items
            end[view.sources] = start[view.sources] + earlier.astype(np.int64)
        else:
            end[view.readers] = bounds[raw.user[view.readers] + 1]
        offset += len(liked)
    return Histories(np.concatenate(pools).astype(np.int32), start, end)

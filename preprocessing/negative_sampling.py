"""Sampled negatives: a log of positives alone -> rows of both labels, split and seen as its positives are.

Items lie on a line, each as long as its weight: 1 each ("uniform"), or its number of training positives ("popularity").
A negative is the item at a random point of what is left of the line when the user's positives are cut out of it, and
the negatives that the row has already. So nothing is drawn twice: each draw is one random number, at a place that hangs
on the seed and the place of the positive in its split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from foundation.errors import InputError
from preprocessing.raw import RawData, RowCount
from preprocessing.split_protocol import SplitProtocol, View

STREAM = 22  # keeps the draws apart from those of the split, which has the same seed
STREAMS: Mapping[str, int] = {"train": 0, "validation": 1, "test": 2}


def with_statistics_that_say_something(raw: RawData) -> RawData:
    """Mean labels of sampled rows: a user's says how many negatives were sampled, which is the same for all; an item's
    how popular it is, but only where the negatives of training are uniform."""
    item = raw.schema.item_statistic if raw.negatives and raw.negatives.train == "uniform" else None
    return replace(raw, schema=replace(raw.schema, user_statistic=None, item_statistic=item))


def only_positives(raw: RawData) -> RawData:
    """The positives of a log of positives, before and after it got its negatives. A user's item counts once, the
    first time: a negative is never one of the user's items, so that a model would know repetitions by the history.

    Raises `InputError` for a label of 0 in a log that has no negatives yet.
    """
    rows = np.flatnonzero(raw.label == 1)
    in_time = rows[np.argsort(raw.timestamp[rows], kind="stable")]
    _, first = np.unique(_pairs(raw, in_time), return_index=True)
    kept = np.sort(in_time[first])
    counts = raw.counts
    if len(kept) < len(rows):
        dropped = {"a user's item again": len(rows) - len(kept)}
        counts = (*counts, RowCount("positives", len(rows), len(kept), dropped))
    return replace(raw.take(kept), counts=counts)


def with_negatives(raw: RawData, rules: SplitProtocol, seed: int) -> tuple[RawData, SplitProtocol]:
    """The rows of a log of positives with sampled ones behind them, and splits and views of all rows.

    A negative has user, time and log features of its positive, is in the same split, and reads and is read in the same
    views: in the same fold under `holdout`. It is an item that the user has nowhere in the log. A user who has nearly
    all items gets fewer of them.

    raw: of `only_positives`. rules: its splits and views. Raises `InputError` for a split that gets no negative.
    """
    assert raw.negatives is not None
    known = KnownPairs.of(raw)
    owner, item = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int32)]  # of each negative
    for split, rows in rules.splits.items():
        how = raw.negatives.of(split)
        if how is not None:
            weights = _weights(how, raw, rules.splits["train"])
            rng = np.random.default_rng([seed, STREAM, STREAMS[split]])
            drawn = sample(rng, raw.user[rows], raw.negatives.per_positive, weights, known)
            found = drawn >= 0
            owner.append(np.repeat(rows, found.sum(axis=1)))
            item.append(drawn[found])
            _require_both_classes(raw, split, len(rows), int(found.sum()))
    owners, items = np.concatenate(owner), np.concatenate(item)
    order = np.argsort(owners, kind="stable")  # splits one behind the other -> positives one behind the other
    owners, items = owners[order], items[order]
    groups = Groups(len(raw), np.searchsorted(owners, np.arange(len(raw) + 1)))
    both = raw.take(np.concatenate([np.arange(len(raw)), owners]))
    both.item[len(raw) :] = items
    both.label[len(raw) :] = 0.0
    return replace(both, best_score=None), groups.of_protocol(rules)


@dataclass(frozen=True)
class Groups:
    """Each positive with its negatives. start: (positives + 1,), where those of each begin, behind all positives."""

    positives: int
    start: np.ndarray

    def rows(self, positives: np.ndarray) -> np.ndarray:
        """Each of these positives, and its negatives behind it.

        Of two positives the second has two negatives, rows 2 and 3

        >>> Groups(2, np.array([0, 0, 2])).rows(np.array([1, 0])).tolist()
        [1, 2, 3, 0]
        """
        size = self.start[positives + 1] - self.start[positives] + 1
        place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)  # in its group
        negative = self.positives - 1 + np.repeat(self.start[positives], size) + place
        return np.where(place == 0, np.repeat(positives, size), negative)

    def of_protocol(self, rules: SplitProtocol) -> SplitProtocol:
        return replace(
            rules,
            splits={split: self.rows(rows) for split, rows in rules.splits.items()},
            views=[View(self.rows(view.readers), self.rows(view.sources), view.earlier_only) for view in rules.views],
        )


@dataclass(frozen=True)
class KnownPairs:
    """The distinct items of each user, ascending. item: (pairs,); start: (users + 1,)."""

    item: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, raw: RawData) -> KnownPairs:
        user, item = np.divmod(np.unique(_pairs(raw, np.arange(len(raw)))), len(raw.items))
        return cls(item, np.searchsorted(user, np.arange(len(raw.users) + 1)))


def sample(
    rng: np.random.Generator, user: np.ndarray, count: int, weights: np.ndarray, known: KnownPairs
) -> np.ndarray:
    """(n, count) int32: distinct items, none of which the row's user has, in proportion to their weights; -1 where
    there are no more.

    user: (n,).  weights: (items,) int64 of at least 0.
    """
    user = user.astype(np.int64)
    first = np.cumsum(weights) - weights  # where each item begins on the line
    width = weights[known.item]
    cut = np.concatenate([[0], np.cumsum(width)])  # (pairs + 1,)
    before = cut[:-1] - np.repeat(cut[known.start[:-1]], np.diff(known.start))  # of the same user
    total = int(weights.sum())
    # Where each pair's cut is on the line without the user's earlier cuts, users one behind the other.
    place = np.repeat(np.arange(len(known.start) - 1), np.diff(known.start)) * (total + 1) + first[known.item] - before
    left = total - (cut[known.start[user + 1]] - cut[known.start[user]])  # (n,)
    drawn = np.full((len(user), count), -1, dtype=np.int32)
    taken = np.zeros((2, len(user), 0), dtype=np.int64)  # begin and width of each negative so far, by begin
    for slot in range(count):
        point = (rng.random(len(user)) * left).astype(np.int64)  # below `left`, as the random number is below 1
        for begin, size in zip(*(part.T for part in taken), strict=True):
            point += size * (point >= begin)
        shift = cut[np.searchsorted(place, user * (total + 1) + point, side="right")] - cut[known.start[user]]
        item = np.searchsorted(first, point + shift, side="right") - 1
        there = left > 0
        drawn[there, slot] = item[there]
        size = np.where(there, weights[item], 0)
        left = left - size
        both = np.concatenate([taken, np.stack([first[item] - shift, size])[:, :, None]], axis=2)
        taken = np.take_along_axis(both, np.argsort(both[:1], axis=2), axis=2)
    return drawn


def _weights(how: str, raw: RawData, train: np.ndarray) -> np.ndarray:
    """(items,) int64. Popularity is the number of training positives itself, to the power of 1."""
    if how == "uniform":
        return np.ones(len(raw.items), dtype=np.int64)
    return np.bincount(raw.item[train], minlength=len(raw.items))


def _pairs(raw: RawData, rows: np.ndarray) -> np.ndarray:
    """(rows,) int64: a number for each user and item."""
    return raw.user[rows].astype(np.int64) * len(raw.items) + raw.item[rows]


def _require_both_classes(raw: RawData, split: str, positives: int, negatives: int) -> None:
    if not positives or not negatives:
        raise InputError(
            f"The {split} split of '{raw.name}' has {positives} positives, for which {negatives} negatives could be "
            "sampled. AUC needs both: give more positives, and more items than a user has."
        )

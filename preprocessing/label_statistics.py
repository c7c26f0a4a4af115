"""What is computed from labels: mean labels of users and items, and the items that a user liked.

Each is made for rows of the log, each of which sees what its `View` says, or for users and items as such, over given
rows: what a request finds, which comes after all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from preprocessing.raw import RawData
from preprocessing.split_protocol import View


def mean_label(views: list[View], entity: np.ndarray, raw: RawData, smoothing: float) -> np.ndarray:
    """The mean label of each row's entity, over the rows that it may see: (n,) float64 in 0..1.

    Smoothed as in `entity_means`. A row that sees nothing at all gets 0.5.

    entity: (n,) int, row numbers of the users or of the items.
    """
    result = np.full(len(raw), 0.5, dtype=np.float64)
    for view in views:
        seen, label = entity[view.sources], raw.label[view.sources]
        if view.earlier_only:
            timestamp = raw.timestamp[view.sources]
            total, count = _earlier_sums(seen, timestamp, label)
            all_total, all_count = _earlier_sums(np.zeros_like(seen), timestamp, label)
            prior = np.divide(all_total, all_count, out=np.full(len(count), 0.5), where=all_count > 0)
            result[view.readers] = _smoothed(total, count, prior, smoothing)
        else:
            means = entity_means(seen, label, int(entity.max()) + 1, smoothing)
            result[view.readers] = means[entity[view.readers]]
    return result


def entity_means(entity: np.ndarray, label: np.ndarray, size: int, smoothing: float) -> np.ndarray:
    """(size,) float64, the mean label of each entity over some rows.

    With s = `smoothing` and the mean label m of all these rows: (sum + s m) / (count + s), so that an entity without a
    row gets m.

    entity: (n,) int in 0..size - 1.  label: (n,).
    """
    total = np.bincount(entity, weights=label, minlength=size)
    count = np.bincount(entity, minlength=size)
    return _smoothed(total, count, np.full(size, label.mean(dtype=np.float64)), smoothing)


def _smoothed(total: np.ndarray, count: np.ndarray, prior: np.ndarray, smoothing: float) -> np.ndarray:
    """The prior where nothing is known and nothing smoothed."""
    weight = count + smoothing
    return np.divide(total + smoothing * prior, weight, out=prior, where=weight > 0)


def _earlier_sums(entity: np.ndarray, timestamp: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row, the sum and the count of its entity's labels at strictly smaller timestamps."""
    order = np.lexsort((timestamp, entity))
    new_entity = np.diff(entity[order], prepend=-1) != 0
    new_time = new_entity | (np.diff(timestamp[order], prepend=-1) != 0)
    entity_start, tie_start = _starts(new_entity), _starts(new_time)
    cumulative = np.concatenate([[0.0], np.cumsum(label[order], dtype=np.float64)])
    total, count = np.empty(len(order)), np.empty(len(order), dtype=np.int64)
    total[order] = cumulative[tie_start] - cumulative[entity_start]
    count[order] = tie_start - entity_start
    return total, count


def _starts(new: np.ndarray) -> np.ndarray:
    """For each place, the last one up to it that is new.

    >>> _starts(np.array([True, False, True, False, False])).tolist()
    [0, 0, 2, 2, 2]
    """
    return np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))


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
        liked = user_histories(view.sources, raw)
        pools.append(liked.items)
        user = raw.user[view.readers]
        start[view.readers], end[view.readers] = offset + liked.start[user], offset + liked.end[user]
        if view.earlier_only:
            rows = view.sources
            count, _ = _earlier_sums(raw.user[rows], raw.timestamp[rows], raw.label[rows])  # of liked items
            end[rows] = start[rows] + count.astype(np.int64)
        offset += len(liked.items)
    return Histories(np.concatenate(pools), start, end)


def user_histories(rows: np.ndarray, raw: RawData) -> Histories:
    """The liked items of each user over some rows: start and end are (users,)."""
    liked = rows[raw.label[rows] == 1]
    liked = liked[np.lexsort((raw.timestamp[liked], raw.user[liked]))]
    bounds = np.searchsorted(raw.user[liked], np.arange(len(raw.users) + 1))
    return Histories(raw.item[liked].astype(np.int32), bounds[:-1], bounds[1:])

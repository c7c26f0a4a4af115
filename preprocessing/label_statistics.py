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
        if view.earlier_only:
            total, count = _earlier_sums(view, entity, raw)
            all_total, all_count = _earlier_sums(view, np.zeros_like(entity), raw)
            prior = np.divide(all_total, all_count, out=np.full(len(count), 0.5), where=all_count > 0)
            result[view.readers] = _smoothed(total, count, prior, smoothing)
        else:
            seen, label = entity[view.sources], raw.label[view.sources]
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


def _earlier_sums(view: View, entity: np.ndarray, raw: RawData) -> tuple[np.ndarray, np.ndarray]:
    """For each reader, the sum and the count of its entity's labels among the sources at strictly smaller timestamps.

    entity: (n,) int, of all rows. Returns (readers,) float64 and (readers,) int64.
    """
    is_source = np.zeros(len(raw), dtype=bool)
    is_source[view.sources] = True
    taken = is_source.copy()
    taken[view.readers] = True
    rows = np.flatnonzero(taken)
    rows = rows[np.lexsort((raw.timestamp[rows], entity[rows]))]
    new_entity = np.diff(entity[rows], prepend=-1) != 0
    new_time = new_entity | (np.diff(raw.timestamp[rows], prepend=-1) != 0)
    entity_start, tie_start = _starts(new_entity), _starts(new_time)
    total, count = np.zeros(len(raw)), np.zeros(len(raw), dtype=np.int64)
    for result, value in ((total, np.where(is_source[rows], raw.label[rows], 0)), (count, is_source[rows])):
        cumulative = np.concatenate([[0], np.cumsum(value, dtype=result.dtype)])
        result[rows] = cumulative[tie_start] - cumulative[entity_start]
    return total[view.readers], count[view.readers]


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
            count, _ = _earlier_sums(view, raw.user, raw)  # of liked items
            end[view.readers] = start[view.readers] + count.astype(np.int64)
        offset += len(liked.items)
    return Histories(np.concatenate(pools), start, end)


def user_histories(rows: np.ndarray, raw: RawData) -> Histories:
    """The liked items of each user over some rows: start and end are (users,)."""
    liked = rows[raw.label[rows] == 1]
    liked = liked[np.lexsort((raw.timestamp[liked], raw.user[liked]))]
    bounds = np.searchsorted(raw.user[liked], np.arange(len(raw.users) + 1))
    return Histories(raw.item[liked].astype(np.int32), bounds[:-1], bounds[1:])

"""`Catalogue`: the items that are ranked for a user, all of a data set or given ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from foundation.errors import InputError
from foundation.ids import keys_of
from foundation.values import is_list, shown
from model.pairs import Pairs
from preprocessing.dataset import Dataset

Candidates = Iterable | Mapping[Any, Iterable] | None


@dataclass(frozen=True)
class Catalogue:
    """Items in the order of the index, by which it breaks ties. `Pairs` name an item by its place here.

    items: (N,) rows of `raw.items`. place: of each row of `raw.items`, -1 for one that is not ranked.
    own: the candidates of each user where these differ, else None. words: how they were chosen.
    """

    items: np.ndarray
    place: np.ndarray
    words: str
    own: Pairs | None = None

    @classmethod
    def of(cls, data: Dataset, candidates: Candidates = None) -> Catalogue:
        """candidates: ids of items, or {user id: ids}, each counted once; None: all items.

        Raises `InputError` for unknown ids, and for no candidates at all.
        """
        raw, schema = data.raw, data.schema
        ids = raw.items[schema.item_id].to_numpy()
        if candidates is None:
            return cls._of_rows(np.arange(len(ids)), ids, "all items")
        if not isinstance(candidates, Mapping):
            rows = _rows_of("candidates", candidates, ids)
            return cls._of_rows(np.unique(rows), ids, "given items, the same for all users")
        users = _rows_of("users", candidates, raw.users[schema.user_id].to_numpy())
        lists = [_rows_of("candidates", own, ids) for own in candidates.values()]
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *lists])
        made = cls._of_rows(np.unique(rows), ids, "given items of each user")
        user = np.repeat(users, [len(own) for own in lists])
        return replace(made, own=Pairs.of(user, made.place[rows], len(made.items)))

    @classmethod
    def _of_rows(cls, rows: np.ndarray, ids: np.ndarray, words: str) -> Catalogue:
        if len(rows) == 0:
            raise InputError("There are no candidates. Leave `candidates` out to rank all items.")
        with suppress(InputError):  # of ids that no index takes
            rows = rows[np.argsort(keys_of(ids[rows]), kind="stable")]
        place = np.full(len(ids), -1)
        place[rows] = np.arange(len(rows))
        return cls(rows, place, words)

    def liked(self, data: Dataset, rows: np.ndarray) -> Pairs:
        """Users and items of those rows of the log that are positives; items that are not ranked are left out."""
        rows = rows[data.raw.label[rows] == 1]
        place = self.place[data.raw.item[rows]]
        ranked = place >= 0
        return Pairs.of(data.raw.user[rows][ranked], place[ranked], len(self.items))


def _rows_of(what: str, given: Iterable, ids: np.ndarray) -> np.ndarray:
    """(n,) the rows of given ids, or of the keys of a dict. Raises `InputError` for unknown ones, and for no list."""
    if not isinstance(given, Mapping) and not is_list(given):
        raise InputError(f"The {what} must be a list of ids. Received: {shown(given)}.")
    wanted = list(given)
    rows = pd.Index(ids).get_indexer(wanted) if wanted else np.zeros(0, dtype=np.int64)
    unknown = [one for one, row in zip(wanted, rows, strict=True) if row < 0]
    if unknown:
        raise InputError(f"{len(unknown)} of {len(rows)} {what} are not in the data: {shown(unknown[:5])}.")
    return rows

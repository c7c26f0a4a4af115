"""What a reader hands over: entity tables with the values as they stand in the files, and the log of interactions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Ragged:
    """Lists of different lengths in CSR form: row i holds `values[offsets[i]:offsets[i + 1]]`.

    values: (total,) of any dtype; offsets: (rows + 1,) int64, starting at 0 and never falling.

    >>> genres = Ragged.from_lists([["Comedy", "Drama"], [], ["Drama"]])
    >>> genres.values.tolist(), genres.offsets.tolist()
    (['Comedy', 'Drama', 'Drama'], [0, 2, 2, 3])
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_lists(cls, lists) -> Ragged:
        lengths = np.fromiter((len(entry) for entry in lists), dtype=np.int64, count=len(lists))
        values = np.array([value for entry in lists for value in entry])
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Schema:
    """Which columns of the entity tables are features, of which kind, on which side.

    Names are those of the papers. `user_statistic` and `item_statistic` name the mean label of a user and of an item,
    which a protocol computes; `history` names the list of items a user liked, which a protocol cuts. A data set
    without them leaves them None. `user_static` and `item_static` are the features that HIT's generators read.
    """

    user_id: str
    item_id: str
    user_sparse: tuple[str, ...]
    item_sparse: tuple[str, ...]
    user_dense: tuple[str, ...] = ()
    item_dense: tuple[str, ...] = ()
    item_lists: tuple[str, ...] = ()
    user_statistic: str | None = None
    item_statistic: str | None = None
    history: str | None = None
    user_static: tuple[str, ...] = ()
    item_static: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawData:
    """A data set as read: nothing encoded, nothing split, nothing computed from labels.

    name: what every output calls it ("ml-1m", "synthetic-movielens", ...).
    fingerprint: sha256 over the content that was read.
    users, items: one row an entity, with the columns that `schema` names (and others, such as titles, for display).
    item_lists: list-valued item features by name, one list a row of `items`.
    user, item: (n,) int32, row numbers in `users` and `items`, one pair an interaction.
    label: (n,) float32 in {0, 1}.  timestamp: (n,) int64 seconds.
    best_score: (n,) float64 or None: the planted probability of a positive, for generated data only.
    """

    name: str
    fingerprint: str
    schema: Schema
    users: pd.DataFrame
    items: pd.DataFrame
    user: np.ndarray
    item: np.ndarray
    label: np.ndarray
    timestamp: np.ndarray
    item_lists: dict[str, Ragged] = field(default_factory=dict)
    best_score: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray) -> RawData:
        """The same entities with only these interactions, in this order."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            label=self.label[rows],
            timestamp=self.timestamp[rows],
            best_score=None if self.best_score is None else self.best_score[rows],
        )

    def first(self, count: int) -> RawData:
        """The first `count` interactions in time order (equal times in file order), under a name that says so."""
        if count >= len(self):
            return self
        rows = np.argsort(self.timestamp, kind="stable")[:count]
        name = f"{self.name}-first{count}"
        return replace(
            self.take(rows), name=name, fingerprint=hashlib.sha256(f"{self.fingerprint} {name}".encode()).hexdigest()
        )

"""What a reader hands over: entity tables with the values as they stand in the files, and the log of interactions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from foundation.errors import InputError
from foundation.shown import some, visible
from preprocessing.negatives import Negatives

# Option that leaves out rows -> what `first` and `sample` add to the name of the data.
CUTS = {"--max_rows": r"-first\d+", "--sample_rate": r"-sample[\d.]+(?:e-\d+)?"}


def whole_name(name: str) -> str:
    """The name of the data of which these are a part.

    >>> whole_name("ml-1m-first20000"), whole_name("taobao-ads-sample1e-05-first300"), whole_name("my-first-shop")
    ('ml-1m', 'taobao-ads', 'my-first-shop')
    """
    return re.sub("|".join(CUTS.values()), "", name)


def cut_by(name: str) -> list[str]:
    """The options that made these data a part of others.

    >>> cut_by("ml-1m-first20000"), cut_by("my-first-shop")
    (['--max_rows'], [])
    """
    return [option for option, mark in CUTS.items() if re.search(mark, name)]


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

    def joined(self) -> np.ndarray:
        """(rows,) object: each list as one text; None for an empty one.

        >>> Ragged.from_lists([["Comedy", "Drama"], []]).joined().tolist()
        ['Comedy|Drama', None]
        """
        parts = np.split(self.values, self.offsets[1:-1])
        return np.array(["|".join(map(str, part)) if len(part) else None for part in parts], dtype=object)


@dataclass(frozen=True)
class Schema:
    """Which columns of the entity tables are features, of which kind, on which side.

    Names are those of the papers. A sparse or dense feature of a side is a column of that side's entity table or, like
    the position of an ad, of the interactions (`RawData.interactions`). `user_statistic` and `item_statistic` name the
    mean label of a user and of an item, which a protocol computes; `history` names the list of items a user liked,
    which a protocol cuts. A data set without them leaves them None. `user_static` and `item_static` are the features
    that HIT's generators read.

    fill_mean: dense features in which NaN is a missing value, to be filled with the mean over training interactions
        (published: over all rows of the log).
    vocabulary_sizes: how many embedding rows a sparse or list feature may have, the reserved one included, where its
        most frequent values alone are to get one.
    published_statistics: the rows that the published protocol's label statistics come from: "split", those of a part
        after the split, or "all", those before the split.
    published_values, published_user_static: lists that are one category each under the published protocol, and
        `user_static` there, where it differs (`as_published`).
    day_start: where the temporal protocol splits by whole days, the second of a UTC day at which a day begins.
    ignored, display: further columns of the tables, which no model reads: left out, or kept in the tables and shown. A
        row of a table is a request with them, too.
    """

    user_id: str
    item_id: str
    user_sparse: tuple[str, ...]
    item_sparse: tuple[str, ...]
    user_dense: tuple[str, ...] = ()
    item_dense: tuple[str, ...] = ()
    item_lists: tuple[str, ...] = ()
    user_lists: tuple[str, ...] = ()
    user_vectors: tuple[str, ...] = ()
    item_vectors: tuple[str, ...] = ()
    user_statistic: str | None = None
    item_statistic: str | None = None
    history: str | None = None
    user_static: tuple[str, ...] = ()
    item_static: tuple[str, ...] = ()
    fill_mean: tuple[str, ...] = ()
    vocabulary_sizes: Mapping[str, int] = field(default_factory=dict)
    published_statistics: str = "split"
    published_values: tuple[str, ...] = ()
    published_user_static: tuple[str, ...] | None = None
    day_start: int | None = None
    ignored: tuple[str, ...] = ()
    display: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """
        >>> Schema("user_id", "movie_id", ("user_id", "gender"), ("movie_id",), user_statistic="user_mean_rating")
        Schema: user: user_id, gender, user_mean_rating; item: movie_id
        """
        user = (*self.user_sparse, *self.user_dense, *self.user_lists, *self.user_vectors)
        item = (*self.item_sparse, *self.item_dense, *self.item_lists, *self.item_vectors)
        sides = (*user, self.user_statistic, self.history), (*item, self.item_statistic)
        return "Schema: user: {}; item: {}".format(*(some(filter(None, side)) for side in sides))

    @property
    def reads_labels(self) -> bool:
        """Whether any feature is made from labels."""
        return bool(self.user_statistic or self.item_statistic or self.history)

    def as_published(self) -> Schema:
        """The features that the releases' scripts read."""
        values = tuple(name for name in self.item_lists if name in self.published_values)
        return replace(
            self,
            item_sparse=self.item_sparse + values,
            item_lists=tuple(name for name in self.item_lists if name not in values),
            user_static=self.published_user_static or self.user_static,
        )


@dataclass(frozen=True)
class RowCount:
    """What became of the rows of a file: `read` = `kept` + the dropped ones, by reason. notes: for people."""

    source: str
    read: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.read != self.kept + sum(self.dropped.values()):
            raise ValueError(f"Rows do not add up: {self}")

    def __str__(self) -> str:
        """
        >>> print(RowCount("ratings.dat", read=1200, kept=1000, dropped={"rating 3": 200}))
        ratings.dat: 1,200 rows read, 200 dropped (rating 3), 1,000 kept
        """
        parts = [f"{self.read:,} rows read"]
        parts += [f"{count:,} dropped ({why})" for why, count in self.dropped.items() if count]
        return f"{self.source}: {', '.join([*parts, f'{self.kept:,} kept', *self.notes])}"


@dataclass(frozen=True)
class RawData:
    """A data set as read: nothing encoded, nothing split, nothing computed from labels.

    name: what every output calls it ("ml-1m", "synthetic-movielens", ...).
    fingerprint: sha256 over the content that was read.
    users, items: one row an entity, with the columns that `schema` names (and others, such as titles, for display).
    user_lists, item_lists: list-valued features by name, one list a row of `users` or `items`.
    user_vectors, item_vectors: (entities, k) float32 by name, one vector a row of `users` or `items`; zeros where it is
        missing.
    interactions: features of the interactions themselves by name, one value a row; categories as `pd.Categorical`.
    described_users, described_items: how many of them, the first, have a row in a file; the others are in the log
        alone, and all that is known of them is their id. None: all.
    user, item: (n,) int32, row numbers in `users` and `items`, one pair an interaction.
    label: (n,) float32 in {0, 1}.  timestamp: (n,) int64 seconds.
    best_score: (n,) float or None: the planted probability of a positive, for generated data only.
    counts: what became of the rows of the files.
    negatives: how a log of positives alone, whose labels are all 1, gets its negatives; None: the log has both.
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
    item_lists: Mapping[str, Ragged] = field(default_factory=dict)
    user_lists: Mapping[str, Ragged] = field(default_factory=dict)
    user_vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    item_vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    interactions: Mapping[str, np.ndarray | pd.Categorical] = field(default_factory=dict)
    best_score: np.ndarray | None = None
    counts: tuple[RowCount, ...] = ()
    described_users: int | None = None
    described_items: int | None = None
    negatives: Negatives | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def described(self) -> np.ndarray:
        """(n,) bool: interactions whose user and item have a row in a file."""
        users = len(self.users) if self.described_users is None else self.described_users
        items = len(self.items) if self.described_items is None else self.described_items
        return (self.user < users) & (self.item < items)

    @property
    def size(self) -> str:
        """For people."""
        return f"{visible(self.name)}: {self.contents}"

    @property
    def contents(self) -> str:
        """`size` without the name."""
        rows = f"{len(self):,} interactions"
        if self.negatives is not None:
            positives = int(np.count_nonzero(self.label))
            sampled = f" and {len(self) - positives:,} sampled negatives" if positives < len(self) else ""
            rows = f"{positives:,} positives{sampled}"
        return f"{rows} of {len(self.users):,} users and {len(self.items):,} items"

    def __repr__(self) -> str:
        return f"RawData of {self.size}"

    def take(self, rows: np.ndarray) -> RawData:
        """The same entities with only these interactions, in this order."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            label=self.label[rows],
            timestamp=self.timestamp[rows],
            interactions={name: values[rows] for name, values in self.interactions.items()},
            best_score=None if self.best_score is None else self.best_score[rows],
        )

    def first(self, count: int) -> RawData:
        """The first `count` interactions in time order (equal times in file order), under a name that says so.

        A log without times has all of them at 0, so that its order is that of the file.
        """
        if count >= len(self):
            return self
        rows = np.argsort(self.timestamp, kind="stable")[:count]
        why = "later than the first of them" if self.timestamp.any() else "behind the first of them in file order"
        return self._part(rows, f"first{count}", "", why)

    def sample(self, share: float, seed: int) -> RawData:
        """A random share of the interactions, in their order, under a name that says so."""
        if not 0 < share <= 1:
            raise InputError(f"The share of interactions to keep must be above 0 and at most 1. Received: {share}.")
        if share == 1:
            return self
        # A stream of its own: the split must not be drawn with the numbers that chose the rows.
        kept = np.random.default_rng([seed, len(self)]).random(len(self), dtype=np.float32) < share
        return self._part(np.flatnonzero(kept), f"sample{share:g}", f" seed {seed}", "not in the sample")

    def _part(self, rows: np.ndarray, suffix: str, more: str, why: str) -> RawData:
        name = f"{self.name}-{suffix}"
        identity = hashlib.sha256(f"{self.fingerprint} {name}{more}".encode()).hexdigest()
        count = RowCount("interactions", len(self), len(rows), {why: len(self) - len(rows)})
        return replace(self.take(rows), name=name, fingerprint=identity, counts=(*self.counts, count))

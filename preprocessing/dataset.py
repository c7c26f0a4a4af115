"""`Dataset`: users, items and interactions under one protocol, and the batches that a model reads from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column, FeatureColumns, kind_of
from foundation.features import Bags, Features
from foundation.shown import visible
from preprocessing.data_encoding import DataEncoding
from preprocessing.description import describe, share
from preprocessing.encoder import Encoder
from preprocessing.encoding import MinMaxScaler, Vocabulary
from preprocessing.feature_table import FeatureTable
from preprocessing.frames import raw_from_frames
from preprocessing.known import as_encoding, raw_for
from preprocessing.label_features import label_features
from preprocessing.planted import best_auc
from preprocessing.protocol import SplitProtocol, make_protocol
from preprocessing.raw import RawData, RowCount, Schema


@dataclass(frozen=True)
class Dataset:
    """A data set, encoded and split under a protocol. Features of an entity are stored once, not once a row.

    user, item: (n,) int32, rows of `users` and `items`.  label: (n,) float32.
    per_row: features of the interactions themselves, and what the protocol computed for each (label statistics,
        histories). A model may have them on either side; a side with one has several vectors an entity.
    encoding: how values became numbers; fitted on training rows (`published`: on all), or given.
    """

    raw: RawData
    protocol: SplitProtocol
    seed: int
    users: FeatureTable
    items: FeatureTable
    per_row: FeatureTable
    user: Tensor
    item: Tensor
    label: Tensor
    encoding: DataEncoding

    @classmethod
    def build(cls, raw: RawData, protocol: str, seed: int, encoding: DataEncoding | None = None) -> Dataset:
        """Splits, computes what the protocol allows, encodes. Raises `InputError` for data that cannot be used.

        encoding: to apply in place of a fitted one (`preprocessing.known`).
        """
        rules = make_protocol(protocol, raw, seed)
        # Published scripts encode and scale before they split; honest vocabularies and scalers know training rows only.
        fitted = np.zeros(len(raw), dtype=bool)
        for rows in rules.splits.values() if rules.leaks_labels else [rules.splits["train"]]:
            fitted[rows] = True
        encoder = Encoder(raw.schema, encoding)
        users = encoder.encode(raw.users, raw.user_lists, np.bincount(raw.user, fitted, len(raw.users)))
        items = encoder.encode(raw.items, raw.item_lists, np.bincount(raw.item, fitted, len(raw.items)))
        per_row = encoder.encode(raw.interactions, {}, fitted)
        computed = label_features(raw, rules, items)
        return cls(
            raw=raw,
            protocol=rules,
            seed=seed,
            users=users,
            items=items,
            per_row=FeatureTable(per_row.values | computed.values, computed.lists),
            user=torch.from_numpy(raw.user.astype(np.int32, copy=False)),
            item=torch.from_numpy(raw.item.astype(np.int32, copy=False)),
            label=torch.from_numpy(raw.label.astype(np.float32, copy=False)),
            encoding=encoder.encoding(float(raw.label[rules.splits["train"]].mean(dtype=np.float64))),
        )

    @classmethod
    def from_frames(
        cls,
        users: pd.DataFrame | None,
        items: pd.DataFrame | None,
        interactions: pd.DataFrame,
        *,
        protocol: str = "holdout",
        seed: int = 0,
        encoding: Any = None,
        **names,
    ) -> Dataset:
        """A data set of one's own. names: `user_id`, `item_id`, `label` and others, see `raw_from_frames`.

        encoding: of a trained model (its run folder, or the model), to encode new frames as it expects: its features
            are taken, values that it does not know are unknown ones, and what it says of names may be left out.
        """
        known = None if encoding is None else as_encoding(encoding)
        if known is None:
            raw = raw_from_frames(users, items, interactions, **names)
        else:
            raw = raw_for(known, users, items, interactions, **names)
        if protocol == "temporal" and not names.get("timestamp"):
            raise InputError("The temporal protocol needs times. Name their column: timestamp=...")
        return cls.build(raw, protocol, seed, known)

    @property
    def name(self) -> str:
        return self.raw.name

    @property
    def schema(self) -> Schema:
        return self.raw.schema

    @property
    def train(self) -> Split:
        return self.split("train")

    @property
    def validation(self) -> Split:
        return self.split("validation")

    @property
    def test(self) -> Split:
        return self.split("test")

    def split(self, name: str) -> Split:
        """The rows of "train", "validation" or "test" as a source of batches."""
        return Split(self, torch.from_numpy(self.protocol.splits[name]))

    def summary(self) -> str:
        """What was loaded and how it was split, for people."""
        splits = {name: len(rows) for name, rows in self.protocol.splits.items()}
        counts = list(self.raw.counts)
        if sum(splits.values()) < len(self.raw):  # the published protocol alone drops rows
            gone = {"users without a positive": len(self.raw) - sum(splits.values())}
            counts.append(RowCount("protocol", len(self.raw), sum(splits.values()), gone))
        return "\n".join(
            [
                f"Data: {visible(self.name)}, {len(self.raw):,} interactions of {len(self.raw.users):,} users and "
                f"{len(self.raw.items):,} items",
                f"Protocol: {self.protocol.name}, seed {self.seed}: "
                f"{', '.join(f'{count:,} {name}' for name, count in splits.items())} rows",
                *(f"  {visible(count)}" for count in counts),
            ]
        )

    def __repr__(self) -> str:
        return describe(self)

    def best_possible_auc(self, split: str) -> float | None:
        """The expected AUC of a model that knows the planted probabilities; None for real data."""
        if self.raw.best_score is None:
            return None
        return best_auc(self.raw.best_score[self.protocol.splits[split]])

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        return self.encoding.vocabularies

    @property
    def scalers(self) -> dict[str, MinMaxScaler]:
        return self.encoding.scalers

    def encoding_json(self) -> dict:
        """The encoding for `config.json`, where `save` puts it for every model that was trained on this data set."""
        return self.encoding.to_json()

    def feature_columns(self, embedding_dim: int = 32, history: bool = False) -> FeatureColumns:
        """deepctr-torch columns of both sides; `history` adds the user's liked items.

        The history's ids are the items' and its column names their table: a ranking model shares it, a two-tower model
        keeps one a side, so that neither tower needs the other's.
        """

        def sparse(name: str) -> SparseFeat:
            return SparseFeat(name, len(self.vocabularies[name]), embedding_dim)

        schema = self.schema
        user: list[Column] = [sparse(name) for name in schema.user_sparse]
        item: list[Column] = [sparse(name) for name in schema.item_sparse]
        user += [VarLenSparseFeat(sparse(name), maxlen=0, combiner="mean") for name in schema.user_lists]
        item += [VarLenSparseFeat(sparse(name), maxlen=0, combiner="mean") for name in schema.item_lists]
        if history and schema.history:
            liked = sparse(schema.item_id)._replace(name=schema.history, embedding_name=schema.item_id)
            user.append(VarLenSparseFeat(liked, maxlen=0, combiner="mean"))
        user += [DenseFeat(name) for name in (*schema.user_dense, schema.user_statistic) if name]
        item += [DenseFeat(name) for name in (*schema.item_dense, schema.item_statistic) if name]
        return FeatureColumns(user, item, schema.user_static, schema.item_static)

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        """rows: (B,) int64 -> name -> (B,) ids or values, or `Bags`. Raises `InputError` for an unknown name."""
        user, item = self.user[rows], self.item[rows]
        features: Features = {}
        for name in names:
            table, place = self._home(name, user, item, rows)
            features[name] = table.batch(name, place)
        return features

    def _home(self, name: str, user: Tensor, item: Tensor, rows: Tensor) -> tuple[FeatureTable, Tensor]:
        for table, place in ((self.users, user), (self.items, item), (self.per_row, rows)):
            if name in table:
                return table, place
        known = sorted(
            name for table in (self.users, self.items, self.per_row) for name in (*table.values, *table.lists)
        )
        raise InputError(f"Data set '{self.name}' has no feature '{name}'. It has: {', '.join(known)}.")

    def to(self, device: torch.device | str) -> Dataset:
        """The same data with every tensor on `device`."""
        moved = {
            name: getattr(self, name).to(device) for name in ("users", "items", "per_row", "user", "item", "label")
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Split:
    """Some rows of a `Dataset`, numbered from 0: what `fit`, `predict` and `evaluate` read.

    rows: (n,) int64, row numbers in the data set.
    """

    dataset: Dataset
    rows: Tensor

    weights = None  # its rows count alike, those of `preprocessing.arrays.Arrays` may not

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        positive = share(self.labels.cpu().numpy())
        name = visible(self.dataset.name)
        return f"Split of {name}, {self.dataset.protocol.name}: {len(self):,} rows, {positive} positive"

    @property
    def labels(self) -> Tensor:
        """(n,) float32."""
        return self.dataset.label[self.rows]

    @property
    def users(self) -> Tensor:
        """(n,) int32: whose impression a row is, for GAUC."""
        return self.dataset.user[self.rows]

    @property
    def origin(self) -> str:
        """What its rows are of, for a comparison between processes."""
        data = self.dataset
        rows = hashlib.sha256(self.rows.cpu().numpy().tobytes()).hexdigest()[:12]
        return f"rows {rows} of {data.raw.fingerprint[:12]}, protocol {data.protocol.name}, seed {data.seed}"

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        """rows: (B,) int64, numbers within this split."""
        return self.dataset.batch(self.rows[rows], names)

    def distinct(self, names: list[str]) -> tuple[Tensor, Tensor]:
        """Groups rows that agree in these features, so that a tower runs once a group.

        Returns (first, group): first: (G,) int64, a row of each group; group: (n,) int64, the group of each row.
        """
        data = self.dataset
        keys: dict[str, Tensor] = {}  # an entity's features are all decided by its row
        for name in names:
            if name in data.users:
                keys["user"] = data.user
            elif name in data.items:
                keys["item"] = data.item
            elif name in data.per_row.lists:
                keys |= {f"{name}.start": data.per_row.lists[name].start, f"{name}.end": data.per_row.lists[name].end}
            else:
                keys[f"{name}.value"] = data.per_row.values[name]
        return group_rows([key[self.rows] for key in keys.values()])

    def take(self, rows: Tensor) -> Split:
        """Only these rows, in this order. rows: numbers within this split."""
        return Split(self.dataset, self.rows[rows])

    def check(self, columns: list[Column]) -> None:
        """Raises `InputError` if a column names a feature that the data lacks, or has another kind or fewer ids."""
        for column in columns:
            values = self.dataset.batch(self.rows[:1], [column.name])[column.name]
            kind = "list" if isinstance(values, Bags) else "dense" if values.is_floating_point() else "sparse"
            if kind != kind_of(column) or getattr(column, "dimension", 1) != 1:
                raise InputError(
                    f"Feature '{column.name}' of '{self.dataset.name}' is a {kind} feature. "
                    f"Received: {column}. Make the columns with dataset.feature_columns()."
                )
            vocabulary = self.dataset.encoding.vocabulary_of(column.name)
            size = getattr(column, "vocabulary_size", None)
            if vocabulary is not None and size is not None and size < len(vocabulary):
                raise InputError(
                    f"Column '{column.name}' has vocabulary_size={size}, but its ids in '{self.dataset.name}' go up to "
                    f"{len(vocabulary) - 1}. Make the columns with dataset.feature_columns(), or give at least "
                    f"{len(vocabulary)}."
                )

    def to(self, device: torch.device | str) -> Split:
        return Split(self.dataset.to(device), self.rows.to(device))


def group_rows(keys: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Groups rows whose keys are all equal.

    keys: each (n,). Returns (first, group) as in `Split.distinct`; groups are numbered by first appearance.

    >>> first, group = group_rows([torch.tensor([7, 7, 3, 7]), torch.tensor([0, 1, 0, 0])])
    >>> first.tolist(), group.tolist()
    ([0, 1, 2], [0, 1, 2, 0])
    """
    group, _ = pd.factorize(keys[0].cpu().numpy())
    for key in keys[1:]:
        code, distinct = pd.factorize(key.cpu().numpy())
        group, _ = pd.factorize(group.astype(np.int64) * len(distinct) + code)
    # Groups are numbered by first appearance: a new one is where the numbers reach a new maximum.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(group), prepend=-1))
    return torch.from_numpy(first), torch.from_numpy(group.astype(np.int64, copy=False))

"""`Dataset`: users, items and interactions under one protocol, and the batches that a model reads from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from preprocessing.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from preprocessing.encoding import MinMaxScaler, Vocabulary, require_finite
from preprocessing.errors import InputError
from preprocessing.feature_columns import Column, FeatureColumns, kind_of
from preprocessing.lists import Bags, Lists
from preprocessing.protocol import Protocol, liked_items, make_protocol, mean_label
from preprocessing.raw import Ragged, RawData, Schema
from preprocessing.synthetic import best_auc

Features = dict[str, Tensor | Bags]


@dataclass(frozen=True)
class FeatureTable:
    """Encoded features, one row an entity (or an interaction, for what a protocol computes).

    values: name -> (rows,) int32 ids or float32 dense values.  lists: name -> one list of ids a row.
    """

    values: dict[str, Tensor]
    lists: dict[str, Lists]

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.lists

    def batch(self, name: str, rows: Tensor) -> Tensor | Bags:
        return self.values[name][rows] if name in self.values else self.lists[name].batch(rows)

    def to(self, device: torch.device | str) -> FeatureTable:
        return FeatureTable(
            {name: value.to(device) for name, value in self.values.items()},
            {name: value.to(device) for name, value in self.lists.items()},
        )


@dataclass(frozen=True)
class Dataset:
    """A data set, encoded and split under a protocol. Features of an entity are stored once, not once a row.

    user, item: (n,) int64, rows of `users` and `items`.  label: (n,) float32.  timestamp: (n,) int64.
    per_row: what the protocol computed for each interaction (label statistics, histories).
    vocabularies, scalers: how values became numbers, by feature name; fitted on training rows.
    """

    raw: RawData
    protocol: Protocol
    seed: int
    users: FeatureTable
    items: FeatureTable
    per_row: FeatureTable
    user: Tensor
    item: Tensor
    label: Tensor
    vocabularies: dict[str, Vocabulary]
    scalers: dict[str, MinMaxScaler]

    @classmethod
    def build(cls, raw: RawData, protocol: str, seed: int) -> Dataset:
        """Splits, computes what the protocol allows, encodes. Raises `InputError` for data that cannot be used."""
        rules = make_protocol(protocol, raw, seed)
        # Published scripts encode before they split; an honest vocabulary knows the training rows only.
        fitted = np.concatenate(list(rules.splits.values())) if rules.leaks_labels else rules.splits["train"]
        users, user_vocabularies, user_scalers = _encode(
            raw.users, {}, raw.schema.user_sparse, raw.schema.user_dense, np.unique(raw.user[fitted])
        )
        items, item_vocabularies, item_scalers = _encode(
            raw.items, raw.item_lists, raw.schema.item_sparse, raw.schema.item_dense, np.unique(raw.item[fitted])
        )
        return cls(
            raw=raw,
            protocol=rules,
            seed=seed,
            users=users,
            items=items,
            per_row=_protocol_features(raw, rules, items),
            user=torch.from_numpy(raw.user.astype(np.int64)),
            item=torch.from_numpy(raw.item.astype(np.int64)),
            label=torch.from_numpy(raw.label.astype(np.float32)),
            vocabularies=user_vocabularies | item_vocabularies,
            scalers=user_scalers | item_scalers,
        )

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
        splits = ", ".join(f"{len(rows):,} {name}" for name, rows in self.protocol.splits.items())
        return (
            f"Data: {self.name}, {len(self.raw):,} interactions of {len(self.raw.users):,} users and "
            f"{len(self.raw.items):,} items\n"
            f"Protocol: {self.protocol.name}, seed {self.seed}: {splits} rows"
        )

    def best_possible_auc(self, split: str) -> float | None:
        """The expected AUC of a model that knows the planted probabilities; None for real data."""
        if self.raw.best_score is None:
            return None
        return best_auc(self.raw.best_score[self.protocol.splits[split]])

    def encoding_json(self) -> dict:
        """Vocabularies and scalers for `config.json`, so that a saved model can encode raw values."""
        return {
            "vocabularies": {name: vocabulary.tolist() for name, vocabulary in self.vocabularies.items()},
            "scalers": {name: {"low": scaler.low, "high": scaler.high} for name, scaler in self.scalers.items()},
        }

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

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor:
        """(n,) float32."""
        return self.dataset.label[self.rows]

    @property
    def users(self) -> Tensor:
        """(n,) int64: whose impression a row is, for GAUC."""
        return self.dataset.user[self.rows]

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        """rows: (B,) int64, numbers within this split."""
        return self.dataset.batch(self.rows[rows], names)

    def distinct(self, names: list[str]) -> tuple[Tensor, Tensor]:
        """Groups rows that agree in these features, so that a tower runs once a group.

        Returns (first, group): first: (G,) int64, a row of each group; group: (n,) int64, the group of each row.
        """
        data, rows = self.dataset, self.rows
        keys: list[Tensor] = []
        for name in names:
            if name in data.users:
                keys.append(data.user[rows])
            elif name in data.items:
                keys.append(data.item[rows])
            elif name in data.per_row.lists:
                keys += [data.per_row.lists[name].start[rows], data.per_row.lists[name].end[rows]]
            else:
                keys.append(data.per_row.values[name][rows])
        return group_rows(keys)

    def take(self, rows: Tensor) -> Split:
        """Only these rows, in this order. rows: numbers within this split."""
        return Split(self.dataset, self.rows[rows])

    def check(self, columns: list[Column]) -> None:
        """Raises `InputError` if a column names a feature that the data lacks, or has another kind or fewer ids."""
        vocabulary_of = {self.dataset.schema.history: self.dataset.schema.item_id}
        for column in columns:
            values = self.dataset.batch(self.rows[:1], [column.name])[column.name]
            kind = "list" if isinstance(values, Bags) else "dense" if values.is_floating_point() else "sparse"
            if kind != kind_of(column) or getattr(column, "dimension", 1) != 1:
                raise InputError(
                    f"Feature '{column.name}' of '{self.dataset.name}' is a {kind} feature. "
                    f"Received: {column}. Make the columns with dataset.feature_columns()."
                )
            vocabulary = self.dataset.vocabularies.get(vocabulary_of.get(column.name, column.name))
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
    group = np.zeros(len(keys[0]), dtype=np.int64)
    for key in {id(key): key for key in keys}.values():
        code, distinct = pd.factorize(key.cpu().numpy())
        group, _ = pd.factorize(group * len(distinct) + code)
    _, first = np.unique(group, return_index=True)
    return torch.from_numpy(first), torch.from_numpy(group)


def _encode(
    frame: pd.DataFrame,
    lists: dict[str, Ragged],
    sparse: tuple[str, ...],
    dense: tuple[str, ...],
    fitted: np.ndarray,
) -> tuple[FeatureTable, dict[str, Vocabulary], dict[str, MinMaxScaler]]:
    """Encodes an entity table with vocabularies and scalers fitted on the rows `fitted`."""
    vocabularies: dict[str, Vocabulary] = {}
    scalers: dict[str, MinMaxScaler] = {}
    values: dict[str, Tensor] = {}
    encoded: dict[str, Lists] = {}
    for name in sparse:
        column = frame[name].to_numpy()
        vocabularies[name] = Vocabulary.fit(column[fitted])
        values[name] = torch.from_numpy(vocabularies[name].encode(column))
    for name in dense:
        column = frame[name].to_numpy(dtype=np.float64)
        require_finite(name, column)  # of all rows, before the fit on some, so that the error counts rows of the table
        scalers[name] = MinMaxScaler.fit(name, column[fitted])
        values[name] = torch.from_numpy(scalers[name].transform(name, column))
    for name, ragged in lists.items():
        seen = np.zeros(len(ragged), dtype=bool)
        seen[fitted] = True
        vocabularies[name] = Vocabulary.fit(ragged.values[np.repeat(seen, ragged.lengths)])
        bounds = torch.from_numpy(ragged.offsets)
        encoded[name] = Lists(torch.from_numpy(vocabularies[name].encode(ragged.values)), bounds[:-1], bounds[1:])
    return FeatureTable(values, encoded), vocabularies, scalers


def _protocol_features(raw: RawData, rules: Protocol, items: FeatureTable) -> FeatureTable:
    """Statistics and histories. Mean labels lie in 0..1 and are not scaled: a scaler would carry other rows' labels."""
    schema = raw.schema
    values: dict[str, Tensor] = {}
    lists: dict[str, Lists] = {}
    for name, entity in ((schema.user_statistic, raw.user), (schema.item_statistic, raw.item)):
        if name:
            values[name] = torch.from_numpy(mean_label(rules.views, entity, raw, rules.smoothing))
    if schema.history:
        histories = liked_items(rules.views, raw)
        item_ids = items.values[schema.item_id][torch.from_numpy(histories.items).long()]
        lists[schema.history] = Lists(item_ids, torch.from_numpy(histories.start), torch.from_numpy(histories.end))
    return FeatureTable(values, lists)

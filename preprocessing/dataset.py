"""`Dataset`: users, items and interactions under one protocol, and the batches that a model reads from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column, FeatureColumns
from foundation.features import Bags, Features
from preprocessing.data_encoding import DataEncoding
from preprocessing.data_profile import profile
from preprocessing.description import describe, summarize
from preprocessing.encoder import Encoder
from preprocessing.encoding import MinMaxScaler, Vocabulary
from preprocessing.feature_table import FeatureTable
from preprocessing.frames import raw_from_frames
from preprocessing.known import as_encoding, raw_for
from preprocessing.label_features import label_features
from preprocessing.leak_probe import Finding, probe, warn_of_leaks
from preprocessing.negative_sampling import only_positives, with_negatives, with_statistics_that_say_something
from preprocessing.negatives import Negatives
from preprocessing.planted import best_auc
from preprocessing.protocol import make_protocol
from preprocessing.raw import RawData, Schema
from preprocessing.repeated_rows import told_of_repeated_rows
from preprocessing.split import Split
from preprocessing.split_protocol import SplitProtocol


@dataclass(frozen=True)
class Dataset:
    """A data set, encoded and split under a protocol. Features of an entity are stored once, not once a row.

    user, item: (n,) int32, rows of `users` and `items`.  label: (n,) float32.
    per_row: features of the interactions themselves, and what the protocol computed for each (label statistics,
        histories). A model may have them on either side; a side with one has several vectors an entity.
    encoding: how values became numbers; fitted on training rows (`published`: on all), or given.
    findings: features that give labels away, where `preprocessing.leak_probe` was asked.
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
    findings: tuple[Finding, ...] = ()

    @classmethod
    def build(
        cls,
        raw: RawData,
        protocol: str,
        seed: int,
        encoding: DataEncoding | None = None,
        *,
        validation_rows: str | None = None,
        statistics: str | None = None,
        refit: bool = False,
    ) -> Dataset:
        """Splits, computes what the protocol allows, encodes. Raises `InputError` for data that cannot be used.

        encoding: to apply in place of a fitted one (`preprocessing.known`).
        validation_rows, statistics: switches of the protocol (`preprocessing.protocol.PROTOCOLS`).
        refit: with training and validation rows together as training rows, and no validation rows: what a model is
            trained on when its number of epochs has been chosen.
        A log of positives alone is split, and then gets its negatives (`preprocessing.negatives`).
        """
        if raw.negatives is not None:
            raw = only_positives(raw if encoding else with_statistics_that_say_something(raw))
        rules = make_protocol(protocol, raw, seed, validation_rows, statistics, refit)
        if raw.negatives is not None:
            raw, rules = with_negatives(raw, rules, seed)
        # Published scripts encode and scale before they split; honest vocabularies and scalers know training rows only.
        fitted = rules.splits["train"] if rules.encoded_by is None else rules.encoded_by
        filling = fitted if rules.filled_by is None else rules.filled_by
        encoder = Encoder(raw.schema.as_published() if protocol == "published" else raw.schema, encoding)
        users = encoder.encode(raw.users, raw.user_lists, *_counts(raw.user, len(raw.users), fitted, filling))
        items = encoder.encode(raw.items, raw.item_lists, *_counts(raw.item, len(raw.items), fitted, filling))
        per_row = encoder.encode(raw.interactions, {}, *_counts(np.arange(len(raw)), len(raw), fitted, filling))
        computed = label_features(raw, rules, items, encoder)
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
        label: str | None = None,
        user_id: str | None = None,
        item_id: str | None = None,
        timestamp: str | None = None,
        kinds: Mapping[str, str] | None = None,
        sides: Mapping[str, str] | None = None,
        vocabulary_sizes: Mapping[str, int] | None = None,
        statistics: bool | None = None,
        history: bool | None = None,
        name: str | None = None,
        negatives: Negatives | None = None,
        protocol: str = "holdout",
        seed: int = 0,
        encoding: Any = None,
    ) -> Dataset:
        """A data set of one's own. From `label` to `negatives`: as of `raw_from_frames`, which needs both ids.

        encoding: of a trained model (its run folder, or the model), to encode new frames as it expects: its features
            are taken, values that it does not know are unknown ones, and what it says of names may be left out.

        Warns (`LeakWarning`) of features that give labels of validation rows away, and of rows of the log that repeat
        others, where the protocol splits at random.
        """
        if protocol == "temporal" and not timestamp:
            raise InputError("The temporal protocol needs times. Name their column: timestamp=...")
        names = {"user_id": user_id, "item_id": item_id, "label": label, "timestamp": timestamp, "name": name}
        features = {"kinds": kinds, "sides": sides, "vocabulary_sizes": vocabulary_sizes}
        computed = {"statistics": statistics, "history": history, "negatives": negatives}
        given: dict[str, Any] = {**names, **features, **computed}
        given = {key: value for key, value in given.items() if value is not None}
        known = None if encoding is None else as_encoding(encoding)
        if known is None:
            _require_ids(interactions, given)
            raw = raw_from_frames(users, items, interactions, **given)
        else:
            raw = raw_for(known, users, items, interactions, **given)
        raw = told_of_repeated_rows(raw, protocol, timestamp, stacklevel=2)
        data = cls.build(raw, protocol, seed, known)
        findings = probe(data)
        warn_of_leaks(findings, stacklevel=2)
        return replace(data, findings=findings)

    @property
    def name(self) -> str:
        return self.raw.name

    @property
    def schema(self) -> Schema:
        """Of the features as they were encoded, which the published protocol may read otherwise than `raw.schema`."""
        return self.encoding.schema

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
        """The rows of "train", "validation" or "test" as a source of batches. Raises `InputError` for others."""
        if name not in self.protocol.splits:
            known = ", ".join(self.protocol.splits)
            raise InputError(
                f"This data set has no {name} rows, only {known}. Built with refit=True, its training rows hold the "
                "validation rows; build it with refit=False to validate."
                if name == "validation"
                else f"The splits of a data set are {known}. Received: {name!r}."
            )
        return Split(self, torch.from_numpy(self.protocol.splits[name]))

    def summary(self) -> str:
        """What was loaded and how it was split, for people."""
        return summarize(self)

    def describe(self) -> str:
        """A page about the data as they were read: rows, times, users, items, splits, and what is in each column."""
        return profile(self.raw, self.seed)

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

    def feature_columns(
        self, embedding_dim: int = 32, history: bool | None = None, own_history_table: bool = False
    ) -> FeatureColumns:
        """deepctr-torch columns of both sides; `history` adds the user's liked items. None: as False, but a model that
        is made for a history says that it has none (`model.build_model`).

        The history's ids are the items' and its column names their table: a ranking model shares it, a two-tower model
        keeps one a side, so that neither tower needs the other's. With `own_history_table` the history has one of its
        own in every model, as in the releases.
        """

        def sparse(name: str) -> SparseFeat:
            return SparseFeat(name, len(self.vocabularies[name]), embedding_dim)

        schema = self.schema
        user: list[Column] = [sparse(name) for name in schema.user_sparse]
        item: list[Column] = [sparse(name) for name in schema.item_sparse]
        user += [VarLenSparseFeat(sparse(name), maxlen=0, combiner="mean") for name in schema.user_lists]
        item += [VarLenSparseFeat(sparse(name), maxlen=0, combiner="mean") for name in schema.item_lists]
        if history and schema.history:
            table = schema.history if own_history_table else schema.item_id
            liked = sparse(schema.item_id)._replace(name=schema.history, embedding_name=table)
            user.append(VarLenSparseFeat(liked, maxlen=0, combiner="mean"))
        user += [DenseFeat(name) for name in (*schema.user_dense, schema.user_statistic) if name]
        item += [DenseFeat(name) for name in (*schema.item_dense, schema.item_statistic) if name]
        left_out = schema.history if history is None else None
        return FeatureColumns(user, item, schema.user_static, schema.item_static, left_out)

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        """rows: (B,) int64 -> name -> (B,) ids or values, or `Bags`. Raises `InputError` for an unknown name."""
        user, item = self.user[rows], self.item[rows]
        features: dict[str, Tensor | Bags] = {}
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
        return replace(
            self,
            users=self.users.to(device),
            items=self.items.to(device),
            per_row=self.per_row.to(device),
            user=self.user.to(device),
            item=self.item.to(device),
            label=self.label.to(device),
        )


def _require_ids(interactions: Any, given: Mapping[str, Any]) -> None:
    missing = [name for name in ("user_id", "item_id") if name not in given]
    if missing:
        columns = ", ".join(map(repr, getattr(interactions, "columns", ())))
        raise InputError(
            f"Name the columns of the ids: {', '.join(f'{name}=...' for name in missing)}. interactions has: {columns}."
        )


def _counts(entity: np.ndarray, size: int, *chosen: np.ndarray) -> list[np.ndarray]:
    """How often each entity (n,) occurs among some rows, (size,) for each of these choices."""
    return [np.bincount(entity[rows], minlength=size) for rows in chosen]

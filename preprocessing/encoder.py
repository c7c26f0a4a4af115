"""Tables and lists of raw values -> encoded ones, by vocabularies and scalers that are fitted on some of the rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from foundation.errors import InputError
from foundation.features import Lists
from preprocessing.data_encoding import DataEncoding
from preprocessing.encoding import UNKNOWN, MinMaxScaler, Vocabulary, of_length, scaled
from preprocessing.feature_table import FeatureTable
from preprocessing.raw import Ragged, Schema


class Encoder:
    """Encodes tables, and keeps how: vocabularies and scalers by feature name, fitted on what given rows hold.

    known: an encoding to apply as it is, in place of fitting one; values that it does not know get the reserved id.
    """

    def __init__(self, schema: Schema, known: DataEncoding | None = None):
        self.schema, self.known = schema, known
        self.vocabularies: dict[str, Vocabulary] = {}
        self.scalers: dict[str, MinMaxScaler] = {}
        self.lengths: dict[str, int] = {}  # of vectors

    def encode(
        self,
        columns: Mapping[str, np.ndarray | pd.Series],
        lists: Mapping[str, Ragged],
        weight: np.ndarray,
        fill_weight: np.ndarray | None = None,
    ) -> FeatureTable:
        """Encodes those columns and lists that are features. A list that is a sparse feature is one value, its text.

        weight: (rows,) how many of the interactions that encodings are fitted on each row takes part in.
        fill_weight: (rows,) of those whose mean stands for a missing number; None: the same ones.
        """
        schema, table = self.schema, FeatureTable()
        for name in (*schema.user_sparse, *schema.item_sparse):
            if name in columns:
                table.values[name] = torch.from_numpy(self._ids(name, columns[name], weight))
            elif name in lists:
                table.values[name] = torch.from_numpy(self._ids(name, lists[name].joined(), weight))
        for name in (*schema.user_dense, *schema.item_dense):
            if name in columns:
                values = np.asarray(columns[name], dtype=np.float64)
                scaler = self._scaler(name, values, weight, fill_weight)
                table.values[name] = torch.from_numpy(scaler.transform(name, values))
        for name, ragged in lists.items():
            if name in table.values:
                continue
            ids = torch.from_numpy(self._ids(name, ragged.values, np.repeat(weight, ragged.lengths)))
            bounds = torch.from_numpy(ragged.offsets)
            table.lists[name] = Lists(ids, bounds[:-1], bounds[1:])
        return table

    def vectors(self, vectors: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        """name -> (rows, k) float32, as they are; (rows,) for k = 1.

        Raises `InputError` for vectors of another length than the known encoding has, and where no row has one.
        """
        result = {}
        for name, values in vectors.items():
            length = values.shape[1] if self.known is None else self.known.vectors[name]
            if not length:
                raise InputError(f"Feature '{name}' has no vector in any row. Leave it out with the kind 'ignore'.")
            self.lengths[name] = length
            result[name] = torch.from_numpy(of_length(name, values, length))
        return result

    def statistic(self, name: str, means: np.ndarray, scaled_by: np.ndarray | None) -> np.ndarray:
        """Mean labels (n,) -> (n,) float32, scaled as the known encoding says, or so that those of the rows `scaled_by`
        span 0..1, or, with neither, not at all."""
        if self.known is None and scaled_by is not None:
            self.scalers[name] = MinMaxScaler.fit(name, means[scaled_by])
        return scaled(name, means, self.scalers if self.known is None else self.known.scalers)

    def encoding(self, mean_label: float) -> DataEncoding:
        """How everything was encoded so far, or the known encoding. mean_label: of the training rows."""
        return self.known or DataEncoding(self.schema, self.vocabularies, self.scalers, mean_label, self.lengths)

    def _scaler(
        self, name: str, values: np.ndarray, weight: np.ndarray, fill_weight: np.ndarray | None
    ) -> MinMaxScaler:
        if self.known is not None:
            return self.known.scalers[name]
        scaler = MinMaxScaler.fit(name, values, weight, name in self.schema.fill_mean, fill_weight)
        self.scalers[name] = scaler
        return scaler

    def _ids(self, name: str, column, weight: np.ndarray) -> np.ndarray:
        """column: (n,) values -> (n,) int32 ids. Missing values are unknown ones."""
        codes, values = _coded(column)
        if self.known is not None:
            vocabulary = self.known.vocabularies[name]
            vocabulary.require_kind(name, values)
        else:
            count = np.bincount(codes[codes >= 0], weights=weight[codes >= 0], minlength=len(values))
            vocabulary = Vocabulary.fit(values, count, self.schema.vocabulary_sizes.get(name))
            self.vocabularies[name] = vocabulary
        # A missing value has the code -1, which reads the last entry.
        return np.append(vocabulary.encode(values), np.int32(UNKNOWN))[codes]


def _coded(column) -> tuple[np.ndarray, pd.Index]:
    """(n,) codes into the distinct values, -1 for a missing one."""
    if isinstance(column, pd.Categorical):
        return column.codes, column.categories
    codes, values = pd.factorize(column)
    return codes, pd.Index(values)

"""Arrays by name or in order, as deepctr-torch's `fit` and `predict` take them, as a checked source of batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from foundation.deepctr import DenseFeat, VarLenSparseFeat, get_feature_names
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Bags, Features
from foundation.shown import some
from foundation.values import exact_below
from preprocessing.description import share
from preprocessing.encoding import require_finite
from preprocessing.split import group_rows


@dataclass(frozen=True)
class Arrays:
    """The same interface as `preprocessing.dataset.Split`, over one array a feature.

    features: name -> (n,) int64 ids, (n,) or (n, k) float32 dense values, or (n, maxlen) int64 lists padded with 0.
    labels: (n,) float32, or None for prediction.  users: (n,) ids for GAUC, or None.
    lengths: list feature -> (n,) int64, where its column names an array of them (`length_name`): so many ids of a row
        count, id 0 among them, and none behind.
    weights: (n,) float32 of at least 0, how much a row counts in the click loss and in metrics; None: all alike.
    """

    features: dict[str, Tensor]
    labels: Tensor | None
    users: Tensor | None
    lengths: dict[str, Tensor] = field(default_factory=dict)
    weights: Tensor | None = None

    pairs = None  # its rows are labelled, those of a `Split` may not be

    @classmethod
    def check(
        cls,
        x: Mapping[str, np.ndarray] | Sequence[np.ndarray],
        y: np.ndarray | None,
        columns: list[Column],
        user_id: str | None,
        weights: np.ndarray | None = None,
    ) -> Arrays:
        """Converts and checks; features that no column names are ignored.

        x: arrays by feature name, or a list of them in the order of deepctr-torch: that of the columns, a `length_name`
            directly behind the first list that names it. y, weights: (n,) or (n, 1), of numpy, pandas or plain Python.
        Raises `InputError` for a missing feature, a wrong shape or type, an id beyond its vocabulary, NaN or infinity,
        a length beyond its list, a label other than 0 and 1, a weight below 0, weights of 0 alone.
        """
        x = _by_name(x, columns)
        features: dict[str, Tensor] = {}
        lengths: dict[str, Tensor] = {}
        for column in columns:
            features[column.name] = torch.from_numpy(_check_feature(column, _array(x, column.name)))
            count = len(next(iter(features.values())))
            if len(features[column.name]) != count:
                raise InputError(f"Feature '{column.name}' has {len(features[column.name])} rows, others have {count}.")
            if isinstance(column, VarLenSparseFeat) and column.length_name:
                longest = features[column.name].shape[1]
                length = _check_lengths(column, _array(x, column.length_name), longest)
                if len(length) != count:
                    raise InputError(f"'{column.length_name}' has {len(length)} rows, others have {count}.")
                lengths[column.name] = torch.from_numpy(length)
        return cls(
            features,
            labels=None if y is None else _check_labels(y, count),
            users=None if user_id is None else features.get(user_id),
            lengths=lengths,
            weights=None if weights is None else _check_weights(weights, count),
        )

    @property
    def origin(self) -> str:
        """What its rows are of, for a comparison between processes."""
        digest = hashlib.sha256()
        for value in (*self.features.values(), *([] if self.weights is None else [self.weights])):
            digest.update(value.cpu().numpy().tobytes())
        return f"arrays {digest.hexdigest()[:12]}"

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))

    def __repr__(self) -> str:
        positive = "no labels" if self.labels is None else f"{share(self.labels.cpu().numpy())} positive"
        return f"Arrays: {len(self):,} rows of {some(self.features)}; {positive}"

    def batch(self, rows: Tensor, names: list[str]) -> Features:
        return {name: self._feature(name, rows) for name in names}

    def _feature(self, name: str, rows: Tensor) -> Tensor | Bags:
        values = self.features[name][rows]
        if name not in self.lengths:
            return values
        length = self.lengths[name][rows]  # (B,)
        counted = torch.arange(values.shape[1], device=values.device) < length[:, None]  # (B, maxlen)
        return Bags(values[counted].int(), F.pad(length.cumsum(0), (1, 0)).int(), zero_counts=True)

    def distinct(self, names: list[str]) -> tuple[Tensor, Tensor]:
        keys = [key for name in names for key in self.features[name].reshape(len(self), -1).unbind(1)]
        return group_rows([*keys, *(self.lengths[name] for name in names if name in self.lengths)])

    def take(self, rows: Tensor) -> Arrays:
        """Only these rows, in this order."""
        return self._of_each(lambda value: value[rows])

    def to(self, device: torch.device | str) -> Arrays:
        return self._of_each(lambda value: value.to(device))

    def _of_each(self, change: Callable[[Tensor], Tensor]) -> Arrays:
        return Arrays(
            {name: change(value) for name, value in self.features.items()},
            None if self.labels is None else change(self.labels),
            None if self.users is None else change(self.users),
            {name: change(length) for name, length in self.lengths.items()},
            None if self.weights is None else change(self.weights),
        )


def _by_name(x: Mapping[str, np.ndarray] | Sequence[np.ndarray], columns: list[Column]) -> Mapping[str, np.ndarray]:
    if isinstance(x, Mapping):
        return x
    names = get_feature_names(columns)
    expected = f"a list of {len(names)} arrays, in this order: {', '.join(names)}"
    if not isinstance(x, (list, tuple)):
        raise InputError(f"Features must be a dict of arrays by name, or {expected}. Received: {type(x).__name__}.")
    if len(x) != len(names):
        raise InputError(f"Features given as a list must be {expected}. Received: {len(x)} entries.")
    return dict(zip(names, x, strict=True))


def _array(x: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in x:
        raise InputError(f"Feature '{name}' is missing from the input. Received: {', '.join(map(str, x))}.")
    try:
        return np.asarray(x[name])
    except ValueError:  # lists of several lengths
        raise InputError(f"The rows of feature '{name}' differ in length. Pad each list with 0.") from None


def _check_lengths(column: VarLenSparseFeat, array: np.ndarray, longest: int) -> np.ndarray:
    """(n,) int64"""
    lengths = array.reshape(-1)
    if lengths.dtype.kind not in "iuf" or (lengths != np.floor(lengths)).any():
        raise InputError(f"'{column.length_name}' must hold whole numbers. Received dtype {array.dtype}.")
    if len(lengths) and not 0 <= lengths.min() <= lengths.max() <= longest:
        raise InputError(
            f"'{column.length_name}' must lie in 0..{longest}, the width of '{column.name}'. "
            f"Received: {lengths.min()} to {lengths.max()}."
        )
    return lengths.astype(np.int64)


def _check_feature(column: Column, array: np.ndarray) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == 1 and not isinstance(column, VarLenSparseFeat):
        array = array[:, 0]
    if array.dtype.kind not in "iufb":  # no complex numbers, and no times, which to numpy are integers
        raise InputError(f"Feature '{column.name}' must be numeric. Received dtype {array.dtype}; encode it first.")
    expected: tuple[int | str, ...] = ()
    if isinstance(column, VarLenSparseFeat):
        expected = ("maxlen",)
    elif isinstance(column, DenseFeat) and column.dimension > 1:
        expected = (column.dimension,)
    if array.ndim != 1 + len(expected) or (expected and expected[0] not in ("maxlen", array.shape[1])):
        shape = ", ".join(["rows", *map(str, expected)])
        raise InputError(f"Feature '{column.name}' must have shape ({shape}). Received: {array.shape}.")
    if isinstance(column, DenseFeat):
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        require_finite(column.name, array)
        return array
    require_finite(column.name, array)
    if array.dtype.kind == "f" and (np.abs(array) >= exact_below(array.dtype)).any():
        raise InputError(
            f"Feature '{column.name}' holds {array.dtype} of {exact_below(array.dtype)} or more, which may stand for "
            "several ids. Give integers."
        )
    ids = array.astype(np.int64)
    if (ids != array).any():
        raise InputError(f"Feature '{column.name}' must hold whole ids. Received fractions; encode it first.")
    if ids.size and (ids.min() < 0 or ids.max() >= column.vocabulary_size):
        raise InputError(
            f"Feature '{column.name}' has ids from {ids.min()} to {ids.max()}, but its column says "
            f"vocabulary_size={column.vocabulary_size}. Ids must lie in 0..{column.vocabulary_size - 1}."
        )
    return ids


def _one_a_row(what: str, values: np.ndarray, count: int) -> np.ndarray:
    """(n,)"""
    array = np.asarray(values)
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise InputError(
            f"There must be one of the {what} a row, in shape (rows) or (rows, 1). Received: {array.shape}."
        )
    array = array.reshape(-1)
    if len(array) != count:
        raise InputError(f"There are {len(array)} {what} for {count} rows of features.")
    return array


def _check_weights(weights: np.ndarray, count: int) -> Tensor | None:
    array = _one_a_row("weights", weights, count)
    if array.dtype.kind not in "iufb":
        raise InputError(f"Weights must be numbers. Received dtype {array.dtype}.")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    wrong = array[~(np.isfinite(array) & (array >= 0))]
    if len(wrong):
        raise InputError(f"Weights must be finite and at least 0. Received {len(wrong)} others, the first {wrong[0]}.")
    if count and not array.any():
        raise InputError("All weights are 0, so that no row counts. Give some a weight above 0.")
    return None if (array == 1).all() else torch.from_numpy(array)  # 1 everywhere weighs nothing


def _check_labels(y: np.ndarray, count: int) -> Tensor:
    labels = _one_a_row("labels", y, count)
    wrong = labels[~np.isin(labels, (0, 1))]
    if len(wrong):
        raise InputError(f"Labels must be 0 or 1. Received {len(wrong)} others, the first {wrong[0]}.")
    return torch.from_numpy(labels.astype(np.float32))

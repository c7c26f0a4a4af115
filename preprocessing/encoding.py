"""Values -> numbers: vocabularies with a reserved id, and scalers, fitted on the rows that a protocol allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foundation.errors import InputError

SHOWN = 3  # values of a vocabulary that is printed
UNKNOWN = 0  # The id of a value never seen in training; in a list it is also the padding and adds nothing to the mean.


class Vocabulary:
    """Maps the values of one categorical feature to ids 1..n; every other value maps to `UNKNOWN`.

    >>> genres = Vocabulary.fit(np.array(["Drama", "Comedy", "Drama"]))
    >>> genres.encode(np.array(["Comedy", "Drama", "Western"])).tolist(), len(genres)
    ([1, 2, 0], 3)
    """

    def __init__(self, values):
        self._index = pd.Index(values)

    @classmethod
    def fit(cls, values, count: np.ndarray | None = None, size: int | None = None) -> Vocabulary:
        """The distinct values in sorted order, so that equal data gives equal ids.

        count: (n,) how often each of the values, then distinct ones, occurs in training; those that do not are left
            out.  size: of the embedding table at most: the most frequent values stay, of equally frequent ones the
            smaller.

        >>> Vocabulary.fit(["b", "c", "a", "d"], count=np.array([2, 0, 2, 1]), size=3).tolist()
        ['a', 'b']
        """
        values = pd.Index(values)
        if count is not None:
            values, count = values[count > 0], count[count > 0]
            if size is not None and len(values) >= size:
                order = np.lexsort((values.argsort().argsort(), -count))
                values = values[order[: size - 1]]
        return cls(values.unique().sort_values())

    def __len__(self) -> int:
        """Size of the embedding table, the reserved id included."""
        return len(self._index) + 1

    def __repr__(self) -> str:
        """
        >>> Vocabulary(["Comedy", "Drama"])
        Vocabulary of 3 ids: unknown, 'Comedy', 'Drama'
        """
        first = ", ".join(["unknown", *map(repr, self._index[:SHOWN].tolist())])
        return f"Vocabulary of {len(self):,} ids: {first}{', ...' if len(self._index) > SHOWN else ''}"

    def encode(self, values) -> np.ndarray:
        """values: (n,) -> ids (n,) int32."""
        return (self._index.get_indexer(pd.Index(values)) + 1).astype(np.int32)

    def require_kind(self, name: str, values) -> None:
        """Raises `InputError` for texts where the vocabulary has numbers, and so on: none of them would ever match."""
        expected, received = _kind(self._index), _kind(pd.Index(values))
        if expected and received and expected != received:
            raise InputError(
                f"Feature '{name}' holds {expected} in the encoding of the model. Received {received}, which would "
                "all be unknown values. Convert the column to what the model was trained with."
            )

    def tolist(self) -> list:
        """The values of ids 1..n, as JSON can store them."""
        return [value.item() if isinstance(value, np.generic) else value for value in self._index.tolist()]


def _kind(values: pd.Index) -> str | None:
    """What values are, as far as it decides whether two can be equal; None for none."""
    values = values[values.notna()]  # a column without any value is of no kind, whatever type stores it
    kind = pd.api.types.infer_dtype(values) if len(values) else "empty"
    numbers = ("integer", "floating", "mixed-integer-float")
    return None if kind == "empty" else "numbers" if kind in numbers else "texts" if kind == "string" else kind


@dataclass(frozen=True)
class MinMaxScaler:
    """Scales a dense feature so that its training values span 0..1; one that is constant there is 0 for every value.

    fill: what a missing value (NaN) stands for; None where none may be missing.

    >>> MinMaxScaler.fit("price", np.array([10.0, 30.0])).transform("price", np.array([20.0, 40.0])).tolist()
    [0.5, 1.5]
    """

    low: float
    high: float
    fill: float | None = None

    @classmethod
    def fit(
        cls,
        name: str,
        values: np.ndarray,
        weight: np.ndarray | None = None,
        fill: bool = False,
        fill_weight: np.ndarray | None = None,
    ) -> MinMaxScaler:
        """weight: (n,) how many training rows have each value; all count the same without it.

        fill: whether NaN is a missing value, to be taken as the weighted mean (as 0 where all are missing).
        fill_weight: (n,) in place of `weight` in that mean.
        """
        weight = np.ones(len(values)) if weight is None else weight
        present = ~np.isnan(values) if fill else np.ones(len(values), dtype=bool)
        require_finite(name, values[present])  # of all, before the fit on some, so that the error counts table rows
        present &= weight > 0
        if not present.any():
            return cls(0.0, 0.0, 0.0 if fill else None)
        seen = values[present]
        low, high = float(seen.min()), float(seen.max())
        if not fill:
            return cls(low, high)
        if fill_weight is not None:
            present, weight = ~np.isnan(values) & (fill_weight > 0), fill_weight
        return cls(low, high, float(np.average(values[present], weights=weight[present])))

    def transform(self, name: str, values: np.ndarray) -> np.ndarray:
        """values: (n,) -> (n,) float32. Raises `InputError` where a value is NaN, infinite or beyond float32."""
        if self.fill is not None:
            values = np.where(np.isnan(values), self.fill, values)
        span = self.high - self.low
        if not np.isfinite(span):
            raise InputError(f"Feature '{name}' spans {self.low} to {self.high}, more than a float can hold. Scale it.")
        if span == 0:  # nothing was learnt of it: another value later must not reach a tower unscaled
            require_finite(name, values)
            return np.zeros(len(values), dtype=np.float32)
        with np.errstate(over="ignore"):
            scaled = ((values - self.low) / span).astype(np.float32)
        require_finite(name, scaled)
        return scaled

    def to_json(self) -> dict[str, float]:
        return {name: value for name, value in vars(self).items() if value is not None}


def scaled(name: str, values: np.ndarray, scalers: Mapping[str, MinMaxScaler]) -> np.ndarray:
    """values: (n,) -> (n,) float32, as they are where the feature has no scaler."""
    return scalers[name].transform(name, values) if name in scalers else values.astype(np.float32)


def of_length(name: str, vectors: np.ndarray, length: int) -> np.ndarray:
    """vectors: (n, k) float32 -> (n, length), or (n,) where the length is 1; zeros for k = 0, where nobody has one.

    Raises `InputError` for another length, and for numbers that are NaN, infinite or beyond float32.
    """
    if vectors.shape[1] == 0:
        vectors = np.zeros((len(vectors), length), dtype=np.float32)
    if vectors.shape[1] != length:
        raise InputError(
            f"Feature '{name}' has vectors of {length} numbers in the encoding of the model. Received: "
            f"{vectors.shape[1]} numbers. Give vectors of the length that the model was trained with."
        )
    require_finite(name, vectors)
    return vectors.reshape(-1) if length == 1 else vectors


def require_finite(name: str, values: np.ndarray) -> None:
    """Raises `InputError` naming the feature, the count and the first row of NaN or infinite values."""
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    bad = np.flatnonzero(~finite.all(axis=tuple(range(1, finite.ndim))))
    if len(bad):
        held = [
            what
            for what, found in (("NaN", np.isnan), ("infinity or numbers beyond float32", np.isinf))
            if found(values).any()
        ]
        raise InputError(
            f"Feature '{name}' holds {len(bad)} rows with {' and '.join(held)}, the first at row {bad[0]}. "
            "Fill or drop them before training."
        )

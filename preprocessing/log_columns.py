"""Columns of a log, batch by batch -> one number or code a row: of the texts, only the distinct ones are kept."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from foundation.errors import InputError
from foundation.values import is_missing, is_number, plain, shown
from preprocessing import frame_columns as columns
from preprocessing.dataset_spec import LogSpec
from preprocessing.spec_keys import TIME_UNITS

NEGATIVE, POSITIVE, DROPPED = 0, 1, 2
TIMES = (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ns", "UTC"))  # what dates and texts may be read as
FIRST_YEAR = 365 * 24 * 3600  # seconds
CODES = (np.int8, np.int16, np.int32)


def series(name: str, column: pa.Array | pa.ChunkedArray) -> pd.Series:
    """A column of Arrow as one of pandas with the same type, which tells whole numbers with gaps from floats."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())  # of no value, no type is known
    if pa.types.is_dictionary(column.type):
        return pd.Series(column.to_pandas(), name=name)
    return pd.Series(pd.arrays.ArrowExtensionArray(column), name=name)


def distinct(name: str, column: pa.Array) -> tuple[pd.Series, np.ndarray]:
    """The distinct values of a column, and (n,) int32 which of them each row holds, -1 for none."""
    if pa.types.is_null(column.type):
        return series(name, column[:0]), np.full(len(column), -1, dtype=np.int32)
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return series(name, coded.dictionary), coded.indices.fill_null(-1).to_numpy().astype(np.int32)


def require_present(where: str, name: str, column: pa.Array, first_row: int) -> None:
    """Raises `InputError` for a missing value. first_row: of the column among the rows of the log."""
    if column.null_count:
        row = first_row + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(f"{where}: '{name}' is missing in row {row + 1}. Fill it, or leave the row out.")


class Numbering:
    """Ids -> numbers. Those of `keys` have their places in it, others follow in the order in which they come.

    >>> number = Numbering(np.array([30, 10]))
    >>> number.of(np.array([10, 7, 30, 7])).tolist(), number.keys.tolist()
    ([1, 2, 0, 2], [30, 10, 7])
    """

    def __init__(self, keys: np.ndarray):
        self._keys = pd.Index(keys)
        self._new: dict[Hashable, int] = {}

    def of(self, ids: np.ndarray) -> np.ndarray:
        """(n,) int64 or objects -> (n,) int32"""
        if len(self._keys):
            numbers = self._keys.get_indexer(ids).astype(np.int32)
            lacking = np.flatnonzero(numbers < 0)
            if not len(lacking):
                return numbers
            ids = ids[lacking]
        codes, values = pd.factorize(ids)
        new = len(self._keys) + _numbers(self._new, values.tolist())[codes]
        if not len(self._keys):
            return new
        numbers[lacking] = new
        return numbers

    @property
    def keys(self) -> np.ndarray:
        """All ids so far, by their numbers."""
        if not self._new:
            return self._keys.to_numpy()
        return np.concatenate([self._keys.to_numpy(), _array(self._new)]) if len(self._keys) else _array(self._new)


class Ids:
    """The column of users or of items. table: what the ids are of, where there is such a table."""

    def __init__(self, where: str, name: str, keys: np.ndarray, table: str | None):
        self.where, self.name, self.table = where, name, table
        self._kind = keys.dtype if len(keys) else None
        self._numbering = Numbering(keys)
        self._chunks: list[np.ndarray] = []

    def add(self, column: pa.Array, first_row: int) -> None:
        require_present(self.where, self.name, column, first_row)
        if pa.types.is_integer(column.type) and column.type != pa.uint64():
            ids = column.to_numpy().astype(np.int64, copy=False)
            self._require_kind(ids)
            self._chunks.append(self._numbering.of(ids))
        else:
            values, codes = distinct(self.name, column)
            ids = columns.ids(self.where, values)
            self._require_kind(ids)
            self._chunks.append(self._numbering.of(ids)[codes])

    def _require_kind(self, ids: np.ndarray) -> None:
        if self._kind is not None and len(ids) and ids.dtype != self._kind:
            here, there = ("texts", "whole numbers") if ids.dtype.kind == "O" else ("whole numbers", "texts")
            raise InputError(
                f"Column '{self.name}' of {self.where} holds {here}, such as {shown(plain(ids[0]))}, and the ids of "
                f"{self.table or 'rows before them'} are {there}. Give both the same type."
            )
        self._kind = ids.dtype if len(ids) else self._kind

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) int32, the number of each row's id, and the ids by number."""
        return _joined(self._chunks, np.int32), self._numbering.keys


class Categories:
    """A feature of the log that is a category."""

    def __init__(self, where: str, name: str):
        self.where, self.name = where, name
        self._values: dict[Hashable, int] = {}
        self._chunks: list[np.ndarray] = []

    def add(self, column: pa.Array, first_row: int) -> None:
        values, codes = distinct(self.name, column)
        known = columns.categories(self.where, values)
        present = np.array([not is_missing(value) for value in known], dtype=bool)
        numbers = np.full(len(known) + 1, -1, dtype=np.int32)  # the last one is that of the code -1
        numbers[:-1][present] = _numbers(self._values, known[present].tolist())
        fits = next(kind for kind in CODES if len(self._values) <= np.iinfo(kind).max)
        self._chunks.append(numbers[codes].astype(fits))

    def finish(self) -> pd.Categorical:
        kind = np.result_type(np.int8, *(chunk.dtype for chunk in self._chunks))
        return pd.Categorical.from_codes(_joined(self._chunks, kind), pd.Index(_array(self._values)))


class Numbers:
    """A feature of the log that is a number: float64, NaN where one is missing."""

    def __init__(self, where: str, name: str):
        self.where, self.name = where, name
        self._chunks: list[np.ndarray] = []

    def add(self, column: pa.Array, first_row: int) -> None:
        self._chunks.append(numbers(self.where, self.name, column))

    def finish(self) -> np.ndarray:
        return _joined(self._chunks, np.float64)


def numbers(where: str, name: str, column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(n,) float64, NaN where one is missing."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        floats = column.cast(pa.float64(), safe=False)
        return np.array(floats.to_numpy(zero_copy_only=False) if isinstance(floats, pa.Array) else floats.to_numpy())
    return columns.numbers(where, series(name, column))


class Times:
    """The time of each row, (n,) int64 seconds since 1970 in UTC. Times without a zone count as UTC."""

    def __init__(self, where: str, log: LogSpec):
        self.where, self.name, self._unit = where, str(log.time), TIME_UNITS[log.time_unit or "s"]
        self._guessed = log.time_unit is None
        self._chunks: list[np.ndarray] = []

    def add(self, column: pa.Array, first_row: int) -> None:
        require_present(self.where, self.name, column, first_row)
        kind = column.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            values = column.to_numpy()
            if not np.isfinite(values).all():
                row = first_row + int(np.argmin(np.isfinite(values)))
                raise InputError(f"{self.where}: the time '{self.name}' is {values[row - first_row]} in row {row + 1}.")
            self._chunks.append((values // self._unit).astype(np.int64))
            return
        self._guessed = False
        if self._unit != 1:
            raise InputError(f"{self.where}: '{self.name}' holds {kind}, no numbers. Leave out time_unit.")
        for wanted in TIMES:
            if not pa.types.is_timestamp(column.type):
                with suppress(pa.ArrowException):  # what it holds is told below
                    column = column.cast(wanted)
        if not pa.types.is_timestamp(column.type):
            raise InputError(
                f"{self.where}: the time '{self.name}' must hold seconds since 1970, or times such as "
                f"2026-01-31 12:00:00. Received: {shown(column[0].as_py())}."
            )
        self._chunks.append(columns.seconds(pd.Series(column.to_pandas(), name=self.name)))

    def finish(self) -> np.ndarray:
        times = _joined(self._chunks, np.int64)
        late = 10**11  # seconds, in the year 5138
        if self._unit == 1 and len(times) and abs(int(times.max())) >= late:
            raise InputError(
                f"{self.where}: the time '{self.name}' is up to {times.max()}, in seconds after the year 5000. "
                'Say time_unit = "ms" (or "us", "ns") in [log].'
            )
        if self._guessed and len(times) and times.min() >= 0 and times.max() < FIRST_YEAR:
            raise InputError(
                f"{self.where}: the time '{self.name}' is from {times.min()} to {times.max()}. As seconds since 1970 "
                "all rows would be of that year. Name another column in [log], or leave time out; if these are "
                'seconds that begin at another time, say time_unit = "s".'
            )
        return times


class Labels:
    """The label of each row by the rule of the log: (n,) float32 of 0 and 1.

    dropped: how many rows are left out, by their label.
    """

    def __init__(self, where: str, log: LogSpec):
        self.where, self._log = where, log
        self.dropped: dict[Any, int] = {}
        self._chunks: list[np.ndarray] = []

    def add(self, column: pa.Array, first_row: int) -> np.ndarray | None:
        """(n,) bool, the rows that stay; None: all."""
        require_present(self.where, str(self._log.label), column, first_row)
        values, codes = distinct(str(self._log.label), column)
        given = values.tolist()
        outcome = np.array([self._outcome(value) for value in given], dtype=np.int8)[codes]
        kept = outcome != DROPPED
        if kept.all():
            self._chunks.append(outcome.astype(np.float32))
            return None
        for code, count in zip(*np.unique(codes[~kept], return_counts=True), strict=True):
            self.dropped[given[code]] = self.dropped.get(given[code], 0) + int(count)
        self._chunks.append(outcome[kept].astype(np.float32))
        return kept

    def _outcome(self, value: Any) -> int:
        log = self._log
        if value in log.drop:
            return DROPPED
        if log.positive is not None:
            return int(value in log.positive)
        if log.above is not None or log.least is not None:
            if not is_number(value):
                raise InputError(
                    f"{self.where}: the label '{log.label}' is compared with a number, and holds {shown(value)}. Say "
                    "positive = [...] in [log], or drop = [...] to leave such rows out."
                )
            return int(value > log.above) if log.above is not None else int(value >= log.least)
        if is_number(value) and value in (0, 1):
            return int(value)
        raise InputError(
            f"{self.where}: the label '{log.label}' must be 0 or 1, and holds {shown(value)}. Say in [log] what is a "
            'positive: above = 3, from = 4 or positive = ["buy"].'
        )

    def finish(self) -> np.ndarray:
        return _joined(self._chunks, np.float32)


def _numbers(known: dict[Hashable, int], values: Iterable[Hashable]) -> np.ndarray:
    """The number of each value; one that is new gets the next."""
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int32)


def _array(values: Iterable[Hashable]) -> np.ndarray:
    """Whole numbers, floats or truth values as numpy has them, texts as objects."""
    listed = list(values)
    return np.array(listed, dtype=object if not listed or isinstance(listed[0], str) else None)


def _joined(chunks: list[np.ndarray], kind) -> np.ndarray:
    """One array of all, which are let go."""
    result = np.empty(sum(map(len, chunks)), dtype=kind)
    start = 0
    for place, chunk in enumerate(chunks):
        result[start : start + len(chunk)] = chunk
        start += len(chunk)
        chunks[place] = chunk[:0]
    chunks.clear()
    return result

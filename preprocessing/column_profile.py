"""What is in each column of a data set, and which columns are hardly what was meant: for people, before they train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from preprocessing.feature_notes import LEAST, list_separator, looks_like_numbers
from preprocessing.raw import Ragged, RawData

TEST_SHARE = 0.1  # the last rows by time, as the `temporal` protocol tests on
LOOKED_AT = 2000  # distinct texts at most, by which is judged what they are


@dataclass(frozen=True)
class ColumnProfile:
    """One column.

    side: "user", "item" or "log". kind: of a feature, "display" for a column that no model reads, or "label".
    distinct: values (of a list its entries), None where they do not count. missing: share of the rows of its table.
    new: share of the last rows by time (`TEST_SHARE`) with a value that no row before them has; None without times.
    note: what is to be looked at, "" for nothing.
    """

    side: str
    name: str
    kind: str
    distinct: int | None
    missing: float
    new: float | None
    example: str
    note: str = ""


@dataclass(frozen=True)
class _Rows:
    """Of which entities (or rows) the rows of the log are: how many late ones each has, and if it has an early one.

    late: (size,) int64 counts. early: (size,) bool.  what: a word for one of them.
    """

    late: np.ndarray
    early: np.ndarray
    what: str

    def new(self, codes: np.ndarray, values: int) -> float:
        """The share of late rows with a value that no early row has. codes: (size,) int, -1 where there is none."""
        seen = np.zeros(values + 1, dtype=bool)
        seen[codes[self.early]] = True
        seen[-1] = True  # a missing value is none
        return float(self.late[~seen[codes]].sum() / self.late.sum())


def profile_columns(raw: RawData) -> list[ColumnProfile]:
    """The columns of users, of items and of the log, ids first, columns for display last.

    Looks at each value once, texts by their distinct ones.
    """
    late = late_rows(raw)
    users = _rows_of(raw.user, len(raw.users), late, "user")
    items = _rows_of(raw.item, len(raw.items), late, "item")
    schema = raw.schema
    return [
        *_of_entities("user", raw.users, schema.user_id, raw.user_lists, raw.user_vectors, users, _read(raw, "user")),
        *_of_entities("item", raw.items, schema.item_id, raw.item_lists, raw.item_vectors, items, _read(raw, "item")),
        *_of_log(raw, late),
    ]


def late_rows(raw: RawData) -> np.ndarray | None:
    """(n,) bool, the last rows by time; None where all have the same one."""
    if not len(raw) or raw.timestamp.min() == raw.timestamp.max():
        return None
    late = np.zeros(len(raw), dtype=bool)
    late[np.argsort(raw.timestamp, kind="stable")[int(len(raw) * (1 - TEST_SHARE)) :]] = True
    return late


def _read(raw: RawData, side: str) -> set[str]:
    """The features of a side that models read."""
    schema = raw.schema
    user = (*schema.user_sparse, *schema.user_dense, *schema.user_lists, *schema.user_vectors)
    item = (*schema.item_sparse, *schema.item_dense, *schema.item_lists, *schema.item_vectors)
    return set(user if side == "user" else item)


def _rows_of(entity: np.ndarray, size: int, late: np.ndarray | None, what: str) -> _Rows | None:
    if late is None:
        return None
    counts, early = np.bincount(entity[late], minlength=size), np.bincount(entity[~late], minlength=size)
    return _Rows(counts, early > 0, what)


def _of_entities(
    side: str,
    table: pd.DataFrame,
    key: str,
    lists: Mapping[str, Ragged],
    vectors: Mapping[str, np.ndarray],
    rows: _Rows | None,
    read: set[str],
) -> Iterator[ColumnProfile]:
    shown = [name for name in table if name not in read]
    for name in [*(name for name in table if name in read and name not in lists)]:
        yield _of_values(side, name, table[name].to_numpy(), rows, is_id=name == key, what=side)
    for name, ragged in lists.items():
        yield _of_list(side, name, ragged, rows)
    for name, matrix in vectors.items():
        missing = float(np.mean(~matrix.any(axis=1))) if len(matrix) else 0.0
        yield ColumnProfile(side, name, "vector", None, missing, None, f"{matrix.shape[1]} numbers")
    for name in shown:
        if name not in lists:
            values = table[name].to_numpy()
            yield ColumnProfile(side, name, "display", None, float(np.mean(pd.isna(values))), None, _first(values))


def _of_log(raw: RawData, late: np.ndarray | None) -> Iterator[ColumnProfile]:
    rows = None if late is None else _Rows(late.astype(np.int64), ~late, "row")
    item_side = _read(raw, "item")
    for name, values in raw.interactions.items():
        side = "log, item" if name in item_side else "log, user"
        yield _of_values(side, name, values, rows, is_id=False, what="row")


def _of_values(
    side: str, name: str, values: np.ndarray | pd.Categorical, rows: _Rows | None, is_id: bool, what: str
) -> ColumnProfile:
    """A category or a number."""
    if not isinstance(values, pd.Categorical) and values.dtype.kind == "f" and not is_id:
        return _of_numbers(side, name, values)
    if isinstance(values, pd.Categorical):
        codes, distinct = np.asarray(values.codes, dtype=np.int64), np.asarray(values.categories)
    else:
        codes, distinct = pd.factorize(values)
    missing = float(np.mean(codes < 0)) if len(codes) else 0.0
    new = None if rows is None else rows.new(codes, len(distinct))
    note = "" if is_id else _note(distinct, int(np.count_nonzero(codes >= 0)), what)
    example = str(distinct[0]) if len(distinct) else ""
    return ColumnProfile(side, name, "id" if is_id else "sparse", len(distinct), missing, new, example, note)


def _note(distinct: np.ndarray, present: int, what: str) -> str:
    """What is to be looked at in a category. present: how many rows have a value."""
    if not present:
        return 'no value at all: say "ignore"'
    if len(distinct) == 1:
        return 'the same value everywhere: say "ignore"'
    if len(distinct) < LEAST:
        return ""
    texts = [value for value in distinct[:LOOKED_AT].tolist() if isinstance(value, str)]
    if looks_like_numbers(texts):
        return "numbers that are written as text? Write plain numbers"
    separator = list_separator(texts)
    if separator:
        return f"lists? Name the separator {separator!r} under [separators]"
    if len(distinct) >= 0.9 * present:
        return f'nearly a value of its own for each {what}: say "display" or "ignore"'
    return ""


def _of_numbers(side: str, name: str, values: np.ndarray) -> ColumnProfile:
    present = values[~np.isnan(values)]
    missing = 1 - len(present) / len(values) if len(values) else 0.0
    if not len(present):
        return ColumnProfile(side, name, "dense", 0, missing, None, "", 'no value at all: say "ignore"')
    low, high = float(present.min()), float(present.max())
    note = 'the same value everywhere: say "ignore"' if low == high else ""
    return ColumnProfile(side, name, "dense", len(pd.unique(present)), missing, None, f"{low:g} to {high:g}", note)


def _of_list(side: str, name: str, ragged: Ragged, rows: _Rows | None) -> ColumnProfile:
    codes, distinct = pd.factorize(ragged.values)
    lengths = ragged.lengths
    missing = float(np.mean(lengths == 0)) if len(ragged) else 0.0
    new = None
    if rows is not None:
        owner = np.repeat(np.arange(len(ragged)), lengths)
        seen = np.zeros(len(distinct) + 1, dtype=bool)
        seen[codes[rows.early[owner]]] = True
        has_new = np.zeros(len(ragged), dtype=bool)
        has_new[owner[~seen[codes]]] = True
        new = float(rows.late[has_new].sum() / rows.late.sum())
    first = int(np.argmax(lengths > 0)) if lengths.any() else None
    start, end = (0, 0) if first is None else ragged.offsets[first : first + 2]
    note = "" if len(distinct) else 'no value at all: say "ignore"'
    example = ", ".join(map(str, ragged.values[start:end].tolist()))
    return ColumnProfile(side, name, "list", len(distinct), missing, new, example, note)


def _first(values: np.ndarray) -> str:
    """The first value that is there."""
    present = values[~pd.isna(values)]
    return str(present[0]) if len(present) else ""

"""Tables of users or of items, joined by id -> one row an entity: its features, lists, vectors and what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import InputError
from foundation.shown import some
from preprocessing import frame_columns
from preprocessing.dataset_spec import DatasetSpec, EntitySpec
from preprocessing.frames import Part, features_of
from preprocessing.log_columns import Numbering, distinct, numbers, series
from preprocessing.raw import Ragged, RowCount
from preprocessing.table_files import BAD_LINES, TableFiles

Rows = tuple[np.ndarray, pa.ChunkedArray]  # which entity each value is of, and the values


@dataclass
class EntityTables:
    """All tables of one side. columns, several: by name, with the number of the entity of each row."""

    keys: np.ndarray
    files: list[TableFiles] = field(default_factory=list)
    counts: list[RowCount] = field(default_factory=list)
    columns: dict[str, tuple[TableFiles, np.ndarray, pa.ChunkedArray]] = field(default_factory=dict)
    several: dict[str, tuple[TableFiles, np.ndarray, pa.ChunkedArray]] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        return some(files.name for files in self.files) if self.files else None


@dataclass(frozen=True)
class Entities:
    """One row an entity. vectors: (entities, k) float32 by name."""

    part: Part
    vectors: Mapping[str, np.ndarray]


def read_entities(spec: DatasetSpec, tables: Sequence[TableFiles[EntitySpec]]) -> EntityTables:
    """Reads the tables of a side as they are.

    Raises `InputError` for columns that are missing or stand in two tables, and for ids that are missing, or repeated
    where an id has one row.
    """
    numbering = Numbering(np.empty(0, dtype=object))
    found = EntityTables(numbering.keys)
    kind = None
    for files in tables:
        one = files.spec
        names = [name for name in files.columns if name != one.id and spec.kinds.get(name) != "ignore"]
        table = files.table([one.id, *names])
        if not len(table):
            raise InputError(f"{files.name} has a header and no rows. Give a table with rows, or leave it out.")
        ids = frame_columns.ids(files.name, series(one.id, table[one.id].combine_chunks()))
        if kind is not None and ids.dtype != kind:
            raise InputError(
                f"Column '{one.id}' of {files.name} and the ids of {found.name} are texts and whole numbers. "
                "Give both the same type."
            )
        kind = ids.dtype
        if not one.several:
            _require_unique(files.name, one, ids)
        if found.files or one.several:
            rows = numbering.of(ids)
        else:  # the usual case, a table alone, without a look at each id
            numbering, rows = Numbering(ids), np.arange(len(ids), dtype=np.int32)
        for name in names:
            if name in found.columns or name in found.several:
                raise InputError(f"Two tables of {one.section} have a column '{name}'. Rename one, or ignore both.")
            (found.several if one.several else found.columns)[name] = files, rows, table[name]
        found.files.append(files)
        dropped = {BAD_LINES: files.bad_lines} if files.bad_lines else {}
        found.counts.append(RowCount(files.name, len(table) + files.bad_lines, len(table), dropped))
    found.keys = numbering.keys
    return found


def _require_unique(where: str, spec: EntitySpec, ids: np.ndarray) -> None:
    again = pd.Index(ids).duplicated()
    if again.any():
        repeated = pd.unique(ids[again]).tolist()
        number = f"{len(repeated)} ids have" if len(repeated) > 1 else "1 id has"
        raise InputError(
            f"{where}: {number} several rows: {some(map(repr, repeated))}, again in row {again.argmax() + 1}. "
            f"Give each id one row; or say several = true in {spec.section}, so that the other columns are lists."
        )


def join(spec: DatasetSpec, tables: EntityTables, key: str, keys: np.ndarray) -> Entities:
    """One row for each of `keys`, of which the first are those of the tables; what is not known of one is missing.

    key: what the id is called as a feature.  Raises `InputError` for columns that do not hold what their kind says.
    """
    frame: dict[str, pd.Series] = {}
    lists: dict[str, Ragged] = {}
    vectors: dict[str, np.ndarray] = {}
    shown_only: dict[str, np.ndarray] = {}
    for name, (files, rows, column) in tables.columns.items():
        kind = kind_of(spec, files.name, name, column)
        if kind == "list":
            lists[name] = _lists(files.name, name, rows, _split(spec, name, column), len(keys))
        elif kind == "vector":
            vectors[name] = _vectors(files.name, name, rows, _split(spec, name, column), len(keys))
        else:
            placed = _placed(rows, column, len(keys))
            if kind == "display":
                shown_only[name] = placed.to_pandas().astype(object).to_numpy()
            elif kind == "dense":
                frame[name] = pd.Series(numbers(files.name, name, placed), name=name)
            else:
                frame[name] = _compact(name, placed)
    for name, (files, rows, column) in tables.several.items():
        lists[name] = _grouped(files.name, name, rows, column.combine_chunks(), len(keys))
    kinds = {name: "dense" if values.dtype == np.float64 else "sparse" for name, values in frame.items()}
    kinds |= {name: "sparse" for name in frame if spec.kinds.get(name) == "sparse"}
    part = features_of(tables.name or "", pd.DataFrame(frame, index=range(len(keys)), copy=False), kinds)
    table = pd.concat([pd.DataFrame({key: keys}), part.table, pd.DataFrame(shown_only)], axis=1)
    return Entities(Part(table, (key, *part.sparse), part.dense, lists), vectors)


def kind_of(spec: DatasetSpec, where: str, name: str, column: pa.Array | pa.ChunkedArray) -> str:
    """What `dataset.toml` says a column is, or else what its type says.

    Raises `InputError` for dates and times of which nothing is said.
    """
    if name in spec.kinds:
        return spec.kinds[name]
    if name in spec.separators:
        return "list"
    if pa.types.is_temporal(column.type):
        raise InputError(
            f"Column '{name}' of {where} holds dates or times, which are no feature as they are. "
            f'Say {name} = "ignore" (or "display") under [kinds].'
        )
    if _is_list(column.type):
        return "vector" if pa.types.is_floating(column.type.value_type) else "list"
    return frame_columns.kind_of(where, series(name, column[: 1 << 10] if len(column) else column))


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _placed(rows: np.ndarray, column: pa.ChunkedArray, size: int) -> pa.Array:
    """(size,) the value of each entity, null where it has none."""
    column = column.combine_chunks()
    if len(rows) == size and np.array_equal(rows, np.arange(size)):
        return column
    place = np.full(size, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return column.take(pa.array(place, mask=place < 0))


def _compact(name: str, column: pa.Array) -> pd.Series:
    """A category, of which the distinct values alone are made into objects."""
    if column.null_count == 0 and (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        return series(name, column)
    values, codes = distinct(name, column)
    if not len(values):
        return pd.Series(np.full(len(column), None, dtype=object), name=name)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(values)), name=name)


def _split(spec: DatasetSpec, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as lists of texts, if the column has a separator."""
    if name not in spec.separators:
        return column
    return pc.split_pattern(column.cast(pa.string()), spec.separators[name])


def _flat(where: str, name: str, rows: np.ndarray, column: pa.ChunkedArray) -> Rows:
    """The values in lists, and of which entity each is."""
    if not _is_list(column.type):
        raise InputError(
            f"Column '{name}' of {where} holds {column.type}, no lists. If they are texts with parts, say what is "
            f'between these: {name} = "|" under [separators].'
        )
    present = column.is_valid().to_numpy()
    given = column.combine_chunks().drop_null()
    return rows[present][pc.list_parent_indices(given).to_numpy()], pc.list_flatten(given)


def _lists(where: str, name: str, rows: np.ndarray, column: pa.ChunkedArray, size: int) -> Ragged:
    owner, values = _flat(where, name, rows, column)
    return _grouped(where, name, owner, values, size)


def _grouped(where: str, name: str, owner: np.ndarray, values: pa.Array, size: int) -> Ragged:
    """The values of each entity, in their order, without missing ones and empty texts."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = pc.utf8_trim_whitespace(values)
        present = pc.and_(values.is_valid(), pc.not_equal(values, ""))
    else:
        present = values.is_valid()
    present = present.fill_null(False).to_numpy(zero_copy_only=False)
    owner, values = owner[present], values.filter(pa.array(present))
    # As a list column's entries are checked; distinct ones alone.
    distinct_values, codes = distinct(name, values)
    kinds = frame_columns.lists(where, pd.Series([distinct_values.tolist()], name=name))
    order = np.argsort(owner, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=size))]).astype(np.int64)
    return Ragged(kinds.values[codes[order]], offsets)


def _vectors(where: str, name: str, rows: np.ndarray, column: pa.ChunkedArray, size: int) -> np.ndarray:
    """(size, k) float32, zeros where there is none."""
    owner, values = _flat(where, name, rows, column)
    try:
        floats = values.cast(pa.float64())
    except pa.ArrowException:
        raise InputError(f"Column '{name}' of {where} must hold vectors of numbers. Received: {values.type}.") from None
    if floats.null_count or not np.isfinite(floats.to_numpy()).all():
        raise InputError(f"Column '{name}' of {where} has vectors with a number that is missing or infinite.")
    if (np.abs(floats.to_numpy()) > np.finfo(np.float32).max).any():
        raise InputError(f"Column '{name}' of {where} has vectors with a number beyond 3.4e38, the largest of float32.")
    lengths = np.bincount(owner, minlength=size)
    widths = np.unique(lengths[lengths > 0])
    if len(widths) != 1:
        raise InputError(
            f"Column '{name}' of {where} must hold vectors of one length. Received: "
            f"{some(widths.tolist()) or 'none at all'} numbers."
        )
    result = np.zeros((size, int(widths[0])), dtype=np.float32)
    result[lengths > 0] = floats.to_numpy()[np.argsort(owner, kind="stable")].reshape(-1, int(widths[0]))
    return result

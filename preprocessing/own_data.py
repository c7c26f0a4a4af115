"""A folder with a `dataset.toml` -> `RawData`: tables in files, read through Arrow, joined and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from foundation.errors import InputError
from foundation.nearest import did_you_mean
from foundation.values import shown
from preprocessing.cache import read_cached
from preprocessing.dataset_spec import DatasetSpec, read_spec
from preprocessing.download import fetch_file
from preprocessing.entity_tables import Entities, EntityTables, join, kind_of, read_entities
from preprocessing.files import find_file, fingerprint, unchanged
from preprocessing.frames import ITEM_STATISTIC, USER_STATISTIC
from preprocessing.log_columns import Categories, Ids, Labels, Numbers, Times
from preprocessing.raw import RawData, RowCount, Schema
from preprocessing.table_files import BAD_LINES, TableFiles

FEATURES: dict[str, type[Categories] | type[Numbers]] = {"sparse": Categories, "dense": Numbers}
LEFT_OUT = "column '{}' left out: it has one value in all rows"


def load_own(folder: Path, data_path: Path | None = None, cache: Path | None = None, quiet: bool = False) -> RawData:
    """The data that the `dataset.toml` of a folder describes.

    data_path: where its tables are, if not beside it.  cache: folder for parsed tables, None for none.
    quiet: no progress bar of a download.
    Users and items are in the order of their tables, and those that are in the log alone behind them, in the order in
    which they come. Raises `InputError` for whatever is wrong with the file or the tables.
    """
    spec = read_spec(Path(folder))
    where = Path(folder if data_path is None else data_path)
    if not where.is_dir():
        raise InputError(f"{where} is no folder. Give the folder of the tables that {spec.path} names.")
    _fetch_missing(spec, where, quiet)
    users, items = [TableFiles(one, where) for one in spec.users], [TableFiles(one, where) for one in spec.items]
    log = TableFiles(spec.log, where)
    _require_known_columns(spec, log, users, items)
    tables: list[TableFiles[Any]] = [*users, *items, log]
    paths = [path for files in tables for path in files.paths]

    def read(_: Path) -> RawData:
        with unchanged(paths):
            known = read_entities(spec, users), read_entities(spec, items)
            return _joined(spec, log, *known, _read_log(spec, log, *known), fingerprint(paths, spec.identity))

    return read_cached(read, Path(folder).resolve(), paths, cache, spec.identity)


def _fetch_missing(spec: DatasetSpec, where: Path, quiet: bool) -> None:
    for one in spec.downloads:
        if find_file(where, one.file) is None:
            hint = f"Get {one.file} in another way, and put it into {where}."
            fetch_file(one.url, where / one.file, one.sha256, quiet, hint)


@dataclass(frozen=True)
class Log:
    """The rows of the log that are kept, and how many there were.

    kinds: of the features.  constant: columns of which `dataset.toml` says nothing and that have one
    value in all rows, so that they are left out.
    """

    user: tuple[np.ndarray, np.ndarray]
    item: tuple[np.ndarray, np.ndarray]
    label: np.ndarray
    timestamp: np.ndarray
    features: dict[str, np.ndarray | pd.Categorical]
    kinds: dict[str, str]
    constant: tuple[str, ...]
    read: int
    dropped: dict[Any, int]


def _read_log(spec: DatasetSpec, files: TableFiles, users: EntityTables, items: EntityTables) -> Log:
    log = spec.log
    files.require(log.reserved)
    names = [name for name in files.columns if name not in log.reserved and spec.kinds.get(name) != "ignore"]

    def take(batches: Iterator[pa.RecordBatch]) -> Log:
        where = files.name
        user, item = Ids(where, log.user, users.keys, users.name), Ids(where, log.item, items.keys, items.name)
        label, times = Labels(where, log), Times(where, log)
        kinds: dict[str, str] = {}
        features: dict[str, Categories | Numbers] = {}
        read = kept = 0
        for batch in batches:
            if not read:
                kinds = {name: _log_kind(spec, where, name, batch[name]) for name in names}
                features = {name: FEATURES[kind](where, name) for name, kind in kinds.items()}
            rows = label.add(batch[log.label], read) if log.label is not None else None
            if rows is not None:
                batch = batch.filter(pa.array(rows))
            for name, column in ((log.user, user), (log.item, item), *features.items()):
                column.add(batch[name], read)
            if log.time is not None:
                times.add(batch[log.time], read)
            read += len(rows) if rows is not None else batch.num_rows
            kept += batch.num_rows
        values = {name: column.finish() for name, column in features.items()}
        named = {*spec.kinds, *spec.sides, *spec.vocabulary_sizes}
        constant = tuple(name for name in values if name not in named and _is_constant(values[name]))
        return Log(
            user=user.finish(),
            item=item.finish(),
            label=label.finish() if log.label is not None else np.ones(kept, dtype=np.float32),
            timestamp=times.finish() if log.time is not None else np.zeros(kept, dtype=np.int64),
            features={name: column for name, column in values.items() if name not in constant},
            kinds={name: kind for name, kind in kinds.items() if name not in constant},
            constant=constant,
            read=read,
            dropped=label.dropped,
        )

    found = files.consume([*log.reserved, *names], take)
    _require_rows(spec, files, found)
    return found


def _is_constant(values: np.ndarray | pd.Categorical) -> bool:
    """Whether all rows have one value, or none. It tells nothing, and each request would have to give it."""
    numbers = values.codes if isinstance(values, pd.Categorical) else values
    return bool((numbers == numbers[:1]).all() or pd.isna(values).all())


def _log_kind(spec: DatasetSpec, where: str, name: str, column: pa.Array) -> str:
    kind = kind_of(spec, where, name, column)
    if kind not in FEATURES:
        raise InputError(
            f"Column '{name}' of {where} is of the kind {kind}, and a feature of the log can be sparse or dense alone. "
            f'Say {name} = "ignore" under [kinds], or put it into a table of users or items.'
        )
    return kind


def _require_rows(spec: DatasetSpec, files: TableFiles, log: Log) -> None:
    if not log.read:
        raise InputError(f"{files.name} has no rows: there is nothing to learn from.")
    if not len(log.label):
        raise InputError(f"{files.name}: [log] drops all {log.read:,} rows. Correct drop = {list(spec.log.drop)}.")
    if spec.log.label is not None and log.label.min() == log.label.max():
        raise InputError(
            f"{files.name}: all {len(log.label):,} labels are {log.label[0]:.0f} by the rule of [log], and a model "
            "needs both classes. Correct the rule; or leave out the label if every row is a positive."
        )


def _joined(
    spec: DatasetSpec, files: TableFiles, users: EntityTables, items: EntityTables, log: Log, identity: str
) -> RawData:
    (user, user_keys), (item, item_keys) = log.user, log.item
    user_side = join(spec, users, spec.log.user, user_keys)
    item_side = join(spec, items, spec.log.item, item_keys)
    side = {name: spec.sides.get(name, "user") for name in log.features}

    def of_log(kind: str, of: str) -> tuple[str, ...]:
        return tuple(name for name in log.features if log.kinds[name] == kind and side[name] == of)

    liked = f"liked_{spec.log.item}"
    schema = Schema(
        user_id=spec.log.user,
        item_id=spec.log.item,
        user_sparse=user_side.part.sparse + of_log("sparse", "user"),
        item_sparse=item_side.part.sparse + of_log("sparse", "item"),
        user_dense=user_side.part.dense + of_log("dense", "user"),
        item_dense=item_side.part.dense + of_log("dense", "item"),
        user_lists=tuple(user_side.part.lists),
        item_lists=tuple(item_side.part.lists),
        user_vectors=tuple(user_side.vectors),
        item_vectors=tuple(item_side.vectors),
        user_statistic=USER_STATISTIC,
        item_statistic=ITEM_STATISTIC,
        history=liked,
        fill_mean=user_side.part.dense + item_side.part.dense + tuple(n for n in log.kinds if log.kinds[n] == "dense"),
        vocabulary_sizes=dict(spec.vocabulary_sizes),
    )
    _require_distinct(spec, user_side, item_side, log, (USER_STATISTIC, ITEM_STATISTIC, liked))
    dropped = {f"{spec.log.label} {shown(value)}": count for value, count in log.dropped.items()}
    if files.bad_lines:
        dropped[BAD_LINES] = files.bad_lines
    notes = (*_note("users", users, user), *_note("items", items, item), *map(LEFT_OUT.format, log.constant))
    log_count = RowCount(files.name, log.read + files.bad_lines, len(log.label), dropped, notes)
    return RawData(
        name=spec.name,
        fingerprint=identity,
        schema=schema,
        users=user_side.part.table,
        items=item_side.part.table,
        user=user,
        item=item,
        label=log.label,
        timestamp=log.timestamp,
        user_lists=user_side.part.lists,
        item_lists=item_side.part.lists,
        user_vectors=user_side.vectors,
        item_vectors=item_side.vectors,
        interactions=log.features,
        described_users=_described(users, user_keys),
        described_items=_described(items, item_keys),
        counts=(*users.counts, *items.counts, log_count),
        negatives=spec.negatives,
    )


def _described(tables: EntityTables, keys: np.ndarray) -> int | None:
    return len(tables.keys) if tables.files and len(tables.keys) < len(keys) else None


def _note(what: str, tables: EntityTables, rows: np.ndarray) -> Iterator[str]:
    """How many rows are of entities without a row in any table, and of how many of these."""
    new = int(rows.max()) + 1 - len(tables.keys)
    if tables.files and new > 0:
        count = int(np.count_nonzero(rows >= len(tables.keys)))
        yield f"{count:,} of {new:,} {what} without a row in {tables.name}"


def _require_known_columns(
    spec: DatasetSpec, files: TableFiles, users: Sequence[TableFiles], items: Sequence[TableFiles]
) -> None:
    """Raises `InputError` where `dataset.toml` says something of a column that no table has."""
    of_entities = {name for one in (*users, *items) for name in one.columns if name != one.spec.id}
    of_log = {*files.columns} - {*spec.log.reserved}
    for section, given, known in (
        ("kinds", spec.kinds, of_entities | of_log),
        ("separators", spec.separators, of_entities),
        ("sides", spec.sides, of_log),
        ("vocabulary_sizes", spec.vocabulary_sizes, of_entities | of_log | {spec.log.user, spec.log.item}),
    ):
        for name in given:
            if name not in known:
                raise InputError(
                    f"{spec.path}: [{section}] names '{name}', which is no column that it can name."
                    f"{did_you_mean(name, known)} Columns: {', '.join(sorted(known)) or 'none'}."
                )


def _require_distinct(spec: DatasetSpec, users: Entities, items: Entities, log: Log, computed: tuple[str, ...]) -> None:
    features = [*users.part.names, *users.vectors, *items.part.names, *items.vectors, *log.features, *computed]
    twice = sorted({name for name in features if features.count(name) > 1})
    if twice:
        raise InputError(
            f"Two features are named '{twice[0]}' in the tables of {spec.path}. Rename one in the header of its "
            f'file, or say {twice[0]} = "ignore" under [kinds].'
        )

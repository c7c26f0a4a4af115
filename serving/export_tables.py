"""`users.parquet` and `items.parquet`: what the towers read of each known user and item, as the index has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from foundation.feature_columns import Column, kind_of
from serving.entities import Entities
from serving.onnx_programs import CHECKSUM, Program, free_name
from serving.state import State

CHUNK = 65536  # entities in memory at once
FILES = {"users": "users.parquet", "items": "items.parquet"}
TYPES = {"sparse": pa.int64(), "list": pa.list_(pa.int64()), "dense": pa.float32()}


def write_tables(folder: Path, state: State, programs: dict[str, Program]) -> dict[str, dict]:
    """Writes both files. Returns what `encoding.json` says of them.

    One row an entity: its raw id, and a column for each input of the tower, under the input's name, encoded.
    """
    users, items = state.users, state.items
    schema = state.encoder.schema
    sources = {
        "users": (programs["user_tower"], schema["user_id"], users.live(), users.entities, users.base),
        "items": (programs["item_tower"], schema["item_id"], items.live(), items.entities, items.base),
    }
    found = {}
    for name, (program, feature, rows, read, table) in sources.items():
        stored = {*table.file.meta["values"], *table.file.meta["lists"]}
        inputs = [(one.name, one.column) for one in program.inputs if one.column and one.column.name in stored]
        id_column = free_name("id", [one for one, _ in inputs])
        fields = [pa.field(id_column, pa.string() if table.has_text_ids else pa.int64(), nullable=False)]
        fields += [pa.field(one, _type(column), nullable=False) for one, column in inputs]
        layout = pa.schema(fields, metadata={CHECKSUM: state.manifest.model})
        _write(folder / FILES[name], layout, rows, read, [column.name for _, column in inputs])
        found[name] = {
            "file": FILES[name],
            "rows": len(rows),
            "id_column": id_column,
            "id_type": "str" if table.has_text_ids else "int",
            "id_feature": feature,
            "inputs": [one for one, _ in inputs],
        }
    return found


def _type(column: Column) -> pa.DataType:
    size = getattr(column, "dimension", 1)
    return TYPES[kind_of(column)] if size == 1 else pa.list_(pa.float32(), size)


def _write(
    path: Path, layout: pa.Schema, rows: np.ndarray, read: Callable[[np.ndarray], Entities], names: list[str]
) -> None:
    with pq.ParquetWriter(path, layout) as writer:
        for first in range(0, max(len(rows), 1), CHUNK):
            entities = read(rows[first : first + CHUNK])
            columns = [entities.ids, *(_column(entities, name) for name in names)]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, layout, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=layout))


def _column(entities: Entities, name: str) -> np.ndarray | pa.Array:
    table = entities.features
    if name in table.values:
        values = table.values[name].numpy()
        return values if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])
    bags = table.lists[name].batch(torch.arange(len(entities)))
    return pa.ListArray.from_arrays(
        pa.array(bags.offsets.numpy(), pa.int32()), pa.array(bags.values.numpy(), pa.int64())
    )

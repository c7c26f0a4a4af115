"""The exported programs against torch: sizes and ids at their ends, and raw values encoded by `encoding.json`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from foundation.deepctr import DenseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.features import Features
from model.all_pairs import all_pairs
from model.base import TwoTower
from serving.export_rules import encode
from serving.onnx_programs import Program, named
from serving.raw_encoder import RawEncoder, concatenate

TOLERANCE = 1e-5  # of a click probability
# Users, items, length of the first list, how much longer each next one is, ids: other sizes than the programs were made
# with. A dimension of 1, a list of 0 and the ends of a table are where a program may have taken a size for a constant.
SHAPES = (
    (1, 3, 0, 0, "random"),
    (3, 1, 1, 0, "largest"),
    (2, 2, 3, 0, "unknown"),
    (7, 9, 0, 1, "random"),
    (1, 1, 9, 1, "random"),
)


def examples(columns: list[Column], count: int, length: int, longer: int = 0, ids: str = "random") -> list[Tensor]:
    """Features in the order of the columns, the same each time: ids int64, lists padded with 0."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for column in columns:
        if isinstance(column, DenseFeat):
            shape = (count,) if column.dimension == 1 else (count, column.dimension)
            made.append(torch.rand(shape, generator=generator))
            continue
        shape = (count,)
        if isinstance(column, VarLenSparseFeat):
            shape, length = (count, length), length + longer
        one = torch.randint(column.vocabulary_size, shape, generator=generator)
        ends = {"random": one, "largest": torch.full_like(one, column.vocabulary_size - 1), "unknown": one * 0}
        made.append(ends[ids])
    return made


def check_shapes(model: TwoTower, programs: dict[str, Program], sessions: dict) -> None:
    """Raises `InputError` where the chain of the three programs and the model differ."""
    for users, items, length, longer, ids in SHAPES:
        user = examples(model.user_columns, users, length, longer, ids)
        item = examples(model.item_columns, items, length, longer, ids)
        inputs = {
            name: {one.name: value.numpy() for one, value in zip(programs[name].inputs, features, strict=True)}
            for name, features in (("user_tower", user), ("item_tower", item))
        }
        what = f"{users} users and {items} items with lists of {length}, {ids} ids"
        _compare(model, named(model.user_columns, user), named(model.item_columns, item), inputs, sessions, what)


def check_raw_values(model: TwoTower, config: dict, document: dict, sessions: dict) -> None:
    """The same from raw values, which `PreRanker` encodes on one side, and the document on the other."""
    encoder = RawEncoder(model, config)
    users, items = (_raw_rows(document, program) for program in ("user_tower", "item_tower"))
    inputs = {"user_tower": encode(document, "user_tower", users), "item_tower": encode(document, "item_tower", items)}
    user = concatenate([encoder.user(raw, {}) for raw in users])
    item = concatenate([encoder.item(raw, {}, []) for raw in items])
    _compare(model, user, item, inputs, sessions, "raw values")


def _compare(model: TwoTower, user: Features, item: Features, inputs: dict, sessions: dict, what: str) -> None:
    with torch.inference_mode():
        expected = torch.sigmoid(all_pairs(model.interaction, model.encode_user(user), model.encode_item(item))).numpy()
    query = sessions["user_tower"].run(None, inputs["user_tower"])[0]
    vectors = sessions["item_tower"].run(None, inputs["item_tower"])[0]
    logits = sessions["scorer"].run(None, {"query": query, "item": vectors})[0]
    error = np.abs(torch.sigmoid(torch.from_numpy(logits)).numpy() - expected).max()
    if logits.shape != expected.shape or not error <= TOLERANCE:
        raise InputError(f"The exported scores differ from torch's by {error:.1e} ({what}). Nothing was written.")


def _raw_rows(document: dict, program: str) -> list[dict[str, Any]]:
    """Entities of which nothing is known, and those of the first and the last values of every vocabulary."""
    rows: list[dict[str, Any]] = [{}, {}, {}]
    values: list[Any]
    for one in document["programs"][program]["inputs"]:
        name = one["feature"]
        if one["kind"] == "dense":
            low, high = (one["scale"] or {"low": 0.0, "high": 1.0}).values()
            values = [low if one["missing"] is None else None, high, (low + high) / 2]
        elif one["kind"] == "vector":
            values = [None, [1.0] * one["length"], [-0.5 * place for place in range(one["length"])]]
        else:
            vocabulary = document["vocabularies"][one["vocabulary"]]
            known = vocabulary["values"] or [None]
            if vocabulary["type"] == "float":
                known = [float(value) for value in known]
            values = [None, known[0], known[-1]]
            if one["kind"] == "list":
                values = [[], known[:1], [known[-1], None, *known[:50]]]
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows

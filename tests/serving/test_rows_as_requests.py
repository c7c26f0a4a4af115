"""A row of the tables, given as a request or an upsert, has the features that training gave it."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from frame_helpers import CATEGORIES, ITEMS, LISTS, NUMBERS, USERS, build, repeated
from serving_helpers import random_model, ranker_of
from storage_types import TEXTS, WHOLE, arrow

from foundation.errors import InputError
from foundation.values import entries, is_list, plain

KINDS = {
    **{name: case[0] for name, case in CATEGORIES.items()},
    **NUMBERS,
    **LISTS,
    **{f"whole {name}": make([3, 7, 11, 3]) for name, make in WHOLE.items() if name != ">i8"},
    **{f"text {name}": make(["b", None, "", "b"]) for name, make in TEXTS.items()},
    "float32": pd.Series([0.1, np.nan, 3.0, 0.25], dtype="float32"),
    "lists of integers": [[2, 1], None, np.array([1, 2], dtype=np.uint8), {2, 1}],
    "arrow lists of integers": arrow([[2, None, 1], None, [], [7]], pa.large_list(pa.int16())),
    "all numbers missing": [np.nan] * 4,
    "constant": [5.0] * 4,
}
SAID = {  # column, kinds
    "dense truth": ([True, False], "dense"),
    "dense truth with gaps": (pd.array([True, None, False], "boolean"), "dense"),
    "dense integers": (pd.array([1, None, 9], "Int64"), "dense"),
    "sparse floats": ([1.0, np.nan, 2.5, 3.0], "sparse"),
    "sparse float32": (pd.Series([0.1, np.nan, 3.0], dtype="float32"), "sparse"),
    "sparse integers and floats": (pd.Series([1, None, 2.5], dtype=object), "sparse"),
}


def as_json(row: dict) -> dict:
    """What a client sends of a row."""
    values = {name: entries(value) if is_list(value) else plain(value) for name, value in row.items()}
    return json.loads(json.dumps({k: float(v) if isinstance(v, Decimal) else v for k, v in values.items()}))


def rows_of(frame: pd.DataFrame) -> list[list[dict]]:
    """All rows, as a program has them: of `to_dict`, out of a single row, or through JSON."""
    records = frame.to_dict("records")
    single = [frame.iloc[number].to_dict() for number in range(len(frame))]
    return [records, single, [as_json(row) for row in records]]


def same(one, other) -> bool:
    if hasattr(one, "offsets"):
        return torch.equal(one.values, other.values) and torch.equal(one.offsets, other.offsets)
    return torch.equal(one, other)


@pytest.mark.parametrize("name", [*KINDS, *SAID])
def test_a_row_has_the_features_of_training(name, tmp_path):
    column, kind = SAID[name] if name in SAID else (KINDS[name], None)
    users = USERS.assign(x=repeated(column))
    items = ITEMS.assign(z=repeated(column).iloc[: len(ITEMS)].set_axis(ITEMS.index))
    data = build(users=users, items=items, kinds={"x": kind, "z": kind} if kind else None)
    ranker = ranker_of(tmp_path, random_model("dssm", data), data)
    for rows in rows_of(users):
        for number, row in enumerate(rows):
            statistics = {"user_mean_label": 0.5, "liked_i": [], "device": "tv", "hour": 1.0}
            found = ranker.state.encoder.user(row | statistics, {})
            place = torch.tensor([number])
            assert all(same(found[one], data.users.batch(one, place)) for one in users.columns)
    for rows in rows_of(items):
        ranker.upsert(rows)
        state = ranker._current()
        for number, row in enumerate(rows):
            found = state.items.entities(state.items.find(np.array([row["i"]], dtype=np.int64)))
            place = torch.tensor([number])
            names = [one.name for one in state.model.item_columns if one.name in items.columns]
            assert set(names) == set(items.columns)
            assert all(same(found.features.batch(one, place * 0), data.items.batch(one, place)) for one in names)
            assert found.texts["kind"] == [items["kind"].iloc[number]]


@pytest.fixture(scope="module")
def data():
    users = USERS.assign(member=[True, False] * 10, level=[1.0, 2.5] * 10, year=[1990, 2000] * 10)
    return build(users=users, kinds={"level": "sparse"})


@pytest.fixture(scope="module")
def encoder(data, tmp_path_factory):
    return ranker_of(tmp_path_factory.mktemp("run"), random_model("dssm", data), data).state.encoder


class TestOtherTypes:
    @pytest.mark.parametrize(
        ("name", "one", "other"),
        [
            ("year", 1990, 1990.0),
            ("year", 1990, np.uint16(1990)),
            ("year", 1990, np.float32(1990)),
            ("level", 1.0, 1),
            ("level", 1.0, np.int8(1)),
            ("member", True, np.True_),
            ("country", "DE", np.str_("DE")),
            ("country", None, float("nan")),
            ("country", None, pd.NaT),
            ("member", None, pd.NA),
            ("income", 2.0, Decimal(2)),
            ("income", 2.0, np.float16(2)),
            ("income", None, np.nan),
            ("income", None, Decimal("NaN")),
            ("hobbies", [], None),
            ("hobbies", [], pd.NA),
            ("hobbies", ["go"], ("go",)),
            ("hobbies", ["go"], np.array(["go"])),
            ("hobbies", ["go"], pa.array(["go"])),
            ("hobbies", ["go"], pd.Series(["go"], index=[9])),
            ("hobbies", ["go"], ["go", None]),
        ],
    )
    def test_mean_the_same(self, name, one, other, encoder):
        column = next(column for column in encoder.user_columns if column.name == name)
        assert same(encoder._feature(column, one), encoder._feature(column, other))

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("year", 1990.5, "must be of type int"),
            ("year", float(2**53), "must be of type int"),
            ("year", "1990", "must be of type int"),
            ("year", True, "must be of type int"),
            ("member", 1, "must be of type bool"),
            ("level", True, "must be of type float"),
            ("level", "1", "must be of type float"),
            ("level", 2**53, "must be of type float"),
            ("country", 1, "must be of type str"),
            ("country", b"DE", "must be of type str"),
            ("country", ["DE"], "must be of type str"),
            ("income", "2", "must be a number"),
            ("income", True, "must be a number"),
            ("income", 1j, "must be a number"),
            ("income", [2.0], "must be a number"),
            ("income", pd.Timestamp(0), "must be a number"),
            ("income", np.timedelta64(1, "s"), "must be a number"),
            ("income", np.inf, "must be a finite number"),
            ("income", 1e300, r"must be a finite number, scaled by those in training: 1.5 to 3.0. Received: 1e\+300"),
            ("income", Decimal("1e400"), "must be a finite number"),
            ("hobbies", "go", "must be a list"),
            ("hobbies", {"go": 1}, "must be a list"),
            ("hobbies", [["go"]], "must be of type str"),
            ("hobbies", np.array([["go"]]), "must be a list"),
        ],
    )
    def test_refused(self, name, value, message, encoder):
        column = next(column for column in encoder.user_columns if column.name == name)
        with pytest.raises(InputError, match=message):
            encoder._feature(column, value)

    def test_ids_after_json_are_those_of_training(self, data, encoder):
        stored = json.loads(json.dumps(data.encoding_json()["vocabularies"]))
        for name, vocabulary in data.vocabularies.items():
            assert vocabulary.encode(pd.Index(stored[name])).tolist() == list(range(1, len(vocabulary)))
            assert [encoder._id(name, name, value) for value in stored[name]] == list(range(1, len(vocabulary)))

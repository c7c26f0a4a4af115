"""Ids in any array that holds them exactly are the same ids; anything else is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from serving_helpers import dataset, random_model, ranker_of, text_ids

from foundation.errors import InputError
from foundation.ids import keys_of, plain_ids
from preprocessing.dataset import FeatureTable
from serving.entities import Entities, EntityTable, in_key_order, sections_of
from serving.section_file import SectionFile
from serving.section_writer import create

WHOLE = {
    "list": list,
    "tuple": tuple,
    "list of numpy's": lambda ids: [np.int64(one) for one in ids],
    "list of both": lambda ids: [np.uint8(ids[0]), *ids[1:]],
    "objects": lambda ids: np.array(ids, dtype=object),
    "int16": lambda ids: np.array(ids, dtype=np.int16),
    "uint8": lambda ids: np.array(ids, dtype=np.uint8),
    "uint64": lambda ids: np.array(ids, dtype=np.uint64),
    "big endian": lambda ids: np.array(ids, dtype=">i4"),
    "float32": lambda ids: np.array(ids, dtype=np.float32),
    "list of floats": lambda ids: [float(one) for one in ids],
    "not contiguous": lambda ids: np.repeat(np.array(ids), 2)[::2],
    "Series": lambda ids: pd.Series(ids, index=range(70, 70 + len(ids))),
    "Index": pd.Index,
    "Int64": lambda ids: pd.array(ids, dtype="Int64"),
    "UInt32": lambda ids: pd.Series(ids, dtype="UInt32"),
    "category": lambda ids: pd.Series(ids, dtype="category"),
    "Arrow in pandas": lambda ids: pd.Series(ids, dtype="int64[pyarrow]"),
    "Arrow": pa.array,
    "Arrow in chunks": lambda ids: pa.chunked_array([ids[:1], ids[1:]]),
    "tensor": torch.tensor,
}
TEXTS = {
    "list": list,
    "numpy's": np.array,
    "list of numpy's": lambda ids: [np.str_(one) for one in ids],
    "objects": lambda ids: np.array(ids, dtype=object),
    "StringDType": lambda ids: np.array(ids, dtype=np.dtypes.StringDType()),
    "Series": pd.Series,
    "category": lambda ids: pd.Series(ids, dtype="category"),
    "Arrow in pandas": lambda ids: pd.Series(ids, dtype="string[pyarrow]"),
    "Arrow": pa.array,
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_numbers_are_their_own_keys(kind):
    ids = WHOLE[kind]([7, 0, 120])
    assert keys_of(ids).dtype == np.int64
    assert keys_of(ids).tolist() == [7, 0, 120]


@pytest.mark.parametrize("kind", TEXTS)
def test_strings_have_the_keys_of_their_text(kind):
    texts = ["b00", "ü", ""]
    assert keys_of(TEXTS[kind](texts)).tolist() == keys_of(texts).tolist()


@pytest.mark.parametrize(
    "largest", [[2**53 + 1, 2**63 - 1, -(2**63)], np.array([2**63 - 1], dtype=np.uint64), [np.uint64(2**63 - 1), -1]]
)
def test_large_numbers_are_exact(largest):
    assert keys_of(largest).tolist() == [int(one) for one in largest]


@pytest.mark.parametrize(
    "ids",
    [
        [True, False],
        [1, True],
        np.array([True]),
        [1, np.True_],
        [1.5],
        [float("nan")],
        [float("inf")],
        np.array([1.0, np.nan]),
        [2.0**53],
        np.array([2.0**60]),
        [2**53 + 1, 1.0, 1e300],
        [2**63],
        [-(2**63) - 1],
        [10**5000],
        np.array([2**63], dtype=np.uint64),
        pa.array([2**63], type=pa.uint64()),
        [1, None],
        pd.array([1, None], dtype="Int64"),
        pd.Series([1, None], dtype="int64[pyarrow]"),
        pa.array([1, None]),
        pd.Series(["a", None]),
        [1, "1"],
        ["a", b"b"],
        [b"a"],
        np.array([b"a"]),
        [1j],
        [Fraction(4, 2)],
        [[1], [2, 3]],
        np.array([[1, 2]]),
        torch.tensor([[1]]),
        [pd.Timestamp("2026-01-01")],
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        5,
        "abc",
        None,
        {1, 2},
        {"a": 1},
    ],
    ids=lambda ids: type(ids).__name__,
)
def test_anything_else_is_refused(ids):
    with pytest.raises(InputError, match="Ids must be a list of whole numbers below"):
        keys_of(ids)


def test_none_at_all():
    assert len(plain_ids([])) == len(plain_ids(np.array([]))) == 0


@pytest.mark.parametrize("kind", WHOLE)
def test_an_index_of_them_gives_back_the_numbers(kind, tmp_path):
    ids = np.asarray(WHOLE[kind]([7, 0, 120]))
    sections, content, meta = sections_of(in_key_order(Entities(ids, FeatureTable({}, {}))))
    with create(tmp_path / "x.idx", sections, meta) as arrays:
        for name, array in content.items():
            arrays[name][...] = array
    table = EntityTable(SectionFile(tmp_path / "x.idx"))
    assert not table.has_text_ids
    assert table.ids(np.arange(3)).tolist() == [0, 7, 120]


@pytest.fixture(scope="module")
def data():
    return dataset()


def test_an_index_finds_and_deletes_them(data, tmp_path):
    ranker = ranker_of(tmp_path, random_model("dssm", data), data)
    expected = ranker.state.items.find([5000, 4997]).tolist()
    for kind in ("uint64", "Int64", "Arrow", "Series", "list of floats"):
        ids = [5000, 4997]
        given = np.array(ids, dtype=np.uint64) if kind == "uint64" else WHOLE[kind](ids)
        assert ranker.state.items.find(given).tolist() == expected
    ranker.delete(np.array([5000], dtype=np.uint64))
    assert 5000 not in ranker.rank(107, k=99).items
    for other in (["5000"], pd.Series(["5000"]), np.array(["5000"])):
        with pytest.raises(InputError, match="Item ids must be a list of whole numbers"):
            ranker.state.items.find(other)


def test_an_index_of_strings_finds_them(data, tmp_path):
    data = text_ids(data)
    items = ranker_of(tmp_path, random_model("dssm", data), data).state.items
    for kind in TEXTS:
        assert (items.find(TEXTS[kind](["m5000", "m4997"])) >= 0).all()
    for other in ([5000], np.array([5000])):
        with pytest.raises(InputError, match="Item ids must be a list of strings"):
            items.find(other)

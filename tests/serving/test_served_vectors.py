"""Vectors of users and items in an index, in requests, in upserts, explained, and exported."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from frame_helpers import LOG
from onnx_helpers import page_blocks, scores_by_page
from serving_helpers import Reference, random_model, ranker_of
from vector_helpers import PICTURE, TASTE, VECTOR_ITEMS, VECTOR_USERS, vector_data

from foundation.errors import InputError
from serving.explain import explain
from serving.export import export_onnx
from serving.ranker import PreRanker

ROWS = LOG.drop(columns=["device", "hour"])  # all that a model reads belongs to a user or an item
NEW = {"u": None, "country": "DE", "member": True, "income": 2.0, "hobbies": []}
ARTICLE = {"i": 7, "kind": "a", "price": 2.0, "tags": [1, 7]}


@pytest.fixture(scope="module")
def data():
    return vector_data(interactions=ROWS)


@pytest.fixture
def ranker(data, tmp_path):
    return ranker_of(tmp_path / "run", random_model("int_tower", data), data)


def everything(row: dict) -> dict:
    """A request that leaves nothing to the index."""
    return {**row, "user_mean_label": 0.5, "liked_i": []}


@pytest.mark.parametrize("name", ["dat", "int_tower", "hit"])
def test_served_scores_are_those_of_evaluation(name, data, tmp_path):
    model = random_model(name, data)
    served, expected = ranker_of(tmp_path / "run", model, data), Reference(model, data)
    for user in expected.users[:4]:
        np.testing.assert_allclose(served.score(user, expected.items), expected(user, expected.items), atol=1e-5)


def test_a_request_brings_its_vector(ranker):
    items, rows = VECTOR_ITEMS["i"].tolist(), VECTOR_USERS.to_dict("records")
    for number in (3, 4):  # the second has none
        row, stored = rows[number], ranker.score(rows[number]["u"], items)
        for given in (row, {**row, "taste": TASTE[number].tolist()}, {**row, "taste": TASTE[number].astype("float32")}):
            np.testing.assert_allclose(ranker.score(given, items), stored, atol=1e-6)
        assert np.abs(np.subtract(ranker.score({**row, "taste": [3.0, -3, 3]}, items), stored)).max() > 1e-4


@pytest.mark.parametrize(
    ("taste", "message"),
    [
        ([1.0, 2.0], r"'taste' must be a vector of 3 numbers. Received: \[1.0, 2.0\]"),
        (0.5, "must be a vector of 3 numbers. Received: 0.5"),
        ("1 2 3", "must be a vector of 3 numbers. Received: '1 2 3'"),
        ([1.0, "a", 2.0], "must be a vector of 3 numbers"),
        ([1.0, None, 2.0], "must be a vector of finite numbers"),
        ([1.0, 1e39, 2.0], "must be a vector of finite numbers"),
    ],
)
def test_wrong_vectors_of_a_request_are_refused(ranker, taste, message):
    with pytest.raises(InputError, match=message):
        ranker.score({**NEW, "taste": taste}, [0])


def test_a_request_without_its_vector_is_told(ranker):
    with pytest.raises(InputError, match="feature 'taste' is missing"):
        ranker.score(NEW, [0])


def test_upserted_items_and_users_have_their_vectors(ranker, data, tmp_path):
    model = ranker.state.model
    item, user = {**ARTICLE, "picture": [0.5, -1.5]}, {**NEW, "u": "somebody", "taste": [1.0, 0.0, -1.0]}
    ranker.upsert([{**item, "item_mean_label": 0.25}, {**ARTICLE, "i": 8, "item_mean_label": 0.25, "picture": None}])
    ranker.upsert_users([everything(user)])
    expected = [
        model.predict(pd.DataFrame([{**everything(user), **ARTICLE, "picture": one, "item_mean_label": 0.25}])).item()
        for one in ([0.5, -1.5], None)
    ]
    again = PreRanker.load(tmp_path / "run")
    for one in (ranker, again):
        np.testing.assert_allclose(one.score("somebody", [7, 8]), expected, atol=1e-5)
    again.upsert_users([{"u": "somebody", "member": False}])  # keeps the rest
    changed = {**everything(user), "member": False, **item, "item_mean_label": 0.25}
    assert again.score("somebody", [7])[0] == pytest.approx(model.predict(pd.DataFrame([changed])).item(), abs=1e-5)
    with pytest.raises(InputError, match="'picture' must be a vector of 2 numbers"):
        again.upsert([{**item, "picture": [1.0]}])


def test_explained_terms_add_up(ranker):
    items = VECTOR_ITEMS["i"].tolist()
    found = explain(ranker, "u3", items)
    logits = found.terms.sum(axis=1) + found.bias
    order = [items.index(one) for one in found.items]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), np.array(ranker.score("u3", items))[order], atol=1e-5)


def test_an_export_holds_them(ranker, data, tmp_path):
    """`export_onnx` itself compares scores of raw values, vectors and missing ones among them, with torch's."""
    assert export_onnx(tmp_path / "run").left_out is None
    folder = tmp_path / "run" / "onnx"
    document = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))
    entry = next(one for one in document["programs"]["item_tower"]["inputs"] if one["feature"] == "picture")
    assert (entry["kind"], entry["shape"], entry["length"]) == ("vector", ["rows", 2], 2)
    assert entry["missing"] == [0.0, 0.0]
    table = pq.read_table(folder / "items.parquet")
    assert table["id"].to_pylist() == VECTOR_ITEMS["i"].tolist()
    np.testing.assert_array_equal(np.array(table["picture"].to_pylist()), PICTURE.astype(np.float32))
    shutil.copytree(folder, tmp_path / "elsewhere" / "my-run" / "onnx")
    requests = [{"u": "u3"}, everything({**NEW, "taste": [1.0, 0.0, -1.0]}), everything({**NEW, "taste": None})]
    item = {**ARTICLE, "picture": [0.5, -1.5]}
    answers, of_new_item = scores_by_page(tmp_path / "elsewhere", requests, item, page_blocks()[:-1])
    for raw, answer in zip(requests, answers, strict=True):
        assert [*answer.values()] == pytest.approx(ranker.score(raw, [*answer]), abs=1e-5)
    ranker.upsert([item])
    assert of_new_item == pytest.approx([ranker.score(raw, [7])[0] for raw in requests], abs=1e-5)

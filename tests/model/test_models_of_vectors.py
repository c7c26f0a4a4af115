"""Models of users and items with vectors: as of the same numbers in columns of their own, saved, and on raw rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from frame_helpers import ITEMS, LOG
from helpers import as_lists, assert_same_weights, plain_arrays
from vector_helpers import PICTURE, TASTE, VECTOR_ITEMS, VECTOR_USERS, vector_data
from zoo import NAMES, build

from foundation.deepctr import DenseFeat
from foundation.errors import InputError
from foundation.feature_columns import FeatureColumns
from model import load_model


@pytest.fixture(scope="module")
def data():
    return vector_data()


def columns_of(data, apart: bool = False) -> FeatureColumns:
    """Of all features. apart: with a column for each number of a vector."""
    columns = data.feature_columns(4, history=True)
    if not apart:
        return columns
    sides = [
        [
            part
            for column in side
            for part in (
                [DenseFeat(f"{column.name}_{place}") for place in range(column.dimension)]
                if column.name in data.encoding.vectors
                else [column]
            )
        ]
        for side in (columns.user, columns.item)
    ]
    return FeatureColumns(*sides, columns.user_static, columns.item_static)


def trained(name: str, columns: FeatureColumns, x, y):
    model = build(name, columns)
    model.compile("adam", lr=0.1 if name == "gbdt" else 0.01)
    model.fit(x, y, batch_size=64, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_is_as_its_numbers_in_columns_of_their_own(name, data):
    together, apart = columns_of(data), columns_of(data, apart=True)
    x, y = plain_arrays(data.train, [column.name for column in together.all]), data.train.labels.numpy()
    single = {f"{one}_{place}": x[one][:, place] for one in ("taste", "picture") for place in range(x[one].shape[1])}
    model, other = trained(name, together, x, y), trained(name, apart, x | single, y)
    assert_same_weights(model, other)
    np.testing.assert_array_equal(model.predict(x), other.predict(x | single))
    moved = x | {"taste": x["taste"] + 1, "picture": x["picture"][:, ::-1].copy()}
    assert (model.predict(moved) != model.predict(x)).any()


@pytest.mark.parametrize("name", ["int_tower", "hit", "gbdt"])
def test_a_saved_model_reads_rows_with_vectors_raw_and_encoded(name, data, tmp_path):
    model = build(name, columns_of(data))
    model.compile("adam", lr=0.1 if name == "gbdt" else 0.01)
    model.fit(data.train, validation_data=data.validation, batch_size=64, epochs=2, verbose=0)
    model.save(tmp_path / "run")
    same = load_model(tmp_path / "run")
    np.testing.assert_array_equal(same.predict(data.test), model.predict(data.test))
    rows = data.test.rows.numpy()
    frame = LOG.iloc[rows].merge(VECTOR_USERS, on="u", how="left").merge(VECTOR_ITEMS, on="i", how="left")
    seen = {one: data.per_row.values[one][rows].numpy() for one in ("user_mean_label", "item_mean_label")}
    known = [None, *data.vocabularies["i"].tolist()]
    histories = as_lists(data.test.batch(torch.arange(len(rows)), ["liked_i"])["liked_i"])
    liked = [[known[number] for number in row if number] for row in histories]
    frame = frame.assign(**seen, liked_i=liked).drop(columns="y")
    np.testing.assert_allclose(same.predict(frame), model.predict(data.test), atol=1e-6)
    assert same.evaluate(frame, data.test.labels.numpy())["auc"] == pytest.approx(model.evaluate(data.test)["auc"])
    zeros = frame.head(2).assign(picture=[[0, 0.0]] * 2)
    np.testing.assert_array_equal(same.predict(frame.head(2).assign(picture=None)), same.predict(zeros))
    with pytest.raises(InputError, match=r"'picture' has vectors of 2 numbers .* Received: 3 numbers"):
        same.predict(frame.assign(picture=[[1.0, 2.0, 3.0]] * len(frame)))
    with pytest.raises(InputError, match="numbers the values of picture otherwise"):
        same.predict(vector_data(items=ITEMS.assign(picture=[*TASTE[:15]])).test)


def test_arrays_of_another_length_are_refused(data):
    columns = columns_of(data)
    model, x = build("dssm", columns), plain_arrays(data.test, [column.name for column in columns.all])
    with pytest.raises(InputError, match=r"'picture' must have shape \(rows, 2\)"):
        model.predict(x | {"picture": PICTURE[:1].repeat(len(data.test), axis=0).repeat(2, axis=1)})

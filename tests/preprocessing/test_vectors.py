"""Vectors of users and items: from frames to batches, encodings and the cache; and what is refused."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from frame_helpers import ITEMS, LOG, NAMES, USERS, build, repeated
from storage_types import arrow
from vector_helpers import PICTURE, TASTE, VECTOR_ITEMS, VECTOR_USERS, vector_data

from foundation.deepctr import DenseFeat
from foundation.errors import InputError
from preprocessing.data_encoding import DataEncoding
from preprocessing.dataset import Dataset
from preprocessing.frames import raw_from_frames
from preprocessing.own_data import load_own

SAME = {  # columns that all hold the vectors (1, -2), none and (0.5, 0)
    "lists": pd.Series([[1.0, -2.0], None, [0.5, 0]]),
    "arrays": pd.Series([np.array([1.0, -2.0]), None, np.array([0.5, 0.0], dtype=np.float32)]),
    "tuples and an empty list": pd.Series([(1, -2), [], (0.5, 0)]),
    "decimals": pd.Series([[Decimal(1), Decimal(-2)], np.nan, [Decimal("0.5"), 0]]),
    "arrow lists": arrow([[1.0, -2.0], None, [0.5, 0.0]], pa.list_(pa.float32())),
    "arrow lists of fixed size": arrow([[1.0, -2.0], None, [0.5, 0.0]], pa.list_(pa.float64(), 2)),
}


def raw(users=VECTOR_USERS, items=VECTOR_ITEMS, **more):
    return raw_from_frames(users, items, LOG, **NAMES, **more)


class TestFrames:
    @pytest.mark.parametrize("name", SAME)
    def test_types_of_columns_do_not_matter_and_missing_ones_are_zeros(self, name):
        found = raw(USERS.assign(x=repeated(SAME[name])), ITEMS)
        assert found.schema.user_vectors == ("x",)
        assert found.user_vectors["x"].dtype == np.float32
        assert found.user_vectors["x"][:3].tolist() == [[1, -2], [0, 0], [0.5, 0]]

    def test_whole_numbers_are_vectors_if_it_is_said(self):
        column = repeated([[1, 2], [3, 4]])
        assert raw(USERS.assign(x=column), ITEMS).schema.user_lists == ("hobbies", "x")
        assert raw(USERS.assign(x=column), ITEMS, kinds={"x": "vector"}).user_vectors["x"][1].tolist() == [3, 4]

    def test_fingerprint_follows_every_number_and_the_name(self):
        changed = VECTOR_ITEMS.assign(picture=[*(PICTURE + np.eye(len(ITEMS), 2, -14) * 1e-3)])
        renamed = VECTOR_ITEMS.rename(columns={"picture": "photo"})
        prints = {raw().fingerprint, raw(items=changed).fingerprint, raw(items=renamed).fingerprint}
        assert len(prints) == 3
        assert raw().fingerprint in prints

    def test_parts_of_the_data_keep_them(self):
        whole = raw()
        for part in (whole.take(np.arange(5)), whole.first(20), whole.sample(0.5, seed=1)):
            assert part.user_vectors["taste"] is whole.user_vectors["taste"]
            assert part.item_vectors["picture"] is whole.item_vectors["picture"]

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            ([[0.5, 1.0], [0.5]], "Column 'x' of users must hold vectors: .* of one length. Received: lists of 1, 2"),
            (
                [[0.5, np.nan]],
                "10 vectors with a number that is missing, infinite or beyond float32, the first at row 1",
            ),
            ([[0.5, None]], "10 vectors with a number that is missing"),
            ([[0.5, np.inf]], "10 vectors with a number that is missing, infinite"),
            ([[0.5, 1e39]], "10 vectors with a number that is missing, infinite or beyond float32"),
            ([[0.5, 10**400]], "10 vectors with a number that is missing, infinite or beyond float32"),
            (["0.5 1"], "must hold vectors: .* Received: '0.5 1' at row 1"),
            ([[0.5, "a"]], r"Received: \[0.5, 'a'\] at row 1"),
            ([[[0.5], [0.5]]], r"Received: \[\[0.5\], \[0.5\]\] at row 1"),
            ([{0.5, 1.0}], "Received: .* at row 1"),
            ([[True, False]], r"Received: \[True, False\] at row 1"),
            ([0.5], "Received: 0.5 at row 1"),
        ],
    )
    def test_refused(self, column, message):
        with pytest.raises(InputError, match=message):
            raw(USERS.assign(x=repeated([None, *column][:2] if len(column) == 1 else column)), kinds={"x": "vector"})

    def test_without_any_vector_is_refused(self):
        with pytest.raises(
            InputError, match=r"Feature 'x' has no vector in any row. Leave it out with the kind 'ignore'"
        ):
            build(users=USERS.assign(x=[[]] * 20), kinds={"x": "vector"})

    def test_of_the_log_are_refused(self):
        with pytest.raises(InputError, match=r"Only columns of users and items can be vectors. Received: x."):
            raw_from_frames(USERS, ITEMS, LOG.assign(x=[[0.5]] * len(LOG)), **NAMES)

    def test_floats_as_categories_tell_of_vectors(self):
        with pytest.raises(InputError, match=r"A vector is no list of categories: say kinds={'x': 'vector'}"):
            build(users=USERS.assign(x=repeated([[0.5]])), kinds={"x": "list"})


class TestDataset:
    def test_rows_have_the_vector_of_their_user_and_item_unscaled(self):
        data = vector_data()
        rows = torch.arange(len(LOG))
        batch = data.batch(rows, ["taste", "picture"])
        assert batch["taste"].dtype == torch.float32
        np.testing.assert_array_equal(batch["taste"], TASTE[data.user].astype(np.float32))
        np.testing.assert_array_equal(batch["picture"], PICTURE[data.item].astype(np.float32))

    def test_one_number_is_a_dense_feature_that_is_not_scaled(self):
        data = vector_data(items=ITEMS.assign(picture=[*PICTURE[:, :1]]))
        assert data.feature_columns().item[-1] == DenseFeat("picture", 1)
        np.testing.assert_array_equal(data.items.values["picture"], PICTURE[:, 0].astype(np.float32))
        data.train.check(data.feature_columns().item)

    def test_columns_stand_last_and_everything_else_is_as_without_them(self):
        with_vectors, without = vector_data(), build()
        for side, vector in (("user", DenseFeat("taste", 3)), ("item", DenseFeat("picture", 2))):
            columns = getattr(with_vectors.feature_columns(8, history=True), side)
            assert columns == [*getattr(without.feature_columns(8, history=True), side), vector]
        assert without.encoding_json().keys() == with_vectors.encoding_json().keys() - {"vectors"}
        for table in ("users", "items", "per_row"):
            held, others = getattr(with_vectors, table).values, getattr(without, table).values
            assert held.keys() - {"taste", "picture"} == others.keys()
            assert all(torch.equal(held[name], others[name]) for name in others)

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (DenseFeat("taste"), "'taste' of 'own-data' is a vector of 3 numbers. Received: DenseFeat"),
            (DenseFeat("taste", 2), "is a vector of 3 numbers"),
            (DenseFeat("price", 3), "'price' of 'own-data' is a dense feature"),
        ],
    )
    def test_columns_of_another_length_are_refused(self, column, message):
        with pytest.raises(InputError, match=message):
            vector_data().train.check([column])

    def test_are_printed(self):
        data = vector_data()
        lines = {tuple(line.split()) for line in repr(data).splitlines()}
        assert {("user", "taste", "vector", "3", "numbers"), ("item", "picture", "vector", "2", "numbers")} <= lines
        assert "picture (2 numbers)" in repr(data.feature_columns())
        assert "picture" in repr(data.schema)

    @pytest.mark.filterwarnings("ignore::preprocessing.leak_probe.LeakWarning")
    def test_the_leak_probe_does_not_look_at_them(self):
        """As `docs/leaks.md` says: a column with the label is named, and a vector with it is not."""
        label = pd.Series(np.arange(20) % 2.0, index=USERS["u"])
        log = LOG.assign(y=label[LOG["u"]].astype(int).to_numpy())
        users = USERS.assign(column=label.to_numpy(), vector=[[value, 0.0] for value in label])
        found = {finding.feature for finding in build(users=users, interactions=log).findings}
        assert "column" in found
        assert "vector" not in found

    @pytest.mark.parametrize("protocol", ["temporal", "published"])
    def test_under_other_protocols(self, protocol):
        np.testing.assert_array_equal(vector_data(protocol).users.values["taste"], TASTE.astype(np.float32))


class TestEncoding:
    def test_config_json_knows_the_length(self):
        config = json.loads(json.dumps(vector_data().encoding_json()))
        assert config["vectors"] == {"taste": 3, "picture": 2}
        restored = DataEncoding.from_json(config)
        assert restored.vectors == vector_data().encoding.vectors
        assert restored.identity == vector_data().encoding.identity

    def test_another_length_is_another_encoding(self):
        one = vector_data().encoding
        other = vector_data(items=ITEMS.assign(picture=[*PICTURE[:, [0, 1, 1]]])).encoding
        with pytest.raises(InputError, match="numbers the values of picture otherwise"):
            one.require_same(other, ["picture", "taste"], "It")

    def known(self, **changes) -> Dataset:
        frames = {"users": VECTOR_USERS, "items": VECTOR_ITEMS, "interactions": LOG, **changes}
        return Dataset.from_frames(**frames, label="y", encoding=vector_data())

    def test_new_frames_are_read_as_the_encoding_says(self):
        data = self.known(items=ITEMS.assign(picture=repeated([[1, 2]]).iloc[:15].tolist()))
        assert data.items.values["picture"].tolist() == [[1, 2]] * 15
        assert data.encoding.vectors == {"taste": 3, "picture": 2}

    def test_new_frames_may_have_no_vector_at_all(self):
        assert not self.known(items=ITEMS.assign(picture=None)).items.values["picture"].any()

    def test_new_frames_with_another_length_are_refused(self):
        with pytest.raises(
            InputError, match=r"'picture' has vectors of 2 numbers in the encoding .* Received: 3 numbers"
        ):
            self.known(items=ITEMS.assign(picture=[*PICTURE[:, [0, 1, 1]]]))

    def test_new_frames_without_the_column_are_refused(self):
        with pytest.raises(InputError, match="The model reads picture, which no frame has"):
            self.known(items=ITEMS)


def test_a_folder_with_vectors_is_the_same_data_as_its_frames(tmp_path):
    VECTOR_USERS.drop(columns="hobbies").to_parquet(tmp_path / "users.parquet", index=False)
    texts = [" ".join(map(repr, map(float, one))) for one in PICTURE]
    VECTOR_ITEMS.drop(columns="tags").assign(picture=texts).to_csv(tmp_path / "items.csv", index=False)
    LOG.to_parquet(tmp_path / "log.parquet", index=False)
    (tmp_path / "dataset.toml").write_text(
        '[log]\nfiles = "log.parquet"\nuser = "u"\nitem = "i"\ntime = "t"\nlabel = "y"\n'
        '[users]\nfiles = "users.parquet"\nid = "u"\n[items]\nfiles = "items.csv"\nid = "i"\n'
        '[kinds]\npicture = "vector"\n[separators]\npicture = " "\n',
        encoding="utf-8",
    )
    data = Dataset.build(load_own(tmp_path), "holdout", 0)
    other = vector_data(users=VECTOR_USERS.drop(columns="hobbies"), items=VECTOR_ITEMS.drop(columns="tags"))
    assert data.feature_columns(history=True).all == other.feature_columns(history=True).all
    assert data.encoding.identity == other.encoding.identity
    assert torch.equal(data.users.values["taste"], other.users.values["taste"])
    assert torch.equal(data.items.values["picture"], other.items.values["picture"])

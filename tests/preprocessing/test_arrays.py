"""A dict of arrays in place of a data set, as the published scripts and deepctr-torch's examples pass it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from array_helpers import COLUMNS, arrays, int_tower
from helpers import as_lists, plain_arrays, random_raw, small_model

from foundation.deepctr import VarLenSparseFeat
from model.lr import LR
from preprocessing.arrays import Arrays
from preprocessing.dataset import Dataset


class TestAccepted:
    def test_shapes_and_types_that_mean_the_same(self):
        x, _ = arrays()
        model = int_tower()
        expected = model.predict(x)
        same = {
            "user_id": x["user_id"].reshape(-1, 1).astype(np.uint8),
            "gender": pd.Series(x["gender"]),
            "user_mean_rating": x["user_mean_rating"].reshape(-1, 1),
            "movie_id": x["movie_id"].astype(np.float64),
            "genres": x["genres"].astype(np.int16).tolist(),
            "embedding": x["embedding"].astype(np.float32),
            "a feature that no column names": np.full(400, np.nan),
        }
        assert np.array_equal(model.predict(same), expected)

    def test_padding_may_be_of_any_width(self):
        x, _ = arrays()
        model = int_tower()
        wide = x | {"genres": np.pad(x["genres"], ((0, 0), (0, 5)))}
        shuffled = x | {"genres": x["genres"][:, ::-1].copy()}
        for other in (wide, shuffled):
            np.testing.assert_allclose(model.predict(other), model.predict(x), atol=1e-6)

    def test_list_of_width_one(self):
        x, _ = arrays()
        model = int_tower()
        one = x | {"genres": x["genres"][:, :1]}
        padded = x | {"genres": x["genres"] * np.array([1, 0, 0])}
        np.testing.assert_allclose(model.predict(one), model.predict(padded), atol=1e-6)

    def test_input_is_not_changed(self):
        x, y = arrays()
        before = {name: value.copy() for name, value in x.items()}
        int_tower().fit(x, y, epochs=1, verbose=0)
        for name, value in before.items():
            assert np.array_equal(x[name], value)


class TestPaddedListsEqualBags:
    @pytest.mark.parametrize("name", ["int_tower", "dssm", "lr"])
    def test_scores(self, name):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model(name, dataset)
        padded = model.predict(plain_arrays(dataset.test, model.feature_names))
        np.testing.assert_allclose(padded, model.predict(dataset.test), atol=1e-6)

    @pytest.mark.parametrize("combiner", ["mean", "sum", "max"])
    def test_every_combiner(self, combiner):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        columns = [
            column._replace(combiner=combiner) if isinstance(column, VarLenSparseFeat) else column
            for column in dataset.feature_columns(4, history=True).all
        ]
        model = LR(columns, init_std=0.5)
        padded = model.predict(plain_arrays(dataset.test, model.feature_names))
        np.testing.assert_allclose(padded, model.predict(dataset.test), atol=1e-6)

    def test_metrics(self):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        model = small_model("dssm", dataset)
        x, y = plain_arrays(dataset.test, model.feature_names), dataset.test.labels.numpy()
        assert model.evaluate(x, y) == pytest.approx(model.evaluate(dataset.test), abs=1e-6)

    def test_training(self):
        """The same rows in the same order take the model to the same weights."""
        dataset = Dataset.build(random_raw(), "holdout", 0)
        models = [small_model("dssm", dataset, dnn_dropout=0.0) for _ in range(2)]
        for model in models:
            model.compile("sgd", lr=0.1)
        models[0].fit(dataset.train, batch_size=64, epochs=2, verbose=0)
        x = plain_arrays(dataset.train, models[1].feature_names)
        models[1].fit(x, dataset.train.labels.numpy(), batch_size=64, epochs=2, verbose=0)
        for first, second in zip(models[0].parameters(), models[1].parameters(), strict=True):
            torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


class TestArraysAreASourceOfBatches:
    def test_batch_take_and_labels(self):
        x, y = arrays()
        source = Arrays.check(x, y, COLUMNS, "user_id")
        rows = torch.tensor([5, 2, 5])
        batch = source.batch(rows, ["user_id", "genres"])
        assert as_lists(batch["user_id"]) == x["user_id"][[5, 2, 5]].tolist()
        assert as_lists(batch["genres"]) == x["genres"][[5, 2, 5]].tolist()
        taken = source.take(rows)
        assert len(taken) == 3
        assert taken.labels.tolist() == y[[5, 2, 5]].tolist()
        assert taken.users.tolist() == x["user_id"][[5, 2, 5]].tolist()
        assert as_lists(taken.batch(torch.arange(3), ["genres"])["genres"]) == as_lists(batch["genres"])

    def test_distinct_groups_exactly_the_equal_rows(self):
        x, y = arrays()
        source = Arrays.check(x, y, COLUMNS, "user_id")
        for names in (["user_id", "gender"], ["movie_id", "genres"], ["genres"], ["embedding"]):
            keys = [tuple(np.concatenate([np.atleast_1d(x[name][row]) for name in names])) for row in range(400)]
            seen: dict = {}
            first, group = source.distinct(names)
            assert group.tolist() == [seen.setdefault(key, len(seen)) for key in keys]
            assert group[first].tolist() == list(range(len(seen)))

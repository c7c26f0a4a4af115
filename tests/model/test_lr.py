"""Logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import as_lists, plain_arrays, small_model

from model import build_model


class TestLogisticRegression:
    @torch.no_grad()
    def test_equals_a_sum_of_weights(self, data):
        """Moves one weight at a time: a sparse weight shifts just the rows that have its id, by as much."""
        model = small_model("lr", data)
        split = data.test
        values = {name: as_lists(split.batch(torch.arange(len(split)), [name])[name]) for name in model.feature_names}
        before = model(split.batch(torch.arange(len(split)), model.feature_names))
        table = next(layer for layer in model.modules() if hasattr(layer, "table"))
        for name, ids in values.items():
            embedding_name = "movie_id" if name == "liked_movies" else name
            if name in ("income", "price", "user_mean_rating", "item_mean_rating"):
                continue
            table.table(embedding_name)[1] += 1.0
            after = model(split.batch(torch.arange(len(split)), model.feature_names))
            table.table(embedding_name)[1] -= 1.0
            if name in ("movie_id", "liked_movies"):  # one table for both
                expected = [
                    float(item == 1)
                    + (sum(i == 1 for i in liked) / len(known) if (known := [i for i in liked if i]) else 0)
                    for item, liked in zip(values["movie_id"], values["liked_movies"], strict=True)
                ]
            elif name == "genres":
                expected = [
                    genres.count(1) / len(known) if (known := [g for g in genres if g]) else 0.0 for genres in ids
                ]
            else:
                expected = [float(value == 1) for value in ids]
            assert (after - before).tolist() == pytest.approx(expected, abs=1e-5)

    def test_number_of_parameters(self, data):
        model = build_model("lr", data.feature_columns(32))
        ids = sum(len(vocabulary) for vocabulary in data.vocabularies.values())
        assert model.num_parameters == ids + 4 + 1  # four dense features and the bias

    def test_dict_and_split_agree(self, data):
        model = small_model("lr", data)
        arrays = plain_arrays(data.test, model.feature_names)
        np.testing.assert_allclose(model.predict(arrays), model.predict(data.test), atol=1e-6)

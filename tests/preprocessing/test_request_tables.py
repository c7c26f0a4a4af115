"""What a request finds of users and items: statistics and histories over all training rows, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import as_lists, permute_labels, random_raw

from preprocessing.dataset import Dataset
from preprocessing.feature_table import FeatureTable
from preprocessing.label_features import request_tables
from preprocessing.protocol import PROTOCOLS


def tables(data: Dataset) -> tuple[FeatureTable, FeatureTable]:
    return request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_means_and_liked_items_counted_one_entity_at_a_time(protocol):
    data = Dataset.build(random_raw(), protocol, 3)
    raw, train, prior_rows = data.raw, data.protocol.splits["train"], data.protocol.smoothing
    mean = float(raw.label[train].mean())
    for table, entity, name in zip(tables(data), (raw.user, raw.item), ("user", "item"), strict=True):
        found = table.values[f"{name}_mean_rating"]
        for row in range(len(found)):
            labels = raw.label[train[entity[train] == row]]
            weight = len(labels) + prior_rows
            expected = (labels.sum() + prior_rows * mean) / weight if weight else mean
            if protocol == "published":
                scaler = data.scalers[f"{name}_mean_rating"]
                expected = (expected - scaler.low) / (scaler.high - scaler.low)
            assert found[row] == pytest.approx(expected, abs=1e-6)
    liked = as_lists(tables(data)[0].batch("liked_movies", torch.arange(len(raw.users))))
    movies = data.items.values["movie_id"].tolist()
    for user, items in enumerate(liked):
        own = [row for row in train if raw.user[row] == user and raw.label[row] == 1]
        assert sorted(items) == sorted(movies[raw.item[row]] for row in own)
        times = {movies[raw.item[row]]: raw.timestamp[row] for row in own}
        assert len(times) < len(own) or [times[item] for item in items] == sorted(times.values())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_label_of_another_split_counts(protocol):
    data = Dataset.build(random_raw(), protocol, 3)
    scored = np.concatenate([data.protocol.splits["validation"], data.protocol.splits["test"]])
    other = permute_labels(data.raw, scored, 1)
    assert (other.label != data.raw.label).any()
    before, after = tables(data), request_tables(other, data.protocol, data.users, data.items, data.scalers)
    for one, two in zip(before, after, strict=True):
        assert all(torch.equal(one.values[name], two.values[name]) for name in one.values)
        assert all(torch.equal(one.lists[name].values, two.lists[name].values) for name in one.lists)


def test_the_tables_of_the_data_set_stay_as_they_are():
    data = Dataset.build(random_raw(), "holdout", 3)
    users, items = tables(data)
    assert "user_mean_rating" in users
    assert "item_mean_rating" in items
    assert not {"user_mean_rating", "item_mean_rating", "liked_movies"} & {
        name for table in (data.users, data.items) for name in (*table.values, *table.lists)
    }

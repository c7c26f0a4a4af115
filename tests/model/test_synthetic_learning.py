"""What the synthetic data is for: a model with user-item interaction finds what was planted, a linear one cannot."""

from __future__ import annotations

import pytest

from model import MODELS, build_model
from preprocessing.dataset import Dataset
from preprocessing.protocol import PROTOCOLS
from preprocessing.synthetic import synthetic_movielens

SMALL = {"dnn_hidden_units": (64, 32), "user_head": 2, "item_head": 2, "field_dim": 16}


@pytest.fixture(scope="module")
def raw():
    return synthetic_movielens(users=500, movies=200, interactions=50_000)


def share_of_the_possible(data: Dataset, name: str, epochs: int, **arguments) -> float:
    """How much of the way from 0.5 to the best possible test AUC a model goes."""
    columns = data.feature_columns(embedding_dim=16, history=MODELS[name].history)
    model = build_model(name, columns, seed=0, **arguments)
    model.compile("adam", lr=3e-3)
    model.fit(data.train, validation_data=data.validation, batch_size=512, epochs=epochs, verbose=0)
    return (model.evaluate(data.test)["auc"] - 0.5) / (data.best_possible_auc("test") - 0.5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_int_tower_goes_at_least_95_percent_of_the_way(raw, protocol):
    data = Dataset.build(raw, protocol, seed=0)
    assert share_of_the_possible(data, "int_tower", 4, init_std=0.01, cir_weight=0.05, **SMALL) >= 0.95


def test_logistic_regression_cannot(raw):
    data = Dataset.build(raw, "holdout", seed=0)
    assert share_of_the_possible(data, "lr", 8) < 0.5

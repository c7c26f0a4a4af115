"""Every model of the table, small enough to train in a fraction of a second, and data for them."""

from __future__ import annotations

import numpy as np
import torch
from helpers import random_raw

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.feature_columns import FeatureColumns
from model import MODELS, build_model
from model.base import CTRModel, TwoTower
from preprocessing.dataset import Dataset, Split

NAMES = list(MODELS)
TWO_TOWERS = [name for name in NAMES if issubclass(MODELS[name].model_class, TwoTower)]
NEURAL = [name for name in NAMES if name != "gbdt"]  # trees have no gradients
DIM = 4
SMALL = {
    "gbdt": {"min_samples_leaf": 1},
    "dssm": {"gamma": "learned"},
    "dat": {"gamma": "learned"},
    "mvke": {"num_kernels": 3},
    "poly_encoder": {"num_codes": 3},
    "int_tower": {"field_dim": DIM, "user_head": 2, "item_head": 3, "cir_weight": 0.05},
    "hit": {"field_dim": DIM, "num_heads": 3},
}


def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", seed=0)


def build(name: str, columns: FeatureColumns, **arguments) -> CTRModel:
    """A model with tiny towers and embeddings that are large enough to matter."""
    sizes = {"dnn_hidden_units": (16, 8), "init_std": 0.1}
    sizes = {key: value for key, value in sizes.items() if key in MODELS[name].arguments}
    return build_model(name, columns, **({"seed": 3} | sizes | SMALL.get(name, {}) | arguments))


def no_l2(name: str) -> dict[str, float]:
    """Arguments that leave a model's tables to the click loss alone."""
    return dict.fromkeys({"l2_reg_embedding", "l2_reg_linear"} & MODELS[name].arguments, 0.0)


def columns_of(data: Dataset) -> FeatureColumns:
    """All features, the history included, for every model."""
    return data.feature_columns(DIM, history=True)


def fitted(name: str, data: Dataset, epochs: int = 2, **arguments) -> CTRModel:
    model = build(name, columns_of(data), **arguments)
    model.compile("adam", lr=0.1 if name == "gbdt" else 0.01)
    model.fit(data.train, batch_size=32, epochs=epochs, verbose=0)
    return model


def batch_of(model: CTRModel, split: Split, rows=slice(None)) -> dict:
    return split.batch(torch.arange(len(split))[rows], model.feature_names)


def total_loss(model: CTRModel, features: dict, labels: torch.Tensor) -> torch.Tensor:
    return torch.stack(list(model.losses(features, labels, model.output(features)).values())).sum()


# The layout of a published script: one array a feature, lists padded with 0.
USER = [
    SparseFeat("user_id", 65, DIM),
    SparseFeat("gender", 3, DIM),
    VarLenSparseFeat(SparseFeat("liked", 11, DIM, embedding_name="movie_id"), maxlen=5, combiner="mean"),
    DenseFeat("user_mean_rating"),
]
ITEM = [
    SparseFeat("movie_id", 11, DIM),
    VarLenSparseFeat(SparseFeat("genres", 6, DIM), maxlen=3, combiner="mean"),
    DenseFeat("picture", dimension=2),
]
COLUMNS = FeatureColumns(USER, ITEM)


def arrays(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """64 rows, each of another user, with labels at random."""
    rng = np.random.default_rng(seed)
    x = {
        "user_id": rng.permutation(64) + 1,
        "gender": rng.integers(0, 3, 64),
        "liked": rng.integers(0, 11, (64, 5)),
        "user_mean_rating": rng.random(64),
        "movie_id": rng.integers(1, 11, 64),
        "genres": rng.integers(0, 6, (64, 3)),
        "picture": rng.random((64, 2)),
    }
    return x, rng.permutation(np.arange(64) % 2)

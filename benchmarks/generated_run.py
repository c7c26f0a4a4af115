"""A run folder of any size to measure: a model of full size with random weights, users and items with random features.

Columns are MovieLens'. Speed does not depend on what the weights are, but a rescore of near ties does: embeddings are
drawn wide, so that scores spread as those of a trained model do.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.feature_columns import FeatureColumns
from foundation.features import Lists
from model import MODELS, TRAINING_DEFAULTS, build_model, default_settings
from model.base import CTRModel
from preprocessing.dataset import FeatureTable
from preprocessing.movielens import SCHEMA
from serving.entities import Entities
from serving.writer import write_index

USERS = 1000
VOCABULARIES = {
    "user_id": list(range(1, USERS + 1)),
    "gender": ["F", "M"],
    "age": [1, 18, 25, 35, 45, 50, 56],
    "occupation": list(range(21)),
    "genres": [f"genre {number}" for number in range(18)],
}
ITEM_VOCABULARY = 200_000
HISTORY = 60
STAND_INS: dict[str, dict] = {"new_user": {}, "new_item": {}}


def columns(items: int, history: bool, dim: int = 32) -> FeatureColumns:
    sizes = {name: len(values) + 1 for name, values in VOCABULARIES.items()} | {"movie_id": vocabulary_size(items)}
    user = [SparseFeat(name, sizes[name], dim) for name in SCHEMA.user_sparse]
    if history:
        liked = SparseFeat(SCHEMA.history, sizes["movie_id"], dim, embedding_name="movie_id")
        user.append(VarLenSparseFeat(liked, maxlen=0, combiner="mean"))
    user.append(DenseFeat(SCHEMA.user_statistic))
    item = [SparseFeat("movie_id", sizes["movie_id"], dim)]
    item += [VarLenSparseFeat(SparseFeat("genres", sizes["genres"], dim), maxlen=0, combiner="mean")]
    item.append(DenseFeat(SCHEMA.item_statistic))
    return FeatureColumns(user, item, SCHEMA.user_static, SCHEMA.item_static)


def vocabulary_size(items: int) -> int:
    return min(items, ITEM_VOCABULARY) + 1


def make_model(name: str, items: int, **arguments) -> CTRModel:
    settings = default_settings(name, "movielens") | {"init_std": 0.5} | arguments
    apart = TRAINING_DEFAULTS["movielens"].keys() | {"batch_size"}
    settings = {key: value for key, value in settings.items() if key not in apart}
    return build_model(name, columns(items, MODELS[name].history), seed=0, **settings).eval()


def users(rng: np.random.Generator, items: int) -> Entities:
    values = {
        name: torch.from_numpy(rng.integers(1, len(VOCABULARIES[name]) + 1, USERS).astype(np.int32))
        for name in SCHEMA.user_sparse
    }
    values["user_id"] = torch.arange(1, USERS + 1, dtype=torch.int32)
    values[SCHEMA.user_statistic] = torch.from_numpy(rng.random(USERS, dtype=np.float32))
    history = random_lists(rng, USERS, HISTORY, vocabulary_size(items))
    liked = Lists(history.values.long(), history.start, history.end)  # the vocabulary's ids are the items'
    return Entities(np.arange(1, USERS + 1), FeatureTable(values, {SCHEMA.history: history}), liked=liked)


def random_items(rng: np.random.Generator, count: int, gaps: bool = False) -> Entities:
    """Ids from 1 without order in the vocabulary; several share an embedding where there are more than it holds.

    gaps: every third id is there, on average.
    """
    values = {
        "movie_id": torch.from_numpy(rng.integers(1, vocabulary_size(count), count).astype(np.int32)),
        SCHEMA.item_statistic: torch.from_numpy(rng.random(count, dtype=np.float32)),
    }
    lists = {"genres": random_lists(rng, count, 3, len(VOCABULARIES["genres"]) + 1)}
    ids = 1 + np.sort(rng.choice(3 * count, count, replace=False)) if gaps else np.arange(1, count + 1)
    return Entities(ids, FeatureTable(values, lists))


def random_lists(rng: np.random.Generator, rows: int, longest: int, vocabulary: int) -> Lists:
    lengths = rng.integers(1, longest + 1, rows)
    ends = torch.from_numpy(lengths.cumsum())
    values = torch.from_numpy(rng.integers(1, vocabulary, int(lengths.sum())).astype(np.int32))
    return Lists(values, ends - torch.from_numpy(lengths), ends)


def make_run(run: Path, name: str, items: int, precision: str = "float32", gaps: bool = False, **arguments) -> CTRModel:
    """Writes a run folder with an index, and returns the model."""
    rng = np.random.default_rng(0)
    model = make_model(name, items, **arguments)
    vocabularies = VOCABULARIES | {"movie_id": list(range(1, vocabulary_size(items)))}
    encodings = {"vocabularies": vocabularies, "scalers": {}, "mean_label": 0.5}
    model.save(run, {"columns": {"schema": asdict(SCHEMA)}, **encodings})
    write_index(run, model, users(rng, items), random_items(rng, items, gaps), precision, STAND_INS)
    return model


def request_features(history: bool) -> dict:
    """Raw features of a user that no index knows."""
    raw = {"user_id": None, "gender": "F", "age": 25, "occupation": 3, "user_mean_rating": 0.7}
    return raw | ({"liked_movies": list(range(1, HISTORY + 1))} if history else {})

"""Arrays as deepctr-torch takes them, and a model over them."""

from __future__ import annotations

import numpy as np
from helpers import SMALL

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from model.IntTower import IntTower

USER = [SparseFeat("user_id", 9, 4), SparseFeat("gender", 3, 4), DenseFeat("user_mean_rating")]
ITEM = [
    SparseFeat("movie_id", 11, 4),
    VarLenSparseFeat(SparseFeat("genres", 5, 4), maxlen=3, combiner="mean"),
    DenseFeat("embedding", dimension=2),
]
COLUMNS = USER + ITEM


def arrays(rows: int = 400) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    user, movie = rng.integers(1, 9, rows), rng.integers(1, 11, rows)
    x = {
        "user_id": user,
        "gender": 1 + user % 2,
        "user_mean_rating": rng.random(rows),
        "movie_id": movie,
        "genres": np.where(np.arange(3) < (movie % 4)[:, None], 1 + (movie[:, None] + np.arange(3)) % 4, 0),
        "embedding": rng.random((rows, 2)),
    }
    return x, ((user + movie + rng.integers(0, 4, rows)) % 7 > 3).astype(int)


def int_tower(**arguments) -> IntTower:
    model = IntTower(USER, ITEM, **({"seed": 3, "init_std": 0.1} | SMALL["int_tower"] | arguments))
    model.compile("adam", lr=0.01)
    return model

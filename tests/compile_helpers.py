"""A DeepFM on four columns, rows for it, and losses that `compile` takes, each beside its equation."""

from __future__ import annotations

import functools

import numpy as np
import torch.nn.functional as F
from torch import nn

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from model.deepfm import DeepFM

COLUMNS = [
    SparseFeat("user", 9, 4),
    SparseFeat("item", 11, 4),
    VarLenSparseFeat(SparseFeat("tags", 5, 4), maxlen=3),
    DenseFeat("price"),
]


def arrays(rows: int = 200, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    x = {
        "user": rng.integers(1, 9, rows),
        "item": rng.integers(1, 11, rows),
        "tags": rng.integers(0, 5, (rows, 3)),
        "price": rng.random(rows),
    }
    return x, ((x["user"] + x["item"] + rng.integers(0, 4, rows)) % 7 > 3).astype(int)


def deep_fm(**arguments) -> DeepFM:
    settings = {"dnn_hidden_units": (8,), "init_std": 0.1, "seed": 3} | arguments
    return DeepFM(COLUMNS, COLUMNS, **settings)


def compiled(*given, model: DeepFM | None = None, **more) -> DeepFM:
    model = model or deep_fm()
    model.compile(*given, **more)
    return model


def half_squared(probabilities, labels, reduction="mean"):
    losses = (probabilities - labels).square() / 2
    return losses if reduction == "none" else getattr(losses, reduction)()


LOSSES = {  # as it is given, and by hand
    "mse": ("mse", lambda p, y: (p - y) ** 2),
    "mae": ("mae", lambda p, y: abs(p - y)),
    "torch's mse": (F.mse_loss, lambda p, y: (p - y) ** 2),
    "module": (nn.MSELoss(), lambda p, y: (p - y) ** 2),
    "module that sums": (nn.L1Loss(reduction="sum"), lambda p, y: abs(p - y)),
    "BCELoss": (nn.BCELoss(), lambda p, y: -np.log(np.where(y == 1, p, 1 - p))),
    "function": (half_squared, lambda p, y: (p - y) ** 2 / 2),
    "partial": (functools.partial(F.smooth_l1_loss, beta=1.0), lambda p, y: (p - y) ** 2 / 2),
}

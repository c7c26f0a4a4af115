"""Run folders of untrained models with weights that matter, and reference scores that know nothing of `serving`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from helpers import plain_arrays, random_raw
from torch import nn

from foundation.run_files import HISTORY, RESULT
from model import MODELS, build_model
from model.base import TwoTower
from model.layers.activation import Dice
from preprocessing.dataset import Dataset
from serving.ranker import PreRanker
from serving.writer import build_index
from training.commit import replace_together
from training.model_files import model_files
from training.result_file import result_file

TWO_TOWERS = [name for name in MODELS if issubclass(MODELS[name].model_class, TwoTower)]
SMALL = {
    "dssm": {"gamma": "learned"},
    "dat": {"gamma": "learned"},
    "mvke": {"num_kernels": 3},
    "poly_encoder": {"num_codes": 3},
    "int_tower": {"field_dim": 4, "user_head": 2, "item_head": 3},
    "hit": {"field_dim": 4, "num_heads": 3},
}


def dataset(protocol: str = "holdout", **sizes) -> Dataset:
    return Dataset.build(random_raw(**sizes), protocol, seed=0)


def text_ids(data: Dataset) -> Dataset:
    """The same with strings as ids: "u107", "m5000"."""
    raw = data.raw
    tables = {"users": (raw.users, "user_id", "u"), "items": (raw.items, "movie_id", "m")}
    renamed = {
        side: frame.assign(**{name: [f"{letter}{one}" for one in frame[name]]})
        for side, (frame, name, letter) in tables.items()
    }
    return Dataset.build(replace(raw, **renamed), data.protocol.name, data.seed)


def random_model(name: str, data: Dataset, seed: int = 3, **arguments):
    """In evaluation mode, with batch statistics and biases as training would leave them: different from 0 and 1."""
    columns = data.feature_columns(4, history=True)
    sizes = {"dnn_hidden_units": (16, 8), "init_std": 1.0}
    sizes = {key: value for key, value in sizes.items() if key in MODELS[name].arguments}
    model = build_model(name, columns, **(sizes | {"seed": seed} | SMALL.get(name, {}) | arguments))
    generator = torch.Generator().manual_seed(seed)

    def draw(like, low, high):
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.copy_(draw(module.running_mean, -0.5, 0.5))
                module.running_var.copy_(draw(module.running_var, 0.5, 2.0))
                if module.affine:
                    module.weight.copy_(draw(module.weight, 0.5, 1.5))
                    module.bias.copy_(draw(module.bias, -0.5, 0.5))
            if isinstance(module, Dice):
                module.alpha.copy_(draw(module.alpha, -0.5, 0.5))
        if hasattr(model, "fe_block"):
            for projection in (*model.fe_block.user_projections, model.fe_block.item_projection):
                projection.weight.mul_(5.0)
        if name in ("mvke", "poly_encoder"):
            model.user_side.divisor.fill_(0.5)
        if isinstance(model, TwoTower):
            for parameter, value in (("log_gamma", 0.7), ("bias", 0.3)):  # a given gamma is none
                dict(model.interaction.named_parameters()).get(parameter, torch.empty(())).fill_(value)
    return model.eval()


def save_run(run: Path, model, data: Dataset) -> Path:
    """A run folder as `experiment.one_run` leaves it, as far as serving reads it."""
    files = model_files(model, model.known_with(data.encoding_json())) | {HISTORY: b"epoch\n"}
    result = {"dataset": data.name, "data_sha256": data.raw.fingerprint, "protocol": data.protocol.name}
    result |= {"seed": data.seed, "config": {"max_rows": None}}
    result |= {"split": {"protocol": data.protocol.name, "seed": data.seed}}
    run.mkdir(parents=True, exist_ok=True)
    replace_together(run, files | {RESULT: result_file(result, files)})
    return run


def ranker_of(run: Path, model, data: Dataset, precision: str = "float32") -> PreRanker:
    save_run(run, model, data)
    build_index(run, model, data, precision)
    return PreRanker.load(run)


class Reference:
    """Click probabilities by `model.predict` on plain arrays, for users and items that have a test row."""

    def __init__(self, model, data: Dataset):
        self.model = model
        self.arrays = plain_arrays(data.test, model.feature_names)
        raw, rows = data.raw, data.test.rows.numpy()
        self.user_row = dict(
            zip(raw.users.iloc[raw.user[rows]][data.schema.user_id].tolist(), range(len(rows)), strict=True)
        )
        self.item_row = dict(
            zip(raw.items.iloc[raw.item[rows]][data.schema.item_id].tolist(), range(len(rows)), strict=True)
        )
        self.users, self.items = list(self.user_row), list(self.item_row)

    def __call__(self, user, items) -> np.ndarray:
        """(n,)"""
        user_names = {column.name for column in self.model.user_columns}
        places = [self.item_row[item] for item in items]
        x = {
            name: array[[self.user_row[user]] * len(items) if name in user_names else places]
            for name, array in self.arrays.items()
        }
        return self.model.predict(x)[:, 0]


def served_models(names: Iterable[str], data: Dataset, tmp_path_factory) -> dict[str, tuple[PreRanker, Reference]]:
    """A model of each name with random weights: its ranker, and what that is compared with."""
    models = {name: random_model(name, data) for name in names}
    return {
        name: (ranker_of(tmp_path_factory.mktemp(name), model, data), Reference(model, data))
        for name, model in models.items()
    }

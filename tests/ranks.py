"""What `test_distributed.py` has two processes do: torchrun starts this file. Not a test itself.

    torchrun --nproc_per_node=2 tests/ranks.py PLACE

Each process leaves what it computed in PLACE/rank<number>.pt.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from helpers import plain_arrays, random_raw
from zoo import NEURAL, build, columns_of

from experiment.script import run
from model import MODELS
from preprocessing.dataset import Dataset
from training import distributed
from training.checkpoints import Checkpoints
from training.distributed import current

EPOCHS = 3
OFF = {"int_tower": {"cir_weight": 0.0}, "hit": {"generation_loss": "none"}}  # terms that compare rows of a batch


def exact(name: str, data: Dataset, embedding_optimizer: str):
    """A model whose step is a sum over rows: no dropout, no batch statistics, no in-batch terms."""
    normalised = {"dnn_use_bn": False} if "dnn_use_bn" in MODELS[name].arguments else {}
    model = build(name, columns_of(data), **normalised, **OFF.get(name, {}))
    model.compile("adam", lr=1e-3, embedding_optimizer=embedding_optimizer)
    return model


def fit(model, data: Dataset, epochs: int = 1, **options) -> dict:
    """Batches of 63 of 192 rows: the last has 3, too few for two processes. -> the history without times"""
    options = {"batch_size": 63, "validation_data": data.validation, "verbose": 0} | options
    history = model.fit(data.train, epochs=epochs, **options).history
    return {key: value for key, value in history.items() if key not in ("seconds", "rows_per_second")}


def weighted(data: Dataset):
    """-> a model that learned from arrays with weights of rows, by an instance of an optimiser, and its history"""
    model = exact("deep_fm", data, "dense")
    model.compile(torch.optim.Adam(model.parameters(), lr=1e-3), "mse", ["acc"])
    rows = np.random.default_rng(0).integers(0, 4, len(data.train))
    x, y = plain_arrays(data.train, model.feature_names), data.train.labels.numpy()
    history = model.fit(x, y, 63, verbose=0, sample_weight=rows, validation_data=(x, y, rows[::-1])).history
    return model, {key: value for key, value in history.items() if key not in ("seconds", "rows_per_second")}


def summed(data: Dataset):
    """-> a model of two losses that learned from the sum of the click loss, by steps as large as it, and its history"""
    model = exact("dat", data, "dense")
    model.compile("sgd", lr=1e-3)
    return model, fit(model, data, EPOCHS, summed_loss=True)


def noisy(data: Dataset, embedding_optimizer: str):
    """A model with everything that needs random numbers or the rows of a batch."""
    model = build("int_tower", columns_of(data), dnn_dropout=0.3, unknown_rate=0.1)
    model.compile("adam", lr=0.01, embedding_optimizer=embedding_optimizer)
    return model


def resumed(data: Dataset, embedding_optimizer: str, folder: Path):
    """Trained for one epoch, then by a new model from the checkpoint to the end."""
    folder.mkdir(exist_ok=True)
    checkpoints = Checkpoints(folder, {})

    def stop(state):
        if current().is_main:
            checkpoints.save(state)
        current().wait()
        raise KeyboardInterrupt

    try:
        fit(noisy(data, embedding_optimizer), data, EPOCHS, on_epoch=stop)
    except KeyboardInterrupt:
        torch.manual_seed(999)
    model = noisy(data, embedding_optimizer)
    fit(model, data, EPOCHS, state=checkpoints.load()[0])
    return model


def resumed_inside(data: Dataset, embedding_optimizer: str) -> list[dict]:
    """The weights at the end of runs that were continued from states inside an epoch."""
    kept, ends = [], []
    often = {"checkpoint_minutes": 1e-9, "on_epoch": lambda state: kept.append(copy.deepcopy(state))}
    with patch.object(distributed, "AGREE_EVERY", 1):  # after each step; an epoch here has 4
        fit(noisy(data, embedding_optimizer), data, EPOCHS, **often)
    for state in [state for state in kept if state.progress is not None][1::4]:
        model = noisy(data, embedding_optimizer)
        fit(model, data, EPOCHS, state=state)
        ends.append(model.state_dict())
    return ends


def main() -> None:
    place, data = Path(sys.argv[1]), Dataset.build(random_raw(), "holdout", 0)
    found = {}
    for name in NEURAL:
        for update in ("dense", "rowwise"):
            model = exact(name, data, update)
            before = model.evaluate(data.test)
            found[name, update] = {"before": before, "history": fit(model, data), "weights": model.state_dict()}
    for update in ("dense", "rowwise"):
        whole = noisy(data, update)
        history = fit(whole, data, EPOCHS)
        again = resumed(data, update, place / update)
        found[update] = {"history": history, "whole": whole.state_dict(), "resumed": again.state_dict()}
        found[update]["resumed inside"] = resumed_inside(data, update)
    idle = build("int_tower", columns_of(data), fe_input="pre", **OFF["int_tower"])
    idle.compile("adam", lr=0.01)
    found["idle parameters"] = {"history": fit(idle, data, EPOCHS), "weights": idle.state_dict()}
    model, history = weighted(data)
    found["weights of rows"] = {"history": history, "weights": model.state_dict()}
    model, history = summed(data)
    found["summed loss"] = {"history": history, "weights": model.state_dict()}
    torch.save(found, place / f"rank{current().rank}.pt")


if __name__ == "__main__":
    run(main)

"""Every model on a GPU: two epochs, and the predictions there beside those of the saved model on the CPU.

    python -m benchmarks.cuda_check

On generated data; needs a CUDA device. Printed is the largest difference of a click probability. Exit status 1 if one
is above 1e-5.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from experiment.script import run
from foundation.errors import InputError
from model import MODELS, build_model, load_model
from model.layers.embedding_optimizer import EMBEDDING_OPTIMIZERS
from preprocessing.dataset import Dataset
from preprocessing.synthetic import synthetic_movielens

ROWS, TOLERANCE = 60_000, 1e-5
WITHOUT_TABLES = ("lr", "gbdt")


def main() -> None:
    if not torch.cuda.is_available():
        raise InputError("There is no CUDA device. Run this where there is one.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {ROWS:,} generated rows, holdout")
    data = Dataset.build(synthetic_movielens().first(ROWS), "holdout", 0)
    worst = 0.0
    for name in MODELS:
        for update in (None,) if name in WITHOUT_TABLES else EMBEDDING_OPTIMIZERS:
            auc, difference = check(name, data, update)
            worst = max(worst, difference)
            print(f"{name:<15}{update or '-':<9}test AUC {auc:.4f}  GPU - CPU {difference:.1e}", flush=True)
    sys.exit(1 if worst > TOLERANCE else 0)


def check(name: str, data: Dataset, update: str | None) -> tuple[float, float]:
    """Trains on the GPU. Returns test AUC and the largest difference of its predictions from the CPU's."""
    columns = data.feature_columns(16, history=MODELS[name].history)
    model = build_model(name, columns, device="cuda", seed=1)
    model.compile("adam", lr=3e-3, embedding_optimizer=update)
    model.fit(data.train, validation_data=data.validation, batch_size=2048, epochs=2, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, name))
        on_cpu = load_model(Path(folder, name)).predict(data.test)
    return model.evaluate(data.test)["auc"], float(np.abs(model.predict(data.test) - on_cpu).max())


if __name__ == "__main__":
    run(main)

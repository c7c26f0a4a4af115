"""What `test_distributed.py` has two processes that do not agree do: torchrun starts this file. Not a test itself.

    torchrun --nproc_per_node=2 tests/disagreeing_ranks.py PLACE

Each process leaves in PLACE/rank<number>.json what each disagreement ended in, None for a training that went on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from helpers import flip, random_raw
from zoo import build, columns_of

from experiment.script import run
from foundation.errors import InputError
from preprocessing.dataset import Dataset
from training.distributed import current

RAW = random_raw()


def data(other: bool, raw=None, seed: int = 0, protocol: str = "holdout") -> Dataset:
    return Dataset.build(raw if other and raw is not None else RAW, protocol, seed)


def train(dataset: Dataset, validation: Dataset | None = None, seed: int = 3, lr: float = 0.01, **settings) -> None:
    options = {name: settings.pop(name) for name in ("epochs", "batch_size") if name in settings}
    model = build("dssm", columns_of(dataset), seed=seed, **settings)
    model.compile("adam", lr=lr)
    options = {"batch_size": 64, "verbose": 0} | options
    model.fit(dataset.train, validation_data=(validation or dataset).validation, **options)


# name -> a training, given whether this process is the other one
CASES: dict[str, Callable[[bool], None]] = {
    "the same": lambda other: train(data(other)),
    "one label": lambda other: train(data(other, flip(RAW, int(data(False).train.rows[5])))),
    "one label of validation": lambda other: train(
        data(False), data(other, flip(RAW, int(data(False).validation.rows[5])))
    ),
    "split": lambda other: train(data(other, seed=int(other))),
    "protocol": lambda other: train(data(other, protocol="temporal" if other else "holdout")),
    "seed": lambda other: train(data(False), seed=3 + other),
    "settings": lambda other: train(data(False), dnn_dropout=0.1 * other),
    "epochs": lambda other: train(data(False), epochs=1 + other),
    "batch size": lambda other: train(data(False), batch_size=64 - 2 * other),
}


def main() -> None:
    ends: dict[str, str | None] = {}
    for name, case in CASES.items():
        try:
            case(current().rank == 1)
            ends[name] = None
        except InputError as error:
            ends[name] = str(error)
    Path(sys.argv[1], f"rank{current().rank}.json").write_text(json.dumps(ends), encoding="utf-8")


if __name__ == "__main__":
    run(main)

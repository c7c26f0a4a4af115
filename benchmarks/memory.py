"""Peak memory of training, and whether it grows from epoch to epoch, for each model in a process of its own.

    python -m benchmarks.memory [--data_path ...] [--models int_tower hit ...] [--write]

Each process trains one epoch over all training rows and scores the validation rows, with the defaults, and goes on
for 20 epochs over a part of the rows; "growth" is the resident memory after the last of these less that after the
fifth, by when all buffers have their size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.sections import machine, table, write_section
from experiment.script import run
from foundation.deepctr import Callback
from model import MODELS, TRAINING_DEFAULTS, build_model, default_settings
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens

MEGABYTE = 1 << 20
LIMIT = 1500  # MB
SETTLED = 5  # epochs


def resident() -> float:
    """MB of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / MEGABYTE


def peak() -> float:
    """MB of this process at its highest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class EachEpoch(Callback):
    """Resident memory after each epoch."""

    def on_train_begin(self, logs=None):
        self.megabytes: list[float] = []

    def on_epoch_end(self, epoch, logs=None):
        self.megabytes.append(round(resident(), 1))


def measure(name: str, data: Dataset, epochs: int, rows: int) -> dict:
    """Trains in this process."""
    settings = default_settings(name, "movielens")
    arguments = {key: value for key, value in settings.items() if key not in TRAINING_DEFAULTS["movielens"]}
    columns = data.feature_columns(settings["embedding_dim"], history=MODELS[name].history)
    model = build_model(name, columns, **arguments)
    model.compile("adam", lr=settings["lr"])
    batch_size = settings["batch_size"]
    # An epoch of the forest is a tree, and one call grows them all.
    whole = settings["epochs"] if name == "gbdt" else 1
    model.fit(data.train, validation_data=data.validation, batch_size=batch_size, epochs=whole, verbose=0)
    highest, each = peak(), EachEpoch()
    part = data.train.take(torch.arange(min(rows, len(data.train))))
    if name == "gbdt":
        each.on_train_begin()
        for _ in range(epochs):
            model.compile("adam", lr=settings["lr"])
            model.fit(part, epochs=5, verbose=0)
            each.on_epoch_end(0)
    else:
        model.fit(part, batch_size=batch_size, epochs=epochs, callbacks=[each], verbose=0)
    settled = each.megabytes[min(SETTLED, epochs) - 1]
    return {
        "model": name,
        "peak": round(max(highest, peak())),
        "growth": each.megabytes[-1] - settled,
        "each": each.megabytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rows", type=int, default=40_960, help="of an epoch, for the growth")
    parser.add_argument("--here", action="store_true", help="measure the one model in this process, and print JSON")
    parser.add_argument("--write", action="store_true", help="write the table to benchmarks/README.md")
    options = parser.parse_args()
    if options.here:
        data = Dataset.build(load_movielens(options.data_path), "published", 1023)
        print(json.dumps(measure(options.models[0], data, options.epochs, options.rows) | {"data": data.name}))
        return
    rows, bad = [], []
    for name in options.models:
        command = [sys.executable, "-m", "benchmarks.memory", "--here", "--models", name]
        command += ["--epochs", str(options.epochs), "--rows", str(options.rows)]
        command += ["--data_path", options.data_path] if options.data_path else []
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        print(found, flush=True)
        if found["peak"] > LIMIT:
            bad.append(name)
        growth = f"{found['growth']:+.1f}"
        rows.append(
            {"model": name, "peak, MB": found["peak"], f"growth, epoch {SETTLED} to {options.epochs}, MB": growth}
        )
    text = f"{found['data']}, {machine()}. Limit: {LIMIT:,} MB.\n\n{table(rows)}"
    print(text)
    if options.write:
        write_section("memory", text)
    if bad:
        sys.exit(f"more than {LIMIT} MB: {', '.join(bad)}")


if __name__ == "__main__":
    run(main)

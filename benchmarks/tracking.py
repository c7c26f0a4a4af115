"""What `--track` costs: training with a tracker over training without, as pairs in one process.

    python -m benchmarks.tracking [--data_path ...] [--track tensorboard] [--model int_tower] [--repeats 7]

Both sides of a pair train the same rows from the same weights, and the side that is first changes from pair to pair.
Opening and closing the tracker counts apart, in seconds a run. On a machine that does other work as well the ratios
scatter; what the tracker takes after an epoch is timed by itself, too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import get_args

import torch

from benchmarks.sections import machine
from benchmarks.training_speed import our_model
from experiment.options import Tracker
from experiment.script import run
from experiment.tracking import Tracking, require
from model import MODELS
from preprocessing.dataset import Dataset, Split
from preprocessing.load import load_movielens
from training.run_folder import RunFolder


def now() -> torch.Tensor:
    """Seconds of a clock, and of the processor in this process."""
    return torch.tensor([time.perf_counter(), time.process_time()], dtype=torch.float64)


class Timed(Tracking):
    """spent: seconds after each epoch."""

    def __init__(self, *given):
        super().__init__(*given)
        self.spent: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        start = time.perf_counter()
        super().on_epoch_end(epoch, logs)
        self.spent.append(time.perf_counter() - start)


def seconds(name: str, split: Split, epochs: int, tracker: str | None) -> tuple[torch.Tensor, float, list[float]]:
    """Of training, both kinds, of opening and closing the tracker, and of it after each epoch.

    Checkpoints are written either way.
    """
    model, data, output = our_model(name, split.dataset), split.dataset, contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as place, RunFolder(Path(place), {}) as folder, output:
        before = now()
        about = Timed(tracker, folder, data.name, model.settings) if tracker else contextlib.nullcontext()
        with about:
            start = now()
            model.fit(
                split,
                batch_size=2048,
                epochs=epochs,
                validation_data=data.validation,
                verbose=0,
                callbacks=[about] if tracker else None,
                on_epoch=folder.save_state,
            )
            training = now() - start
        return training, float((now() - before - training)[0]), about.spent if tracker else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--track", choices=get_args(Tracker), default="tensorboard")
    parser.add_argument("--model", choices=[name for name in MODELS if name != "gbdt"], default="int_tower")
    parser.add_argument("--rows", type=int, default=102_400)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    require(options.track)
    data = Dataset.build(load_movielens(options.data_path), "holdout", 1023)
    drawn = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    split = data.train.take(drawn[: options.rows])
    ratios, apart, spent = [], [], []
    for repeat in range(options.repeats + 1):
        times = {}
        for tracker in (options.track, None) if repeat % 2 else (None, options.track):
            times[tracker], around, epochs = seconds(options.model, split, options.epochs, tracker)
            if tracker and repeat:
                apart.append(around)
                spent += epochs
        if repeat:  # the first pair finds caches cold
            ratios.append((times[options.track] / times[None]).tolist())
            print(" ".join(f"{ratio:.3f}" for ratio in ratios[-1]), flush=True)
    print(f"{data.name}, {len(split):,} rows, {options.model}, {options.epochs} epochs, {machine()}")
    for what, values in zip(("elapsed", "processor"), zip(*ratios, strict=True), strict=True):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(
            f"{what} time with {options.track} over without, {len(values)} pairs: {middle:.3f} ({low:.3f}..{high:.3f})"
        )
    print(
        f"after an epoch: {1e3 * statistics.median(spent):.1f} ms; opening and closing it: "
        f"{statistics.median(apart):.2f} s a run"
    )


if __name__ == "__main__":
    run(main)

"""Training speed of our loop beside deepctr-torch 0.3.0's own `fit`, on the same rows, model size, batch and threads.

    python -m benchmarks.training_speed --data_path ... [--models int_tower deep_fm ...]

Both train the same number of rows in turn, several times; rows/s are medians, the ratio is of medians. "share of peak"
is the model's FLOPs (forward and backward matrix products) a second over the fastest float32 product seen in this run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.published_int_tower import PublishedIntTower
from experiment.main import run
from model import MODELS, build_model
from model.base import CTRModel
from preprocessing.dataset import Dataset, Split
from preprocessing.deepctr import VarLenSparseFeat
from preprocessing.download import load_movielens
from preprocessing.feature_columns import Column, FeatureColumns
from preprocessing.lists import Bags

DROPOUT = 0.3
HIDDEN = (300, 300, 128)


def deepctr_contender(name: str, columns: FeatureColumns):
    """The same model under deepctr-torch: the published IntTower, or deepctr-torch's own ranking model."""
    from deepctr_torch import models

    if name == "int_tower":
        return PublishedIntTower(columns.user, columns.item, heads=4, field_dim=64, dropout=DROPOUT)
    common = {"dnn_hidden_units": HIDDEN, "dnn_dropout": DROPOUT, "dnn_use_bn": True}
    return {
        "deep_fm": lambda: models.DeepFM(columns.all, columns.all, **common),
        "wide_and_deep": lambda: models.WDL(columns.all, columns.all, **common),
        "dcn": lambda: models.DCN(columns.all, columns.all, cross_num=2, **common),
        "auto_int": lambda: models.AutoInt(columns.all, columns.all, att_layer_num=3, att_head_num=2, **common),
    }[name]()


def padded(columns: list[Column], split: Split) -> tuple[list[Column], dict[str, np.ndarray]]:
    """Columns and arrays as deepctr-torch takes them: lists padded with 0 to the longest."""
    features = split.batch(torch.arange(len(split)), [column.name for column in columns])
    result, arrays = [], {}
    for column in columns:
        value = features[column.name]
        if isinstance(value, Bags):
            lengths = value.offsets.diff().long()
            table = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.int64)
            place = torch.arange(len(value.values)) - value.offsets[:-1].long().repeat_interleave(lengths)
            table[torch.arange(len(lengths)).repeat_interleave(lengths), place] = value.values.long()
            column = VarLenSparseFeat(column.sparsefeat, maxlen=table.shape[1], combiner="mean")
            value = table
        result.append(column)
        arrays[column.name] = value.numpy()
    return result, arrays


def seconds_of(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        action()
    return time.perf_counter() - start


def sgemm_peak(size: int = 2048, repeats: int = 20) -> float:
    """FLOP/s of the fastest of several square float32 products."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / min(seconds_of(lambda: a @ b) for _ in range(repeats))


def flops_per_row(model: CTRModel, split: Split, rows: int = 2048) -> float:
    """Matrix-product FLOPs of a forward and backward pass, by torch's counter."""
    batch, labels = split.batch(torch.arange(rows), model.feature_names), split.labels[:rows]
    model.train()
    with FlopCounterMode(display=False) as counter:
        sum(model.losses(batch, labels, model.output(batch)).values()).backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() / rows


def compare(name: str, data: Dataset, rows: int, batch_size: int, repeats: int, peak: float) -> dict:
    """Rows/s of both, in turn."""
    split = data.train.take(torch.arange(min(rows, len(data.train))))
    columns = data.feature_columns(history=MODELS[name].history)
    ours = build_model(
        name,
        columns,
        **({"dnn_dropout": DROPOUT, "cir_weight": 0.0} if name == "int_tower" else {"dnn_dropout": DROPOUT}),
    )
    ours.compile("adam")
    user, user_arrays = padded(columns.user, split)
    item, item_arrays = padded(columns.item, split)
    theirs = deepctr_contender(name, FeatureColumns(user, item))
    theirs.compile("adam", "binary_crossentropy", metrics=["auc", "accuracy", "logloss"])
    arrays, labels = user_arrays | item_arrays, split.labels.numpy()
    times: dict[str, list[float]] = {"ours": [], "deepctr": []}
    for _ in range(repeats):
        times["ours"].append(seconds_of(lambda: ours.fit(split, batch_size=batch_size, verbose=0)))
        times["deepctr"].append(seconds_of(lambda: theirs.fit(arrays, labels, batch_size=batch_size, verbose=2)))
    speed = {side: len(split) / statistics.median(values) for side, values in times.items()}
    flops = flops_per_row(ours, split)
    return {
        "model": name,
        "rows_per_second": round(speed["ours"]),
        "deepctr_rows_per_second": round(speed["deepctr"]),
        "ratio": round(speed["ours"] / speed["deepctr"], 2),
        "mflops_per_row": round(flops / 1e6, 2),
        "share_of_peak": round(flops * speed["ours"] / peak, 3),
    }


def main() -> None:
    known = [name for name in ("int_tower", "deep_fm", "wide_and_deep", "dcn", "auto_int") if name in MODELS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--models", nargs="+", choices=known, default=known)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch_size", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    data = Dataset.build(load_movielens(options.data_path), "published", 1023)
    peak = sgemm_peak()
    print(f"{data.name}, batch {options.batch_size}, {torch.get_num_threads()} threads, sgemm {peak / 1e9:.0f} GFLOP/s")
    rows = [compare(name, data, options.rows, options.batch_size, options.repeats, peak) for name in options.models]
    print(f"{'model':15}{'ours rows/s':>14}{'deepctr rows/s':>16}{'ratio':>8}{'MFLOP/row':>11}{'share of peak':>15}")
    for row in rows:
        print(
            f"{row['model']:15}{row['rows_per_second']:14,}{row['deepctr_rows_per_second']:16,}{row['ratio']:8.2f}"
            f"{row['mflops_per_row']:11.2f}{row['share_of_peak']:15.0%}"
        )
    if options.json:
        options.json.write_text(json.dumps({"sgemm_gflops": round(peak / 1e9), "models": rows}, indent=1) + "\n")


if __name__ == "__main__":
    run(main)

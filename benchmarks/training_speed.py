"""Training speed of our loop beside deepctr-torch 0.3.0 and torch-rechub 0.9: same rows, model size, batch and threads.

    python -m benchmarks.training_speed [--data_path ...] [--models int_tower deep_fm ...] [--json FILE] [--write]

All train the same rows in turn, several times; rows/s are medians, ratios are of medians, against the faster of the two
libraries. `int_tower` and `hit` are compared with the published computations on deepctr-torch (CIR off in both).
"share of peak" is the model's FLOPs (forward and backward matrix products) a second over the fastest float32 product of
this run. bf16 is ours in bf16 over the faster library in float32.
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

import torch
from torch.utils.flop_counter import FlopCounterMode

import kernels
from benchmarks.peers import DROPOUT, EMBEDDING, HIDDEN, Rows, deepctr_epoch, rechub_epoch
from benchmarks.sections import machine, narrow_tables, write_section
from experiment.script import run
from model import MODELS, build_model
from model.base import CTRModel
from preprocessing.dataset import Dataset, Split
from preprocessing.load import load_movielens
from training.precision import why_not_bfloat16

# (model, batch size): the papers' batch sizes.
PAIRS = [(name, 2048) for name in ("dssm", "deep_fm", "wide_and_deep", "dcn", "auto_int", "int_tower", "hit")]
PAIRS += [("hit", 128)]


def our_model(name: str, data: Dataset) -> CTRModel:
    """The model in the sizes that all contenders have, compiled."""
    wanted = {"dnn_dropout": DROPOUT, "dnn_use_bn": True, "cir_weight": 0.0}
    if name != "hit":
        wanted["dnn_hidden_units"] = HIDDEN
    columns = data.feature_columns(EMBEDDING, history=MODELS[name].history)
    model = build_model(name, columns, **{key: wanted[key] for key in wanted if key in MODELS[name].arguments})
    model.compile("adam")
    return model


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
    # It does not know oneDNN's product, which stands for torch's own.
    with kernels.use("plain"), FlopCounterMode(display=False) as counter:
        sum(model.losses(batch, labels, model.output(batch)).values()).backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() / rows


def compare(name: str, batch_size: int, split: Split, repeats: int) -> dict:
    """Medians of rows/s, all contenders in turn."""
    models = {"fp32": our_model(name, split.dataset), "bf16": our_model(name, split.dataset)}
    history = MODELS[name].history
    rows = Rows.of(split, split.dataset.feature_columns(EMBEDDING, history=history, own_history_table=history))
    actions = {
        precision: lambda precision=precision: models[precision].fit(
            split, batch_size=batch_size, precision=precision, verbose=0
        )
        for precision in models
    }
    if why_not_bfloat16(models["bf16"]):
        del actions["bf16"]
    actions |= {"deepctr": deepctr_epoch(name, rows, batch_size), "rechub": rechub_epoch(name, rows, batch_size)}
    times = {side: [] for side, action in actions.items() if action is not None}
    peak = 0.0
    for _ in range(repeats):
        for side in times:
            times[side].append(seconds_of(actions[side]))
        peak = max(peak, sgemm_peak())
    speed = {side: len(split) / statistics.median(values) for side, values in times.items()}
    peer = max(speed[side] for side in ("deepctr", "rechub") if side in speed)
    return {
        "model": name,
        "batch": batch_size,
        "rows_per_second": {side: round(value) for side, value in speed.items()},
        "ratio": round(speed["fp32"] / peer, 2),
        "ratio_bf16": round(speed["bf16"] / peer, 2) if "bf16" in speed else None,
        "flops_per_row": flops_per_row(models["fp32"], split, batch_size),
        "sgemm": peak,
    }


def markdown(results: list[dict], peak: float) -> str:
    rows = []
    for result in results:
        speed = result["rows_per_second"]
        share = result["flops_per_row"] * speed["fp32"] / peak
        rows.append(
            {
                "model": result["model"],
                "batch": result["batch"],
                "ours, rows/s": speed["fp32"],
                "bf16": speed.get("bf16"),
                "deepctr-torch": speed.get("deepctr"),
                "torch-rechub": speed.get("rechub"),
                "ratio": result["ratio"],
                "ratio, bf16": result["ratio_bf16"],
                "MFLOP/row": round(result["flops_per_row"] / 1e6, 2),
                "share of peak": f"{share:.0%}",
            }
        )
    return narrow_tables(rows, keys=2, most=8)  # which fits the page


def main() -> None:
    names = list(dict(PAIRS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--rows", type=int, default=102_400)
    parser.add_argument("--history_rows", type=int, default=20_480, help="rows of models whose peer pads the history")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--write", action="store_true", help="write the table to benchmarks/README.md")
    options = parser.parse_args()
    data = Dataset.build(load_movielens(options.data_path), "published", 1023)
    drawn = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    results = []
    for name, batch_size in PAIRS:
        if name in options.models:
            rows = options.history_rows if MODELS[name].history else options.rows
            results.append(compare(name, batch_size, data.train.take(drawn[:rows]), options.repeats))
            print(results[-1], flush=True)
    peak = max(result.pop("sgemm") for result in results)
    text = f"{data.name}, {machine()}, sgemm {peak / 1e9:.0f} GFLOP/s.\n\n{markdown(results, peak)}"
    print(text)
    if options.json:
        options.json.write_text(
            json.dumps({"sgemm_gflops": round(peak / 1e9), "models": results}, indent=1) + "\n", encoding="utf-8"
        )
    if options.write:
        write_section("training_speed", text)


if __name__ == "__main__":
    run(main)

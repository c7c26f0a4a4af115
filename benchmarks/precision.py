"""bf16 beside float32 for IntTower with 32 heads x 64: rows/s in turn in one process, and test AUC over seeds.

    python -m benchmarks.precision [--data_path ...] [--seeds 1 2 3] [--epoch N] [--protocol holdout] [--write]

The runs of the AUC lie in --out, one folder a precision and seed; a finished one is read instead of repeated and an
interrupted one continued, so that the command can be stopped and given again. `--seeds` without a number measures the
speed alone.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.sections import machine, table, write_section
from benchmarks.training_speed import seconds_of
from experiment.script import run
from foundation.run_files import is_finished
from model import build_model
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens
from training.precision import why_not_bfloat16
from training.result_file import read_result

SIZES = {"user_head": 32, "item_head": 32, "field_dim": 64}
PRECISIONS = ("fp32", "bf16")


def speeds(data: Dataset, rows: int, batch_size: int, repeats: int) -> dict[str, float]:
    """Rows/s of each precision: medians, in turn."""
    split = data.train.take(torch.arange(min(rows, len(data.train))))
    times: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    models = {}
    for precision in PRECISIONS:
        models[precision] = build_model("int_tower", data.feature_columns(32), **SIZES)
        models[precision].compile("adam")
    forced = "bf16_forced" if why_not_bfloat16(models["bf16"]) else "bf16"
    for _ in range(repeats):
        for precision, model in models.items():
            name = forced if precision == "bf16" else precision
            times[precision].append(
                seconds_of(lambda: model.fit(split, batch_size=batch_size, precision=name, verbose=0))  # noqa: B023
            )
    return {precision: len(split) / statistics.median(values) for precision, values in times.items()}


def test_auc(precision: str, seed: int, options: argparse.Namespace) -> float:
    """Of a whole run of the script."""
    epochs = f"-epochs{options.epoch}" if options.epoch else ""
    out = Path(options.out, options.protocol, f"{precision}-seed{seed}{epochs}")
    if not is_finished(out):
        command = [sys.executable, "train_movielens_IntTower.py", "--protocol", options.protocol, "--seed", str(seed)]
        command += [part for name, value in SIZES.items() for part in ("--set", f"{name}={value}")]
        command += ["--precision", precision, "--out", str(out), "--quiet"]
        command += ["--epoch", str(options.epoch)] if options.epoch else []
        command += ["--data_path", options.data_path] if options.data_path else []
        subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)
    return read_result(out)["test"]["auc"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--protocol", default="holdout")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--epoch", type=int, help="default: the script's")
    parser.add_argument("--out", default="runs/precision")
    parser.add_argument("--rows", type=int, default=40_960, help="for the speed")
    parser.add_argument("--batch_size", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table to benchmarks/README.md")
    options = parser.parse_args()
    data = Dataset.build(load_movielens(options.data_path), options.protocol, 1023)
    speed = speeds(data, options.rows, options.batch_size, options.repeats)
    rows = [
        {
            "IntTower 32 x 64": "rows/s",
            **{precision: round(value) for precision, value in speed.items()},
            "bf16 against fp32": f"x {speed['bf16'] / speed['fp32']:.2f}",
        }
    ]
    print(rows[0], flush=True)
    differences = []
    for seed in options.seeds:
        auc = {precision: test_auc(precision, seed, options) for precision in PRECISIONS}
        differences.append(auc["bf16"] - auc["fp32"])
        cells = {precision: f"{value:.4f}" for precision, value in auc.items()}
        rows.append(
            {"IntTower 32 x 64": f"test AUC, seed {seed}", **cells, "bf16 against fp32": f"{differences[-1]:+.4f}"}
        )
        print(rows[-1], flush=True)
    if differences:
        mean = statistics.mean(differences)
        rows.append({"IntTower 32 x 64": "test AUC, mean difference", "bf16 against fp32": f"{mean:+.5f}"})
    epochs = f", {options.epoch} epochs" if options.epoch else ""
    head = f"{data.name}, protocol {options.protocol}{epochs}, batch {options.batch_size}, {machine()}."
    text = f"{head}\n\n{table(rows)}"
    print(text)
    if options.write:
        write_section("precision", text)


if __name__ == "__main__":
    run(main)

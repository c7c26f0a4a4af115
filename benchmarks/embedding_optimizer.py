"""Dense and row-wise updates of the embedding tables on MovieLens-1M: test AUC over seeds, and speed.

    python -m benchmarks.embedding_optimizer [--data_path ...] [--models dssm int_tower] [--seeds 1023 1024 1025]

Defaults of the training script but for `--embedding_optimizer`. Finished runs are kept in --json and not repeated, so
that the command can be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from experiment.script import run
from foundation.atomic import write_atomic
from model import MODELS, build_model, default_settings
from model.layers.embedding_optimizer import EMBEDDING_OPTIMIZERS
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens

TRAINING = ("batch_size", "epochs", "patience", "lr_schedule")


def train(name: str, data: Dataset, embedding_optimizer: str) -> dict:
    """One run with the defaults of the training script, as a row of the result file."""
    settings = default_settings(name, "movielens")
    options = {key: settings.pop(key) for key in TRAINING}
    lr, dim = settings.pop("lr"), settings.pop("embedding_dim")
    columns = data.feature_columns(dim, history=MODELS[name].history)
    model = build_model(name, columns, seed=data.seed, **settings)
    model.compile("adam", lr=lr, embedding_optimizer=embedding_optimizer)
    history = model.fit(data.train, validation_data=data.validation, verbose=0, **options).history
    return {
        "model": name,
        "embedding_optimizer": embedding_optimizer,
        "protocol": data.protocol.name,
        "seed": data.seed,
        "test": model.evaluate(data.test),
        "epochs": len(history["loss"]),
        "best_epoch": history["val_auc"].index(max(history["val_auc"])) + 1,
        "rows_per_second": round(statistics.median(history["rows_per_second"])),
    }


def table(rows: list[dict]) -> str:
    """Mean and spread over the seeds, a line a model and update."""
    lines = [f"{'model':12}{'update':10}{'runs':>5}{'AUC':>9}{'+-':>8}{'logloss':>9}{'GAUC':>9}{'rows/s':>10}"]
    for name in dict.fromkeys(row["model"] for row in rows):
        for update in EMBEDDING_OPTIMIZERS:
            runs = [row for row in rows if (row["model"], row["embedding_optimizer"]) == (name, update)]
            if not runs:
                continue
            auc, logloss, gauc = ([run["test"][key] for run in runs] for key in ("auc", "logloss", "gauc"))
            spread = statistics.stdev(auc) if len(auc) > 1 else float("nan")
            speed = statistics.median(run["rows_per_second"] for run in runs)
            lines.append(
                f"{name:12}{update:10}{len(runs):5}{statistics.mean(auc):9.4f}{spread:8.4f}"
                f"{statistics.mean(logloss):9.4f}{statistics.mean(gauc):9.4f}{speed:10,.0f}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--models", nargs="+", choices=[name for name in MODELS if name != "gbdt"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1023, 1024, 1025])
    parser.add_argument("--protocol", default="holdout")
    parser.add_argument("--json", type=Path, default=Path("results/ml-1m/embedding_optimizer.json"))
    options = parser.parse_args()
    raw = load_movielens(options.data_path)
    rows = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else []
    done = {(row["model"], row["embedding_optimizer"], row["protocol"], row["seed"]) for row in rows}
    for name in options.models or ["dssm", "int_tower"]:
        for seed in options.seeds:
            data = Dataset.build(raw, options.protocol, seed)
            for update in EMBEDDING_OPTIMIZERS:
                if (name, update, options.protocol, seed) in done:
                    continue
                rows.append(train(name, data, update))
                print(json.dumps(rows[-1]), flush=True)
                options.json.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(options.json, json.dumps(rows, indent=1) + "\n")
    print(table([row for row in rows if row["protocol"] == options.protocol]))


if __name__ == "__main__":
    run(main)

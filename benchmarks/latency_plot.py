"""AUC against the latency of a whole request, one point a model."""

from __future__ import annotations

import json
from pathlib import Path

from model import MODELS, find_model
from preprocessing.errors import InputError

CASES = ("features to top 100", "all candidates")
PICTURE = Path("figure") / "auc_latency.png"


def accuracies(folders: list[Path], protocol: str) -> dict[str, tuple[str, float]]:
    """model -> (data set, mean test AUC over its runs), from result files below the folders; ML-1M if it is there.

    A result file is `result.json` of a run folder or a file of `results/<dataset>/<protocol>/<model>/`.
    """
    found: dict[str, dict[str, dict[int, float]]] = {}
    for path in (path for folder in folders for path in folder.rglob("*.json")):
        try:
            result = json.loads(path.read_text())
        except ValueError:
            continue
        if isinstance(result, dict) and result.get("protocol") == protocol and result.get("model") in MODELS:
            runs = found.setdefault(result["dataset"], {}).setdefault(result["model"], {})
            runs[result["seed"]] = result["test"]["auc"]
    if not found:
        raise InputError(f"No result under protocol '{protocol}' in {', '.join(map(str, folders))}. Train some models.")
    dataset = "ml-1m" if "ml-1m" in found else max(found, key=lambda name: len(found[name]))
    return {model: (dataset, sum(runs.values()) / len(runs)) for model, runs in found[dataset].items()}


def plot(table: Path | None, folders: list[Path], protocol: str) -> Path:
    if table is None or not table.is_file():
        raise InputError(
            "Give --json FILE: a table that `python -m benchmarks.latency requests --json FILE` has written."
        )
    rows = [row for row in json.loads(table.read_text()) if row["case"] in CASES and row["precision"] == "float32"]
    items = 10_000 if any(row["items"] == 10_000 for row in rows) else max(row["items"] for row in rows)
    rows = [row for row in rows if row["items"] == items and row["threads"] == 1 and row["model"] in MODELS]
    auc = accuracies(folders, protocol)
    points = [(row["p50_ms"], auc[find_model(row["model"])][1], row["model"]) for row in rows if row["model"] in auc]
    if not points:
        raise InputError("No model has both a latency and an AUC.")
    from matplotlib.figure import Figure  # slow to import; not pyplot, which may ask for a display
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axis = figure.subplots()
    for milliseconds, score, name in points:
        two_towers = any(row["model"] == name and row["case"] == CASES[0] for row in rows)
        axis.scatter(milliseconds, score, s=60, color="tab:blue" if two_towers else "tab:orange", zorder=3)
        axis.annotate(MODELS[name].title, (milliseconds, score), xytext=(7, 5), textcoords="offset points")
    axis.scatter([], [], color="tab:blue", label="two towers, indexed items")
    axis.scatter([], [], color="tab:orange", label="ranking model, every candidate a row")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(f"p50 of a request, {items:,} candidates, one thread (ms)")
    axis.set_ylabel(f"test AUC, {next(iter(auc.values()))[0]}, {protocol}")
    axis.margins(0.15)
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120)
    return PICTURE
